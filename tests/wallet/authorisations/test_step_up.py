"""Out of pattern: asked in the app, confirmed there, and the shop's retry passes. Once."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.phones import Pocket
from tests.wallet.authorisations.till import ABROAD, CAFE, PARIS, Till
from wallet.access import policy
from wallet.authorisations import confirming
from wallet.authorisations.confirming import ConfirmPurchase
from wallet.authorisations.habits import StepUp
from wallet.authorisations.messages import Kind, Message
from wallet.clock import TurnedClock
from wallet.outcomes import Declined, Done, Reason, Refused
from wallet.teller import Teller
from wallet.vault import Vault
from wallet.work import Works

CONFIRM = policy.shipped().applied(confirming.CONFIRM)


@pytest.fixture
def till(works: Works, teller: Teller, vault: Vault, clock: TurnedClock) -> Till:
    return Till(works, teller, vault, clock, StepUp(many_in_hour=6))


@pytest.fixture
async def pocket(till: Till, works: Works, teller: Teller, vault: Vault) -> Pocket:
    await till.open(khr=10_000_000)
    return await Pocket(works, teller, vault, till.person.holder).pair()


async def challenge(till: Till, message: Message) -> dict[str, Any]:
    outcome = await till.ask(message)
    assert isinstance(outcome, Declined), outcome
    assert outcome.reason is Reason.PURCHASE_UNCONFIRMED
    return dict(outcome.facts)


async def confirm(pocket: Pocket, challenge_id: Any) -> None:
    fields = ConfirmPurchase(challenge_id=UUID(challenge_id))
    shown = await pocket.prepare(CONFIRM, fields)
    assert "Bangkok Books (TH)" in str(shown)
    code = pocket.totp(await pocket.enrol_totp())  # the phone is the holder's second: it cools off
    assert isinstance(await pocket.authorise(CONFIRM, shown, code=code), Done)


async def test_the_first_shop_abroad_is_asked_about_and_the_retry_passes_once(
    till: Till, pocket: Pocket
) -> None:
    asked = await challenge(till, till.message(Kind.AUTHORIZATION, 30_000, merchant=ABROAD))
    assert asked["rule"] == "first_foreign"
    assert await till.balance() == (10_000_000, 0)
    [told] = await till.told("purchase.asked")
    assert told["challenge_id"] == asked["challenge_id"]
    again = await challenge(till, till.message(Kind.AUTHORIZATION, 30_000, merchant=ABROAD))
    assert again["challenge_id"] == asked["challenge_id"]
    assert len(await till.told("purchase.asked")) == 1
    await confirm(pocket, asked["challenge_id"])
    # neither more than was confirmed, nor for another shop
    await challenge(till, till.message(Kind.AUTHORIZATION, 30_001, merchant=ABROAD))
    await challenge(till, till.message(Kind.AUTHORIZATION, 30_000, merchant=PARIS))
    await till.authorise(30_000, merchant=ABROAD)
    assert await till.balance() == (10_000_000, 30_000)
    # the country is known from now on; another is not
    await till.authorise(30_000, merchant=ABROAD)
    asked = await challenge(till, till.message(Kind.AUTHORIZATION, 1_000, merchant=PARIS))
    assert asked["rule"] == "new_country"
    await till.prove()


async def test_a_yes_is_too_late_at_its_end_and_is_nobody_elses_to_give(
    till: Till, pocket: Pocket, works: Works, teller: Teller, vault: Vault
) -> None:
    asked = await challenge(till, till.message(Kind.AUTHORIZATION, 30_000, merchant=ABROAD))
    other = await till.cards.person()
    stranger = await Pocket(works, teller, vault, other.holder).pair()
    with pytest.raises(Refused, match="not_found"):
        await stranger.prepare(CONFIRM, ConfirmPurchase(challenge_id=UUID(asked["challenge_id"])))
    await confirm(pocket, asked["challenge_id"])
    with pytest.raises(Refused, match="conflict"):
        await pocket.prepare(CONFIRM, ConfirmPurchase(challenge_id=UUID(asked["challenge_id"])))
    till.clock.advance(timedelta(minutes=10))
    anew = await challenge(till, till.message(Kind.AUTHORIZATION, 30_000, merchant=ABROAD))
    assert anew["challenge_id"] != asked["challenge_id"]
    till.clock.advance(timedelta(minutes=10))
    with pytest.raises(Refused, match="intent_expired"):
        await pocket.prepare(CONFIRM, ConfirmPurchase(challenge_id=UUID(anew["challenge_id"])))


async def test_an_amount_far_above_the_usual_and_many_in_an_hour(
    till: Till, pocket: Pocket
) -> None:
    for _ in range(3):
        await till.authorise(50_000)
    asked = await challenge(till, till.message(Kind.AUTHORIZATION, 250_001))
    assert asked["rule"] == "unusual_amount"
    for _ in range(3):
        await till.authorise(50_000)
    asked = await challenge(till, till.message(Kind.AUTHORIZATION, 1_000, merchant=CAFE))
    assert asked["rule"] == "many_in_hour"
    till.clock.advance(timedelta(hours=1))
    await till.authorise(1_000)
    await till.prove()


async def test_what_would_be_declined_anyway_is_not_asked_about(till: Till, pocket: Pocket) -> None:
    too_much = till.message(Kind.AUTHORIZATION, 10_000_001, merchant=ABROAD)
    assert await till.said(too_much) == "insufficient_funds"
    assert await till.told("purchase.asked") == []
