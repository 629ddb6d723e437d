"""An approval its shop never heard of leaves no mark on card or habits; every other one does."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.phones import Pocket
from tests.wallet.authorisations.till import ABROAD, CAFE, SHOP, SOON, Till
from tests.wallet.limits.steps import put_in_force
from wallet import terms
from wallet.access import policy
from wallet.authorisations import confirming
from wallet.authorisations.confirming import ConfirmPurchase
from wallet.authorisations.habits import StepUp
from wallet.authorisations.messages import Kind, Message
from wallet.cards import changing
from wallet.clock import TurnedClock
from wallet.fees import FeeLine, FeeSheet, Function
from wallet.money import Currency
from wallet.outcomes import Declined, Done
from wallet.teller import Teller
from wallet.vault import Vault
from wallet.work import SYSTEM, Work, Works


async def unheard(till: Till, minor: int = 10_000, **more: Any) -> Message:
    """A purchase that is approved, and answered after its deadline."""
    message = till.message(Kind.AUTHORIZATION, minor, deadline=till.clock.now() + SOON, **more)
    till.slow_by(timedelta(seconds=6))
    assert await till.said(message) == "answer_too_late"
    till.slow_by(timedelta(0))
    return message


async def acts(till: Till) -> list[str]:
    async def read(work: Work) -> list[str]:
        history = await changing.history_of(work, till.card_id)
        return [step["act"] for step in history]

    return await till.works.read(SYSTEM, till.person.holder.bank, read)


async def test_a_single_use_card_pays_at_the_next_try(till: Till) -> None:
    await till.open(khr=100_000, kind="single_use")
    await unheard(till)
    assert (await acts(till))[-2:] == ["card.spent", "card.unspent"]
    bought = await till.authorise(10_000, merchant=SHOP)
    assert await till.said(till.message(Kind.AUTHORIZATION, 1_000)) == "card_spent"
    # what the network takes back the shop had heard of: the card stays closed (decision 41)
    await till.done(till.message(Kind.REVERSAL, of=bought))
    assert await till.said(till.message(Kind.AUTHORIZATION, 1_000)) == "card_spent"
    await till.prove()


async def test_it_stays_closed_where_its_holder_has_filled_its_place_meanwhile(
    till: Till,
) -> None:
    await till.open(khr=1_000_000, kind="single_use")
    for _ in range(4):
        await till.cards.card(till.person, "KHR")
    message = till.message(Kind.AUTHORIZATION, 10_000, deadline=till.clock.now() + SOON)
    await till.serve([message])
    await till.cards.card(till.person, "KHR")
    till.slow_by(timedelta(seconds=6))
    assert await till.said(message) == "answer_too_late"
    till.slow_by(timedelta(0))
    assert await till.said(till.message(Kind.AUTHORIZATION, 1_000)) == "card_spent"
    assert (await till.balance())[1] == 0


@pytest.mark.parametrize("kind", ["merchant_locked", "recurring"])
async def test_a_lock_that_only_it_put_on_comes_off(till: Till, kind: str) -> None:
    await till.open(khr=100_000, kind=kind)
    recurring = kind == "recurring"
    await unheard(till, recurring=recurring)
    await till.authorise(1_000, merchant=SHOP, recurring=recurring)
    other = till.message(Kind.AUTHORIZATION, 1_000, merchant=CAFE, recurring=recurring)
    assert await till.said(other) == "card_merchant_locked"


async def test_a_lock_that_another_approval_stands_under_stays(till: Till) -> None:
    await till.open(khr=100_000, kind="merchant_locked")
    first = till.message(Kind.AUTHORIZATION, 1_000, deadline=till.clock.now() + SOON)
    await till.serve([first])
    await till.authorise(2_000)
    till.slow_by(timedelta(seconds=6))
    assert await till.said(first) == "answer_too_late"
    till.slow_by(timedelta(0))
    other = till.message(Kind.AUTHORIZATION, 1_000, merchant=SHOP)
    assert await till.said(other) == "card_merchant_locked"


async def test_a_lock_to_a_named_shop_stays(till: Till) -> None:
    named = {"id": CAFE.id, "name": CAFE.name}
    await till.open(khr=100_000, kind="merchant_locked", merchant=named)
    await unheard(till)
    other = till.message(Kind.AUTHORIZATION, 1_000, merchant=SHOP)
    assert await till.said(other) == "card_merchant_locked"


async def unanswered(till: Till, message: Message, **more: Any) -> dict[str, Any]:
    """The network had no answer to a request, and takes it back."""
    back = {"key": message.key, "unanswered": True, **more}
    return await till.done(till.message(Kind.REVERSAL, of=message, **back))


async def test_the_networks_word_that_it_had_no_answer_is_as_good_as_our_own(till: Till) -> None:
    """The process died between the commit and the answer: only the network can tell."""
    await till.open(khr=100_000, kind="single_use")
    bought = await till.authorise(10_000)
    assert (await unanswered(till, bought))["status"] == "VOIDED"
    assert (await acts(till))[-2:] == ["card.spent", "card.unspent"]
    assert await till.balance() == (100_000, 0)
    again = await till.done(till.message(Kind.AUTHORIZATION, 20_000, merchant=SHOP))
    assert again["available_minor"] == 80_000
    # asked again after that, the first hears that it was taken back, and spends nothing anew
    late = till.message(Kind.AUTHORIZATION, 10_000, key=bought.key)
    await till.ask(late)
    assert await till.said(till.message(Kind.AUTHORIZATION, 1_000)) == "card_spent"
    await till.prove()


async def test_a_shop_that_took_its_money_had_heard_whatever_the_network_says(till: Till) -> None:
    await till.open(khr=100_000, kind="single_use")
    bought = await till.authorise(10_000)
    await till.done(till.message(Kind.CLEARING, 4_000, of=bought, final=False))
    await unanswered(till, bought)
    assert (await acts(till))[-1] == "card.spent"
    assert await till.balance() == (96_000, 0)
    await till.prove()


@pytest.mark.parametrize("kind", ["merchant_locked", "recurring"])
async def test_a_second_one_unheard_of_leaves_no_lock_either(till: Till, kind: str) -> None:
    recurring = kind == "recurring"
    await till.open(khr=100_000, kind=kind)
    await unheard(till, recurring=recurring)
    await unheard(till, recurring=recurring, merchant=SHOP)
    await unanswered(till, await till.authorise(1_000, recurring=recurring))
    assert (await acts(till))[-2:] == ["card.lock_merchant", "card.unlock_merchant"]
    await till.authorise(1_000, merchant=SHOP, recurring=recurring)
    await till.prove()


async def test_what_was_taken_in_one_message_comes_back_with_fee_and_limits(till: Till) -> None:
    line = FeeLine(function=Function.CARD_PURCHASE, currency=Currency.KHR, fee_minor=500)
    await till.open(khr=100_000, daily_limit_minor=20_000)
    await put_in_force(till.works, till.clock, terms.Sort.FEES, FeeSheet(lines=(line,)))
    told = await till.done(till.message(Kind.FINANCIAL, 15_000))
    assert (told["fee_minor"], told["limit_left_minor"]) == (500, 5_000)
    assert await till.balance() == (84_500, 0)
    over = till.message(Kind.FINANCIAL, 15_000)
    assert await till.said(over) == "limit_exceeded"
    bought = till.message(Kind.FINANCIAL, 5_000)
    await till.done(bought)
    assert await till.balance() == (79_000, 0)
    await unanswered(till, bought)
    assert await till.balance() == (84_500, 0)
    again = await till.done(till.message(Kind.AUTHORIZATION, 5_000))
    assert (again["limit_left_minor"], again["hold_minor"]) == (0, 5_500)
    await till.prove()


class TestHabits:
    @pytest.fixture
    def till(self, works: Works, teller: Teller, vault: Vault, clock: TurnedClock) -> Till:
        return Till(works, teller, vault, clock, StepUp(many_in_hour=6))

    async def asked(self, till: Till) -> str | None:
        """Which question another purchase abroad meets."""
        outcome = await till.ask(till.message(Kind.AUTHORIZATION, 30_000, merchant=ABROAD))
        return str(outcome.facts["challenge_id"]) if isinstance(outcome, Declined) else None

    @pytest.mark.parametrize("silence", ["ours", "the network's"])
    async def test_a_country_is_not_known_and_a_yes_not_used_up_by_it(
        self, till: Till, works: Works, teller: Teller, vault: Vault, silence: str
    ) -> None:
        await till.open(khr=10_000_000)
        pocket = await Pocket(works, teller, vault, till.person.holder).pair()
        confirm = policy.shipped().applied(confirming.CONFIRM)
        question = await self.asked(till)
        assert question is not None
        shown = await pocket.prepare(confirm, ConfirmPurchase(challenge_id=UUID(question)))
        code = pocket.totp(await pocket.enrol_totp())
        assert isinstance(await pocket.authorise(confirm, shown, code=code), Done)
        if silence == "ours":
            await unheard(till, 30_000, merchant=ABROAD)
        else:
            await unanswered(till, await till.authorise(30_000, merchant=ABROAD))
        assert await self.habit(till) == (0, 0, [], 0)
        # the holder's yes is good for the shop's next try; what is heard of makes it known
        await till.authorise(30_000, merchant=ABROAD)
        assert await self.habit(till) == (1, 30_000, ["TH"], 1)
        await till.authorise(20_000, merchant=ABROAD)
        await unanswered(till, await till.authorise(10_000, merchant=ABROAD))
        assert await self.habit(till) == (2, 50_000, ["TH"], 2)
        assert await self.asked(till) is None
        await till.prove()

    async def test_the_hour_counts_what_was_heard_of(self, till: Till) -> None:
        await till.open(khr=10_000_000)
        for _ in range(8):
            await unanswered(till, await till.authorise(1_000))
        for _ in range(6):
            await till.authorise(1_000)
        assert await till.said(till.message(Kind.AUTHORIZATION, 1_000)) == "purchase_unconfirmed"
        assert await self.habit(till) == (6, 6_000, ["KH"], 6)
        await till.prove()

    async def habit(self, till: Till) -> tuple[int, int, list[str], int]:
        async def read(work: Work) -> tuple[int, int, list[str], int]:
            row = await work.row("select * from purchase_habits")
            assert row is not None
            return row["purchases"], row["spent_minor"], row["countries"], row["in_hour"]

        return await till.works.read(SYSTEM, till.person.holder.bank, read)
