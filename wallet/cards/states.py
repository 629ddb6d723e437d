"""The virtual card's states as data, and every decision about them: pure, no database.

Promise: what is not in the table does not happen. A card's freezes are a set, one for each party
that froze it: lifting one leaves the others. The Smart ID's freeze is not stored on the card at
all: it is read from the Smart ID itself, so its cards stop and go on in the very transaction in
which the Smart ID does, whoever changed it, and only what it froze comes back. A holder who freezes
their own Smart ID may keep its cards going (`cards_kept`): what is there goes on paying, with the
limits it has, and nothing new is made or claimed (decision 0058).

    state                 may become
    REQUESTED             ISSUED_PENDING_CLAIM ACTIVE
    ISSUED_PENDING_CLAIM  ACTIVE REVERSED EXPIRED CLOSED     ten minutes to be claimed
    ACTIVE                FROZEN CLOSED EXPIRED
    FROZEN                ACTIVE CLOSED EXPIRED
    CLOSED REVERSED EXPIRED   -

Owns no table. Who calls: this package; authorisations (`usable`).
"""

import enum
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from wallet.clock import day_of
from wallet.identifiers import AccountId, BankId, CardId, HolderId, SmartIdId
from wallet.money import Currency
from wallet.outcomes import Reason, Refused
from wallet.registry.states import IdentityState, Party, PaymentState


class CardState(enum.StrEnum):
    REQUESTED = "REQUESTED"
    ISSUED_PENDING_CLAIM = "ISSUED_PENDING_CLAIM"
    ACTIVE = "ACTIVE"
    FROZEN = "FROZEN"
    CLOSED = "CLOSED"
    REVERSED = "REVERSED"
    EXPIRED = "EXPIRED"


class Substatus(enum.StrEnum):
    """Why a card is not open, in Lithic's names."""

    LOST = "LOST"
    COMPROMISED = "COMPROMISED"
    DAMAGED = "DAMAGED"
    END_USER_REQUEST = "END_USER_REQUEST"
    ISSUER_REQUEST = "ISSUER_REQUEST"
    NOT_ACTIVE = "NOT_ACTIVE"
    SUSPICIOUS_ACTIVITY = "SUSPICIOUS_ACTIVITY"
    INTERNAL_REVIEW = "INTERNAL_REVIEW"
    EXPIRED = "EXPIRED"
    UNDELIVERABLE = "UNDELIVERABLE"
    OTHER = "OTHER"


class Freezer(enum.StrEnum):
    """Who can stop a card. SMART_ID is never stored: it is read from the Smart ID."""

    HOLDER = "HOLDER"
    BANK = "BANK"
    SMART_ID = "SMART_ID"


class CardKind(enum.StrEnum):
    """OPEN: any shop. SINGLE_USE: closed by its first approval. MERCHANT_LOCKED: to the merchant
    named, or to that of its first approval. RECURRING: locked likewise, and only for charges under
    a standing agreement."""

    OPEN = "open"
    SINGLE_USE = "single_use"
    MERCHANT_LOCKED = "merchant_locked"
    RECURRING = "recurring"

    @property
    def locks(self) -> bool:
        return self in (CardKind.MERCHANT_LOCKED, CardKind.RECURRING)


class Channel(enum.StrEnum):
    APP = "app"
    ATM = "atm"


_S = CardState
MAY_BECOME: Final[Mapping[CardState, frozenset[CardState]]] = {
    _S.REQUESTED: frozenset({_S.ISSUED_PENDING_CLAIM, _S.ACTIVE}),
    _S.ISSUED_PENDING_CLAIM: frozenset({_S.ACTIVE, _S.REVERSED, _S.EXPIRED, _S.CLOSED}),
    _S.ACTIVE: frozenset({_S.FROZEN, _S.CLOSED, _S.EXPIRED}),
    _S.FROZEN: frozenset({_S.ACTIVE, _S.CLOSED, _S.EXPIRED}),
    _S.CLOSED: frozenset(),
    _S.REVERSED: frozenset(),
    _S.EXPIRED: frozenset(),
}
OVER: Final = frozenset({_S.CLOSED, _S.REVERSED, _S.EXPIRED})

_STRENGTH: Final = {Freezer.HOLDER: 0, Freezer.BANK: 1}


class Card(Struct, frozen=True, kw_only=True):
    """A virtual card as rooms and its holder may see it: never more than the last four digits.

    `state` and `frozen_by` are what is stored; `now` and `frozen_now` count the Smart ID in.
    """

    id: CardId
    bank: BankId
    holder_id: HolderId
    smart_id_id: SmartIdId
    state: CardState
    substatus: Substatus | None
    frozen_by: frozenset[Freezer]
    kind: CardKind
    currency: Currency
    account_id: AccountId
    label: str
    last_four: str
    expires_on: date
    channel: Channel
    claim_expires_at: datetime | None
    claim_failures: int
    terminal_name: str | None
    per_use_limit_minor: int | None
    daily_limit_minor: int | None
    uses_per_day: int | None
    locked_merchant: str | None
    locked_name: str | None
    spent_by: UUID | None
    exchanges: bool
    lineage: CardId
    replaces: CardId | None
    replaced_by: CardId | None
    cvv_failures: int
    tokenised: bool
    made_at: datetime
    changed_at: datetime
    identity_state: IdentityState
    payment_state: PaymentState
    cards_kept: bool = False

    @property
    def stopped_by_smart_id(self) -> Reason | None:
        """Why its Smart ID stops it; None while it does not."""
        return decide_goes_on(self.identity_state, self.payment_state, self.cards_kept)

    @property
    def frozen_now(self) -> frozenset[Freezer]:
        stopped = self.stopped_by_smart_id is not None
        return self.frozen_by | {Freezer.SMART_ID} if stopped else self.frozen_by

    def standing(self, moment: datetime) -> CardState:
        """The state a payment or a reader meets at `moment`, whatever jobs are late."""
        if self.state is CardState.ISSUED_PENDING_CLAIM and self.claim_over(moment):
            return CardState.EXPIRED
        if self.state in (CardState.ACTIVE, CardState.FROZEN):
            if day_of(moment) > self.expires_on:
                return CardState.EXPIRED
            return CardState.FROZEN if self.frozen_now else CardState.ACTIVE
        return self.state

    def claim_over(self, moment: datetime) -> bool:
        """Claims end exactly at `claim_expires_at`: that moment itself is too late."""
        return self.claim_expires_at is not None and moment >= self.claim_expires_at

    def live(self, moment: datetime) -> bool:
        """Whether it counts towards the holder's quota."""
        return self.standing(moment) not in OVER

    def view(self, moment: datetime) -> dict[str, Any]:
        """What its holder's app shows of it."""
        return {
            "id": str(self.id),
            "last_four": self.last_four,
            "label": self.label,
            "kind": self.kind.value,
            "currency": self.currency.value,
            "state": self.standing(moment).value,
            "substatus": self.substatus.value if self.substatus else None,
            "frozen_by": sorted(freezer.value for freezer in self.frozen_now),
            "expires_on": self.expires_on.isoformat(),
            "channel": self.channel.value,
            "terminal_name": self.terminal_name,
            "claim_expires_at": self.claim_expires_at.isoformat()
            if self.claim_expires_at and self.state is CardState.ISSUED_PENDING_CLAIM
            else None,
            "per_use_limit_minor": self.per_use_limit_minor,
            "daily_limit_minor": self.daily_limit_minor,
            "uses_per_day": self.uses_per_day,
            "merchant": self.locked_name,
            "exchanges": self.exchanges,
            "replaces": str(self.replaces) if self.replaces else None,
            "replaced_by": str(self.replaced_by) if self.replaced_by else None,
            "made_at": self.made_at.isoformat(),
        }


def decide(card: Card, to: CardState, substatus: Substatus | None) -> Card:
    """The card after this step. Refuses: ILLEGAL_TRANSITION."""
    if to not in MAY_BECOME[card.state]:
        raise Refused(Reason.ILLEGAL_TRANSITION, now=card.state.value, wanted=to.value)
    return replace(card, state=to, substatus=substatus)


def decide_freeze(card: Card, by: Freezer, moment: datetime) -> Card:
    """The card frozen by one more party; the same card when it already is.

    Refuses: CARD_NOT_ACTIVE (waiting for its claim, or over).
    """
    if card.standing(moment) not in (CardState.ACTIVE, CardState.FROZEN):
        raise Refused(Reason.CARD_NOT_ACTIVE, state=card.standing(moment).value)
    if by in card.frozen_by:
        return card
    holders_own = by is Freezer.HOLDER
    substatus = Substatus.END_USER_REQUEST if holders_own else Substatus.ISSUER_REQUEST
    if card.state is CardState.FROZEN:
        kept = card.substatus if holders_own else substatus
        return replace(card, frozen_by=card.frozen_by | {by}, substatus=kept)
    return replace(decide(card, CardState.FROZEN, substatus), frozen_by=frozenset({by}))


def decide_unfreeze(card: Card, by: Freezer, moment: datetime) -> Card:
    """The card without this party's freeze: still frozen when another's remains.

    Refuses: CARD_NOT_ACTIVE, FORBIDDEN (only a stronger party's freeze is on it),
    SMART_ID_FROZEN (only the Smart ID's is).
    """
    if card.standing(moment) not in (CardState.ACTIVE, CardState.FROZEN):
        raise Refused(Reason.CARD_NOT_ACTIVE, state=card.standing(moment).value)
    if by not in card.frozen_by:
        if any(_STRENGTH[freezer] > _STRENGTH[by] for freezer in card.frozen_by):
            raise Refused(Reason.FORBIDDEN, frozen_by=Freezer.BANK.value)
        if Freezer.SMART_ID in card.frozen_now:
            raise Refused(Reason.SMART_ID_FROZEN)
        return card
    left = card.frozen_by - {by}
    if left:
        banks = Freezer.BANK in left
        substatus = Substatus.ISSUER_REQUEST if banks else Substatus.END_USER_REQUEST
        return replace(card, frozen_by=left, substatus=substatus)
    return replace(decide(card, CardState.ACTIVE, None), frozen_by=frozenset())


def decide_smart_id(identity: IdentityState, payment: PaymentState) -> Reason | None:
    """Why no card may be made or claimed for a Smart ID in these states; None when it may."""
    if identity is not IdentityState.VALID:
        return Reason.SMART_ID_NOT_ACTIVE
    if payment is PaymentState.FROZEN:
        return Reason.SMART_ID_FROZEN
    return None if payment is PaymentState.ACTIVE else Reason.SMART_ID_NOT_ACTIVE


def decide_goes_on(
    identity: IdentityState, payment: PaymentState, cards_kept: bool
) -> Reason | None:
    """Why a card that is there does not go on under a Smart ID in these states; None when it
    does."""
    reason = decide_smart_id(identity, payment)
    return None if cards_kept and reason is Reason.SMART_ID_FROZEN else reason


__all__ = [
    "MAY_BECOME",
    "OVER",
    "Card",
    "CardKind",
    "CardState",
    "Channel",
    "Freezer",
    "Party",
    "Substatus",
    "decide",
    "decide_freeze",
    "decide_goes_on",
    "decide_smart_id",
    "decide_unfreeze",
]
