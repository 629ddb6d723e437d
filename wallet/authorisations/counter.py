"""The counter a group of messages is served at: books, limits, cards and purchases, all loaded.

Promise: one hold in the books a purchase, always for what is still open of it; a change is the old
hold released and a new one in its place, in one step nobody can come between. What the limits
count of a purchase is moved with it, and both stand in the event that did it.

Who calls: requests, settling, releasing (each decides one kind of message here).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from wallet import controls
from wallet.authorisations.amounts import Rate
from wallet.authorisations.habits import Habits
from wallet.authorisations.messages import Kind, Merchant, Message
from wallet.authorisations.records import Alone, Case, Cause, Event, Life, Lives, Purchase
from wallet.authorisations.states import Counted, Standing, status_of
from wallet.cards.purchasing import Tray
from wallet.cards.states import Card
from wallet.controls import Controls
from wallet.controls import Purchase as Asked
from wallet.events import Event as Published
from wallet.fees import FeeSheet, charge, fee_id
from wallet.identifiers import AccountId, CardId, HolderId, TransferId, derived_id
from wallet.ledger.book import Book, Posting, Reversal, TransferKind
from wallet.limits import OwnLimits
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, Facts, Outcome
from wallet.work import Work

LIFE: Final = timedelta(days=7)
"""How long an authorisation holds money that no shop has taken."""

LONGEST_LIFE: Final = timedelta(days=31)
UNNAMED: Final = Merchant(id="", name="")
"""Of a purchase that began with a reversal, which names no shop."""

MARGIN: Final = timedelta(days=14)
"""The hold in the books outlives the authorisation, so that its own state decides, never that."""


class House(Struct, frozen=True, kw_only=True):
    """The bank's own accounts that purchases touch, each by its currency."""

    settlement: Mapping[Currency, AccountId]
    position: Mapping[Currency, AccountId]
    spread: Mapping[Currency, AccountId]
    rounding: Mapping[Currency, AccountId]
    suspense: Mapping[Currency, AccountId]
    fees: Mapping[Currency, AccountId]

    def every(self) -> list[AccountId]:
        each = (
            self.settlement,
            self.position,
            self.spread,
            self.rounding,
            self.suspense,
            self.fees,
        )
        return [account for of in each for account in of.values()]

    def target(self, standing: Standing) -> AccountId:
        """Where a wallet's money for this purchase goes."""
        if standing.settlement is standing.wallet:
            return self.settlement[standing.wallet]
        return self.position[standing.wallet]


class Moved(Struct, kw_only=True):
    """What an event did besides changing where a purchase stands."""

    transfer_id: UUID | None = None
    paid: int = 0
    short: int = 0
    cardholder: int = 0
    fee: int = 0
    cause: Cause | None = None
    beyond: int = 0
    facts: Facts = {}


class Counter:
    """One group's view of everything its messages need; written once at the end."""

    def __init__(
        self,
        work: Work,
        *,
        book: Book,
        controls: Controls,
        lives: Lives,
        tray: Tray,
        habits: Habits,
        house: House,
        fees: FeeSheet,
        rate: Rate | None,
        alone: Alone,
    ) -> None:
        self.work = work
        self.now = work.now
        self.book = book
        self.controls = controls
        self.lives = lives
        self.tray = tray
        self.habits = habits
        self.house = house
        self.fees = fees
        self.rate = rate
        self.alone = alone
        self.cases: list[Case] = []
        self.told: list[Published] = []
        self._asked: dict[UUID, Asked] = {}
        """What the controls were last asked for each message."""

    # money

    def card(self, message: Message) -> Card | None:
        """The card a message names; None when it is not ours."""
        return card_of(self.tray, message)

    def held(self, life: Life, message: Message, standing: Standing) -> Standing | Declined:
        """Hold the wallet's money for what is open, with the fee that is still to be taken."""
        return self._held(life, message, standing, self._needed(standing))

    def held_short(self, life: Life, message: Message, standing: Standing) -> Standing:
        """Hold as much of it as there is; of a closed wallet nothing."""
        free = replace(standing, held_minor=0, hold_id=None)
        minor = self._needed(standing)
        if minor:
            account = _account(_purchase(life))
            minor = min(minor, self.book.available(account).minor)
        held = self._held(life, message, standing, minor)
        return free if isinstance(held, Declined) else held

    def _needed(self, standing: Standing) -> int:
        if standing.open_s == 0:
            return 0
        ends = standing.cleared_s + standing.open_s
        minor = standing.pricing.between(standing.cleared_s, ends).charge
        return minor + (0 if standing.fee_taken else standing.fee_minor)

    def _held(
        self, life: Life, message: Message, standing: Standing, minor: int
    ) -> Standing | Declined:
        if minor <= 0:
            return replace(standing, held_minor=0, hold_id=None)
        assert standing.expires_at is not None  # noqa: S101 - what is held has an end
        hold_id = TransferId(derived_id(message.event_id, "hold"))
        posting = Posting(
            id=hold_id,
            debit=_account(_purchase(life)),
            credit=self.house.target(standing),
            money=Money(minor, standing.wallet),
            kind=TransferKind.CARD_PURCHASE,
            reference=_purchase(life).id,
        )
        posted = self.book.hold(posting, standing.expires_at - self.now + MARGIN)
        if isinstance(posted, Declined):
            return posted
        return replace(standing, held_minor=minor, hold_id=hold_id)

    def charge_fee(
        self, life: Life, message: Message, standing: Standing, moved: Moved
    ) -> Standing:
        """Take the bank's fee, once, with what is taken first; a wallet that has no more than what
        the shop took is let off."""
        if standing.fee_taken or standing.fee_minor == 0:
            return replace(standing, fee_taken=True)
        fee = Money(standing.fee_minor, standing.wallet)
        account, income = _account(_purchase(life)), self.house.fees[standing.wallet]
        act = TransferId(message.event_id)
        charged = charge(self.book, act, account, income, fee, TransferKind.FEE)
        if isinstance(charged, Declined):
            return replace(standing, fee_taken=True, fee_minor=0)
        moved.fee = fee.minor
        return replace(standing, fee_taken=True)

    def give_fee_back(
        self, message: Message, life: Life, standing: Standing, moved: Moved
    ) -> Standing:
        """Give back what was taken on top of a purchase that is taken back whole."""
        back = sum(event.fee_minor for event in life.events if event.kind is Kind.FINANCIAL)
        if back == 0:
            return standing
        taken = fee_id(TransferId(life.events[0].id))
        answer = self.book.reverse(
            Reversal(
                id=TransferId(derived_id(message.event_id, "fee_back")),
                original_id=taken,
                kind=TransferKind.FEE,
                reference=message.authorisation_id,
            ),
            self.suspense(standing),
        )
        if isinstance(answer, Declined):
            raise AssertionError(f"a fee could not be given back: {answer.reason.value}")
        moved.fee = back
        return replace(standing, fee_minor=0)

    def void(self, message: Message, standing: Standing) -> None:
        """Release what is held, if anything is."""
        if standing.hold_id is None:
            return
        part = derived_id(message.event_id, "void")
        voided = self.book.void(TransferId(part), TransferId(standing.hold_id))
        if isinstance(voided, Declined):
            raise AssertionError(f"an open purchase without its hold: {voided.reason.value}")

    def post(
        self, message: Message, part: str, debit: AccountId, credit: AccountId, money: Money
    ) -> None:
        """Move money between the bank's own accounts, which cannot fail; of nothing, nothing."""
        if money.minor == 0:
            return
        if money.minor < 0:
            debit, credit, money = credit, debit, Money(-money.minor, money.currency)
        posting = Posting(
            id=TransferId(derived_id(message.event_id, part)),
            debit=debit,
            credit=credit,
            money=money,
            kind=TransferKind.CARD_EXCHANGE,
            reference=message.authorisation_id,
        )
        answer = self.book.post(posting)
        if isinstance(answer, Declined):
            raise AssertionError(f"between house accounts: {answer.reason.value}")

    def exchange(self, message: Message, standing: Standing, before: int, after: int) -> None:
        """The bank's side of a purchase in another currency, going from `before` to `after` of what
        it settles (backwards for what is given back)."""
        if standing.rate is None or before == after:
            return
        house, wallet = self.house, standing.wallet
        part = standing.pricing.between(before, after)
        settled = Money(after - before, standing.settlement)
        position = house.position[wallet]
        self.post(
            message,
            "settled",
            house.position[standing.settlement],
            house.settlement[standing.settlement],
            settled,
        )
        spread = Money(part.spread, wallet)
        self.post(message, "spread", position, house.spread[wallet], spread)
        rounding = Money(part.rounding, wallet)
        self.post(message, "rounding", position, house.rounding[wallet], rounding)

    def suspense(self, standing: Standing) -> AccountId:
        return self.house.suspense[standing.wallet]

    def suspense_of(self, currency: Currency) -> AccountId:
        return self.house.suspense[currency]

    # limits

    def asking(
        self, life: Life, message: Message, standing: Standing, minor: int, *, another: bool = True
    ) -> Asked:
        """So much of a purchase, as the controls are asked about it; not `another`: more of one."""
        purchase = _purchase(life)
        card = None if purchase.card_id is None else self.tray.card(purchase.card_id)
        own = None if card is None else own_of(card)
        asked = counted_of(
            purchase, Counted(id=message.event_id, minor=minor, at=self.now), standing
        )
        asked = self._asked[asked.id] = replace(asked, own=own, another=another)
        return asked

    def left(self, life: Life, message: Message, standing: Standing) -> Facts:
        """What the limits leave for another purchase like this one; of nobody's card nothing."""
        purchase = life.purchase
        if purchase is None or purchase.card_id is None or self.tray.card(purchase.card_id) is None:
            return {}
        asked = self._asked.get(message.event_id) or self.asking(life, message, standing, 0)
        return self.controls.left(asked)

    def count(self, asked: Asked, standing: Standing) -> Standing:
        """Count what is held or was taken by force."""
        self.controls.count(asked)
        part = Counted(id=asked.id, minor=asked.amount.minor, at=self.now)
        return replace(standing, counted=(*standing.counted, part))

    def recount(self, life: Life, message: Message, standing: Standing, minor: int) -> Standing:
        """Have the limits count `minor` in all: less is given back where it was counted, the last
        first; more, which nobody was asked about, is counted now."""
        before = standing.counted_minor
        if minor > before:
            another = not standing.counted
            more = self.asking(life, message, standing, minor - before, another=another)
            return self.count(more, standing)
        parts = list(standing.counted)
        over = before - minor
        while over > 0:
            part = parts.pop()
            back = min(over, part.minor)
            over -= back
            asked = counted_of(_purchase(life), part, standing)
            asked = replace(asked, another=not parts)
            if back == part.minor:
                self.controls.give_back(asked)
            else:
                kept = part.minor - back
                self.controls.give_back(asked, Money(kept, standing.wallet))
                parts.append(replace(part, minor=kept))
        return replace(standing, counted=tuple(parts))

    # what is left behind

    def record(
        self, life: Life, message: Message, standing: Standing, moved: Moved, outcome: Outcome
    ) -> Outcome:
        """Keep an event with its answer; open its case, where it has one."""
        purchase = life.purchase
        if purchase is None:
            purchase = life.purchase = purchase_of(message, None, self.now)
        money = message.money
        local = message.local or (
            (0, standing.settlement.value) if money is None else (money.minor, money.currency.value)
        )
        event = Event(
            authorisation_id=purchase.id,
            place=len(life.events) + 1,
            id=message.event_id,
            kind=message.kind,
            message_key=message.message_key,
            fingerprint=message.fingerprint,
            answer=_ENCODER.encode(outcome),
            reason=outcome.reason.value if isinstance(outcome, Declined) else None,
            cardholder_minor=moved.cardholder,
            cardholder_currency=standing.wallet.value,
            settlement_minor=0 if money is None else money.minor,
            settlement_currency=standing.settlement.value,
            merchant_minor=local[0],
            merchant_currency=local[1],
            fee_minor=moved.fee,
            transfer_id=moved.transfer_id,
            paid_minor=moved.paid,
            short_minor=moved.short,
            standing=standing,
            at=self.now,
        )
        self.lives.add(life, event)
        if moved.cause is not None:
            self._open_case(purchase, event, moved, standing)
        return outcome

    def _open_case(
        self, purchase: Purchase, event: Event, moved: Moved, standing: Standing
    ) -> None:
        assert moved.cause is not None  # noqa: S101 - asked before
        self.cases.append(
            Case(
                id=derived_id(event.id, "case"),
                authorisation_id=purchase.id,
                event_id=event.id,
                holder_id=purchase.holder_id,
                cause=moved.cause,
                beyond_minor=moved.beyond,
                short_minor=moved.short,
                currency=standing.wallet.value,
                at=self.now,
            )
        )
        self.work.note(
            "authorisation.case",
            str(purchase.id),
            holder_id=purchase.holder_id,
            reason=moved.cause.value,
        )

    def answer(
        self, life: Life, message: Message, standing: Standing, moved: Moved, **facts: str | int
    ) -> Done:
        """What the network is told of a message that was taken."""
        told: dict[str, Any] = {
            "authorisation_id": str(message.authorisation_id),
            "event_id": str(message.event_id),
            "kind": message.kind.value,
            "status": status_of(standing, self.now).value,
            "approval_code": f"{message.event_id.int % 1_000_000:06d}",
            "currency": standing.settlement.value,
            "open_minor": standing.open_s,
            "cleared_minor": standing.cleared_s,
            "returned_minor": standing.returned_s,
            "cardholder_minor": moved.cardholder,
            "cardholder_currency": standing.wallet.value,
            "hold_minor": standing.held_minor,
        }
        if standing.rate is not None:
            told["rate_hundredths"] = standing.rate.mid_hundredths
            told["spread_bps"] = standing.rate.spread_bps
        if standing.fee_minor:
            told["fee_minor"] = standing.fee_minor
        if standing.expires_at is not None and standing.open_s:
            told["expires_at"] = standing.expires_at.isoformat()
        purchase = life.purchase
        if purchase is not None and purchase.account_id is not None:
            told["available_minor"] = self.book.available(purchase.account_id).minor
        return Done(answer={**told, **moved.facts, **facts})

    def tell(self, event: Published) -> None:
        self.told.append(event)


def card_of(tray: Tray, message: Message) -> Card | None:
    """The card a message names, by its number or its id."""
    if message.number_index is not None:
        return tray.by_index(message.number_index)
    return None if message.card_id is None else tray.card(message.card_id)


def counted_of(purchase: Purchase, part: Counted, standing: Standing) -> controls.Purchase:
    """A part of a purchase as it was counted."""
    shop = purchase.merchant
    return controls.Purchase(
        id=part.id,
        card_id=_lineage(purchase),
        holder_id=_holder(purchase),
        amount=Money(part.minor, standing.wallet),
        merchant=controls.Merchant(id=shop.id, name=shop.name, mcc=shop.mcc, country=shop.country),
        channel=purchase.channel,
        moment=part.at,
    )


def own_of(card: Card) -> OwnLimits:
    return OwnLimits(
        per_use_minor=card.per_use_limit_minor,
        daily_minor=card.daily_limit_minor,
        uses_per_day=card.uses_per_day,
    )


def purchase_of(message: Message, card: Card | None, now: datetime) -> Purchase:
    """The purchase that a message begins."""
    return Purchase(
        id=message.authorisation_id,
        key=message.lifecycle,
        network=message.network,
        holder_id=None if card is None else card.holder_id,
        card_id=None if card is None else card.id,
        lineage=None if card is None else card.lineage,
        account_id=None if card is None else card.account_id,
        last_four=None if card is None else card.last_four,
        channel=message.channel,
        merchant=message.merchant or UNNAMED,
        at=now,
    )


def _purchase(life: Life) -> Purchase:
    assert life.purchase is not None  # noqa: S101 - made before anything is decided on it
    return life.purchase


def _account(purchase: Purchase) -> AccountId:
    assert purchase.account_id is not None  # noqa: S101 - nothing is held for a card not ours
    return purchase.account_id


def _holder(purchase: Purchase) -> HolderId:
    assert purchase.holder_id is not None  # noqa: S101 - as above
    return purchase.holder_id


def _lineage(purchase: Purchase) -> CardId:
    assert purchase.lineage is not None  # noqa: S101 - as above
    return purchase.lineage


_ENCODER: Final = msgspec.json.Encoder()

__all__: Sequence[str] = ("Counter", "House", "Moved")
