"""Cards through real intents: the phone's signature and a one-time password, and once only."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tests import world
from tests.phones import Pocket, wrong
from tests.wallet.cards.test_at_rest import everything_stored
from wallet import cards
from wallet.access.intents import IntentKind
from wallet.cards import control, rows
from wallet.cards.rules import Issuing
from wallet.clock import TurnedClock
from wallet.identifiers import CardId
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.teller import Teller
from wallet.vault import Vault
from wallet.work import SYSTEM, Works


class Holder:
    """A holder with a paired phone and an authenticator that steps on with the clock."""

    def __init__(self, pocket: Pocket, secret: str, clock: TurnedClock) -> None:
        self.pocket = pocket
        self.secret = secret
        self.clock = clock
        issuing = Issuing(vault=pocket.vault)
        self.kinds: dict[str, IntentKind] = {k.name: k for k in cards.kinds(issuing)}

    def code(self) -> str:
        return self.pocket.totp(self.secret)

    async def prepare(self, kind: str, **fields: Any) -> dict[str, Any]:
        room = self.kinds[kind]
        return await self.pocket.prepare(room, msgspec.convert(fields, room.fields))

    async def authorise(self, kind: str, shown: dict[str, Any], code: str | None = None) -> Outcome:
        return await self.pocket.authorise(self.kinds[kind], shown, code=code)

    async def do(self, kind: str, **fields: Any) -> Outcome:
        self.clock.advance(timedelta(seconds=30))
        shown = await self.prepare(kind, **fields)
        return await self.authorise(kind, shown, self.code())

    async def card(self) -> str:
        outcome = await self.do("card.create", currency="USD")
        assert isinstance(outcome, Done), outcome
        return str(outcome.answer["card"]["id"])


@pytest.fixture
async def holder(works: Works, teller: Teller, vault: Vault, clock: TurnedClock) -> Holder:
    person = await world.holder(works, vault=vault, usd=10_000)
    pocket = await Pocket(works, teller, vault, person).pair()
    return Holder(pocket, await pocket.enrol_totp(), clock)


async def test_made_shown_frozen_unfrozen_closed(holder: Holder) -> None:
    card_id = await holder.card()
    shown = await holder.do("card.reveal", card_id=card_id)
    assert isinstance(shown, Done)
    assert shown.secret is not None
    content = holder.pocket.key.decrypt(shown.secret["jwe"])
    assert content["number"].endswith(shown.answer["card"]["last_four"])
    await holder.pocket.works.perform(
        SYSTEM,
        holder.pocket.bank,
        lambda work: control.freeze_card(
            work,
            msgspec.convert(card_id, CardId),
            holder_id=holder.pocket.holder.id,
        ),
    )
    unfrozen = await holder.do("card.unfreeze", card_id=card_id)
    assert isinstance(unfrozen, Done)
    closing = await holder.prepare("card.close", card_id=card_id)
    assert closing["needs"]["otp"] == "none"
    closed = await holder.authorise("card.close", closing)
    assert isinstance(closed, Done)
    assert closed.answer["card"]["state"] == "CLOSED"


@pytest.mark.parametrize("kind", ["card.create", "card.reveal"])
async def test_a_one_time_password_is_always_asked_for(holder: Holder, kind: str) -> None:
    card_id = await holder.card()
    fields = {"currency": "USD"} if kind == "card.create" else {"card_id": card_id}
    shown = await holder.prepare(kind, **fields)
    assert shown["needs"]["otp"] == "required"
    with pytest.raises(Refused) as caught:
        await holder.authorise(kind, shown)
    assert caught.value.reason is Reason.OTP_REQUIRED
    outcome = await holder.authorise(kind, shown, wrong(holder.code()))
    assert isinstance(outcome, Declined)
    assert outcome.reason is Reason.OTP_WRONG


async def test_a3_3_the_code_of_another_act_does_not_serve_again(holder: Holder) -> None:
    await holder.card()
    shown = await holder.prepare("card.create", currency="USD")
    outcome = await holder.authorise("card.create", shown, holder.code())
    assert isinstance(outcome, Declined)
    assert outcome.reason is Reason.OTP_WRONG


async def test_a3_4_a_double_tap_makes_one_card(holder: Holder) -> None:
    shown = await holder.prepare("card.create", currency="USD")
    outcomes = await asyncio.gather(
        *(holder.authorise("card.create", shown, holder.code()) for _ in range(5))
    )
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    assert len({str(outcome) for outcome in outcomes}) == 1
    made = await holder.pocket.works.read(
        SYSTEM, holder.pocket.bank, lambda work: rows.of_holder(work, holder.pocket.holder.id)
    )
    assert len(made) == 1


async def test_what_was_shown_once_is_not_shown_again(holder: Holder) -> None:
    card_id = await holder.card()
    holder.clock.advance(timedelta(seconds=30))
    shown = await holder.prepare("card.reveal", card_id=card_id)
    first = await holder.authorise("card.reveal", shown, holder.code())
    again = await holder.authorise("card.reveal", shown, holder.code())
    assert isinstance(first, Done)
    assert isinstance(again, Done)
    assert first.secret is not None
    assert again.secret is None
    assert again.answer == first.answer
    stored = await everything_stored(holder.pocket.works)
    number = holder.pocket.key.decrypt(first.secret["jwe"])["number"]
    assert number not in stored
    assert first.secret["jwe"] not in stored


async def test_a7_2_a_thief_with_the_phone_unfreezes_nothing_without_the_code(
    holder: Holder,
) -> None:
    works, bank = holder.pocket.works, holder.pocket.bank
    await works.perform(
        SYSTEM, bank, lambda work: control.freeze_smart_id(work, holder.pocket.holder.id)
    )
    for _ in range(5):
        try:
            shown = await holder.prepare("smart_id.unfreeze")
            outcome = await holder.authorise("smart_id.unfreeze", shown, wrong(holder.code()))
        except Refused:
            break
        assert isinstance(outcome, Declined)
    shown = await holder.prepare("smart_id.unfreeze")
    locked = await holder.authorise("smart_id.unfreeze", shown, holder.code())
    assert isinstance(locked, Declined)
    assert locked.reason is Reason.OTP_LOCKED
