"""Many at once: limits exact, a freeze either before or after, one message one effect."""

import asyncio
from typing import Any

import pytest

from tests.phones import warm
from tests.wallet.authorisations.till import ACLEDA, Till
from wallet.authorisations.counter import LIFE
from wallet.authorisations.expiring import expire_due
from wallet.authorisations.messages import Kind
from wallet.authorisations.serving import serve
from wallet.outcomes import Declined, Done, GroupAnswer
from wallet.work import SYSTEM, Work


@pytest.mark.parametrize(("day_minor", "fit"), [(1_000_000, 30), (419_999, 20)])
async def test_200_authorisations_at_once_meet_a_limit_exactly(
    till: Till, day_minor: int, fit: int
) -> None:
    """In many transactions at the same time, not one group: each alone on its own connection.
    30 purchases a day is the programme's own; 20,000 each they do not reach a million."""
    await till.open(khr=10_000_000, daily_limit_minor=day_minor)
    await warm(till.works)
    messages = [till.message(Kind.AUTHORIZATION, 20_000) for _ in range(200)]
    room = asyncio.Semaphore(10)

    async def alone(place: int) -> GroupAnswer:
        async with room:

            async def act(work: Work) -> GroupAnswer:
                return (await serve(work, till.network, [messages[place]]))[0]

            return await till.works.perform(SYSTEM, ACLEDA, act)

    answers = await asyncio.gather(*(alone(place) for place in range(200)))
    allowed = [answer for answer in answers if isinstance(answer, Done)]
    assert len(allowed) == fit
    assert await till.balance() == (10_000_000, 20_000 * fit)
    assert {a.reason.value for a in answers if isinstance(a, Declined)} == {"limit_exceeded"}
    await till.prove()


async def test_200_at_once_through_the_desk_meet_the_cards_own_limit_exactly(till: Till) -> None:
    await till.open(khr=10_000_000, daily_limit_minor=1_000_000)
    messages = [till.message(Kind.AUTHORIZATION, 40_001) for _ in range(200)]
    answers = await asyncio.gather(*(till.ask(message) for message in messages))
    assert sum(isinstance(answer, Done) for answer in answers) == 24
    await till.prove()


async def test_a_freeze_that_is_answered_is_before_every_later_decision(till: Till) -> None:
    """Story A7, bad case 1: whatever was allowed was decided before the freeze was answered."""
    await till.open(khr=10_000_000)
    await till.lift_limits()
    await warm(till.works)
    one_allowed, frozen = asyncio.Event(), asyncio.Event()

    async def shop() -> list[tuple[bool, str]]:
        """Asks until three were asked after the freeze was answered."""
        told: list[tuple[bool, str]] = []
        while sum(was_frozen for was_frozen, _ in told) < 3:
            was_frozen = frozen.is_set()
            told.append((was_frozen, await till.said(till.message(Kind.AUTHORIZATION, 100))))
            one_allowed.set()
        return told

    async def freeze() -> None:
        await one_allowed.wait()
        await till.freeze()
        frozen.set()

    results: Any = await asyncio.gather(shop(), shop(), shop(), freeze())
    told = [one for shop_told in results[:3] for one in shop_told]
    assert {said for was_frozen, said in told if was_frozen} == {"card_frozen"}
    assert {said for _, said in told} == {"ok", "card_frozen"}, "some before, some after"
    await till.prove()


async def test_one_message_many_times_at_once_has_one_effect(till: Till) -> None:
    await till.open(khr=100_000)
    await warm(till.works)
    bought = till.message(Kind.AUTHORIZATION, 30_000)

    async def alone() -> GroupAnswer:
        async def act(work: Work) -> GroupAnswer:
            return (await serve(work, till.network, [bought]))[0]

        return await till.works.perform(SYSTEM, ACLEDA, act)

    answers = await asyncio.gather(*(alone() for _ in range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert await till.balance() == (100_000, 30_000)
    await till.prove()


async def test_a_purchase_and_its_reversal_at_once_leave_nothing_held(till: Till) -> None:
    await till.open(khr=10_000_000)
    await warm(till.works)
    bought = [till.message(Kind.AUTHORIZATION, 1_000) for _ in range(25)]
    back = [till.message(Kind.REVERSAL, of=message) for message in bought]
    await asyncio.gather(
        *(till.ask(message) for pair in zip(bought, back, strict=True) for message in pair)
    )
    assert await till.balance() == (10_000_000, 0)
    await till.prove()


async def test_two_reversals_at_once_give_back_once_open_bank_oss_528(till: Till) -> None:
    await till.open(khr=100_000)
    await warm(till.works)
    bought = till.message(Kind.FINANCIAL, 40_000)
    await till.done(bought)
    backs = [till.message(Kind.REVERSAL, of=bought) for _ in range(6)]

    async def alone(place: int) -> GroupAnswer:
        async def act(work: Work) -> GroupAnswer:
            return (await serve(work, till.network, [backs[place]]))[0]

        return await till.works.perform(SYSTEM, ACLEDA, act)

    await asyncio.gather(*(alone(place) for place in range(6)))
    assert await till.balance() == (100_000, 0)
    await till.prove()


async def test_two_janitors_release_what_is_over_once(till: Till) -> None:
    await till.open(khr=100_000)
    bought = await till.authorise(30_000)
    till.clock.advance(LIFE)
    done = await asyncio.gather(*(expire_due(till.works, till.network, ACLEDA) for _ in range(3)))
    assert sum(done) >= 1
    assert await till.balance() == (100_000, 0)
    assert [event.kind for event in await till.events(bought)][1:] == [Kind.EXPIRY]
    assert len(await till.told("purchase.released")) == 1
    assert await expire_due(till.works, till.network, ACLEDA) == 0
    await till.prove()


async def test_a_single_use_card_raced_by_two_shops_pays_once(till: Till) -> None:
    await till.open(khr=100_000, kind="single_use")
    said = await asyncio.gather(
        *(till.said(till.message(Kind.AUTHORIZATION, 1_000)) for _ in range(5))
    )
    assert sorted(said) == ["card_spent"] * 4 + ["ok"]
    await till.prove()
