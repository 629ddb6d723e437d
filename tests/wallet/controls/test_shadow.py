"""Versions in shadow and on history: they decide nothing, and tell what they would have changed."""

import random
from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from tests import world
from tests.wallet.controls.steps import (
    ACLEDA,
    GROCER,
    Buy,
    assert_counters_right,
    buy,
    give_back,
    later,
    put_bank,
    said,
)
from tests.wallet.limits.steps import limit
from tests.world import WorldHolder
from wallet.clock import TurnedClock
from wallet.controls import (
    ControlSheet,
    Hours,
    Mccs,
    Merchant,
    Merchants,
    Spend,
    bank_subject,
    history,
)
from wallet.controls.history import Line, Report
from wallet.controls.records import purchases_of
from wallet.identifiers import BankId, CardId, new_id
from wallet.limits import Channel, Per, Window
from wallet.money import Currency, Money
from wallet.outcomes import Declined
from wallet.work import SYSTEM, Work, Works

KHR = Currency.KHR
CASINO = Merchant(id="CASINO", name="NAGA", mcc="7995", country="KH", city="PHNOM PENH")
DENIES_ALL = ControlSheet(merchants=Merchants(allow=()))


@pytest.fixture
async def holder(works: Works) -> WorldHolder:
    return await world.holder(works, khr=10_000_000)


@pytest.fixture
def one(holder: WorldHolder) -> Buy:
    return Buy(holder=holder, card_id=CardId(new_id()), money=Money.khr(100))


async def report(works: Works, version: UUID) -> Report:
    return await works.read(
        SYSTEM, ACLEDA, lambda work: history.in_shadow(work, version, bank_subject(ACLEDA))
    )


async def tried(works: Works, version: UUID, days: int = 31) -> Report:
    return await works.read(
        SYSTEM, ACLEDA, lambda work: history.on_history(work, version, bank_subject(ACLEDA), days)
    )


async def test_what_is_in_shadow_declines_nothing_and_is_written_down(
    works: Works, one: Buy
) -> None:
    shadow = await put_bank(works, DENIES_ALL, "SHADOW")
    assert said(await buy(works, one, later(one, card_id=CardId(new_id())))) == ["held", "held"]
    told = await report(works, shadow)
    (line,) = told.would_decline
    assert (line.reason, line.rule) == ("merchant_not_allowed", "merchant_allow")
    assert (told.purchases, line.purchases, line.cards, line.amount_minor) == (2, 2, 2, 200)
    assert told.would_allow == []
    await assert_counters_right(works)


async def test_what_is_in_shadow_allows_nothing_either(works: Works, one: Buy) -> None:
    live = ControlSheet(mccs=Mccs(deny=("7995",)))
    await put_bank(works, live)
    shadow = await put_bank(works, ControlSheet(), "SHADOW")
    gambling = later(one, merchant=CASINO)
    assert said(await buy(works, gambling, one)) == ["mcc_not_allowed", "held"]
    told = await report(works, shadow)
    assert told.would_decline == []
    assert [(line.purchases, line.amount_minor) for line in told.would_allow] == [(1, 100)]


async def test_a_shadows_amounts_are_asked_against_what_is_truly_counted(
    works: Works, one: Buy
) -> None:
    shadow = await put_bank(
        works,
        ControlSheet(spend=(Spend(window=Window.DAY, currency=KHR, most_minor=250),)),
        "SHADOW",
    )
    assert said(await buy(works, *(later(one) for _ in range(4)))) == ["held"] * 4
    (line,) = (await report(works, shadow)).would_decline
    assert (line.reason, line.rule, line.purchases) == ("limit_exceeded", "day", 2)


async def test_what_was_decided_is_never_changed_or_taken_away(
    works: Works, database_url: str, one: Buy
) -> None:
    await put_bank(works, DENIES_ALL, "SHADOW")
    await buy(works, one)
    admin = await asyncpg.connect(database_url)
    try:
        for table in ("control_evaluations", "control_shadows"):
            for change in (f"update {table} set bank = 'X'", f"delete from {table}"):
                with pytest.raises(asyncpg.PostgresError, match="append-only"):
                    await admin.execute(change)
        for change in (
            "update control_sheets set body = '{}'",
            "update control_sheets set drafted_by = 'another'",
            "delete from control_sheets",
        ):
            with pytest.raises(asyncpg.PostgresError, match="append-only"):
                await admin.execute(change)
        with pytest.raises(asyncpg.PostgresError, match="four_eyes"):
            await admin.execute(
                "update control_sheets set state = 'LIVE', promoted_at = now(),"
                " promoted_by = drafted_by"
            )
    finally:
        await admin.close()


async def test_a_bank_sees_its_own_evaluations_alone(works: Works, one: Buy) -> None:
    await buy(works, one)

    async def seen(work: Work) -> int:
        return len(await purchases_of(work, [one.id]))

    assert await works.read(SYSTEM, ACLEDA, seen) == 1
    assert await works.read(SYSTEM, BankId("WING"), seen) == 0


# on history

DRAFT = ControlSheet(
    spend=(
        Spend(window=Window.DAY, currency=KHR, most_minor=450, most_count=3),
        Spend(window=Window.MONTH, currency=KHR, most_minor=2_500, per=Per.HOLDER),
        Spend(window=Window.LIFETIME, currency=KHR, most_count=14),
        Spend(window=Window.PAYMENT, currency=KHR, most_minor=280),
    ),
    mccs=Mccs(deny=("7995",)),
    hours=(Hours(days=(1, 2, 3, 4, 5, 6), begin="05:00", end="23:30"),),
)


class Story:
    """The same purchases, moments and givings back, for whoever lives it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    async def live(self, works: Works, clock: TurnedClock) -> Counter[tuple[str, str]]:
        """What was declined, by reason and rule."""
        chance = self.chance
        people = [await world.holder(works, khr=10_000_000) for _ in range(2)]
        cards = [(person, CardId(new_id())) for person in people for _ in range(2)]
        declined: Counter[tuple[str, str]] = Counter()
        for _ in range(45):
            clock.advance(timedelta(minutes=chance.choice([1, 20, 100, 600])))
            wishes = []
            for _ in range(chance.randint(1, 4)):
                person, card = chance.choice(cards)
                wishes.append(
                    Buy(
                        holder=person,
                        card_id=card,
                        money=Money.khr(chance.randint(10, 300)),
                        merchant=chance.choice([GROCER, GROCER, CASINO]),
                        channel=chance.choice(list(Channel)),
                    )
                )
            for answer in await buy(works, *wishes):
                if isinstance(answer, Declined):
                    rule = answer.facts.get("rule", answer.facts.get("limit"))
                    declined[answer.reason.value, str(rule)] += 1
            # in the second life it may never have been held: then the books say no
            kept = Money.khr(5) if chance.random() < 0.5 else None
            if chance.random() < 0.3:
                clock.advance(timedelta(minutes=30))
                await give_back(works, wishes[0], clock.now() - timedelta(minutes=30), kept)
        return declined


@pytest.mark.parametrize("seed", [1, 2])
async def test_what_a_draft_would_have_changed_is_what_it_changes_when_the_same_is_lived_again(
    works: Works, clock: TurnedClock, seed: int
) -> None:
    await limit(works, clock)
    begun = clock.now()
    first = await Story(seed).live(works, clock)
    assert first == {}
    draft = await put_bank(works, DRAFT, "SHADOW")  # after all of it: it was asked of nothing
    told = await tried(works, draft, days=62)
    assert told.complete
    would = {(str(one.reason), str(one.rule)): one.purchases for one in told.would_decline}
    assert told.would_allow == []

    await put_bank(works, DRAFT)
    clock.advance(_to_the_same_weekday_and_month(begun, clock.now()))
    again = await Story(seed).live(works, clock)
    assert would == dict(again)
    assert len(would) >= 5, "the story has to meet several rules"


def _to_the_same_weekday_and_month(begun: datetime, now: datetime) -> timedelta:
    """To a moment as far into a month as the story's beginning, on the same weekday."""
    for year in range(begun.year + 1, begun.year + 40):
        moment = begun.replace(year=year)
        if moment.weekday() == begun.weekday() and moment > now:
            return moment - now
    raise AssertionError("no such year")


async def test_the_days_told_of_are_phnom_penhs_and_what_went_before_warms_up_the_month(
    works: Works, clock: TurnedClock, one: Buy
) -> None:
    month = ControlSheet(spend=(Spend(window=Window.MONTH, currency=KHR, most_minor=250),))
    await buy(works, one, later(one))
    clock.advance(timedelta(hours=15))  # midnight there
    await buy(works, later(one, money=Money.khr(60)))
    draft = await put_bank(works, month, "SHADOW")
    today = await tried(works, draft, days=1)
    assert (today.purchases, [line.purchases for line in today.would_decline]) == (1, [1])
    both = await tried(works, draft, days=2)
    assert (both.purchases, [line.purchases for line in both.would_decline]) == (3, [1])


async def test_what_the_banks_own_sheet_declined_and_a_draft_would_not_is_told(
    works: Works, one: Buy
) -> None:
    await put_bank(works, ControlSheet(mccs=Mccs(deny=("7995",))))
    await buy(works, later(one, merchant=CASINO), one)
    draft = await put_bank(works, ControlSheet(), "SHADOW")
    told = await tried(works, draft)
    assert told.would_allow == [
        Line(reason=None, rule=None, currency=KHR, purchases=1, cards=1, amount_minor=100)
    ]
    assert told.would_decline == []
