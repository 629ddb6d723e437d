"""What happened, as published facts: the contract between the wallet and notifications.

Promise: an event is written in the transaction of the fact it tells, carries no secret and only
masked numbers, and is never changed. Who calls: every room that has something to announce.
"""

from datetime import datetime

from msgspec import Struct

from wallet.identifiers import HolderId
from wallet.money import Money


class _Event(Struct, frozen=True, kw_only=True, tag_field="event"):
    holder_id: HolderId


class SalaryPaid(_Event, frozen=True, kw_only=True, tag="salary.paid"):
    money: Money
    agency: str
    period: str
    half: int
    account_last_four: str
    run_id: str


class QrPaid(_Event, frozen=True, kw_only=True, tag="qr.paid"):
    money: Money
    payee: str
    reference: str


class Exchanged(_Event, frozen=True, kw_only=True, tag="exchange.done"):
    """Money changed between the holder's own wallets."""

    given: Money
    got: Money
    reference: str


class TopupSucceeded(_Event, frozen=True, kw_only=True, tag="topup.succeeded"):
    money: Money
    operator: str
    phone_masked: str
    reference: str


class TopupFailed(_Event, frozen=True, kw_only=True, tag="topup.failed"):
    money: Money
    operator: str
    phone_masked: str
    reference: str


class TopupUnknown(_Event, frozen=True, kw_only=True, tag="topup.unknown"):
    money: Money
    operator: str
    phone_masked: str
    reference: str


class TopupReversed(_Event, frozen=True, kw_only=True, tag="topup.reversed"):
    money: Money
    operator: str
    phone_masked: str
    reference: str


class TopupInRecovery(_Event, frozen=True, kw_only=True, tag="topup.in_recovery"):
    """The operator delivered after the money had been given back: a case, nothing was debited."""

    money: Money
    operator: str
    phone_masked: str
    reference: str


class CardChanged(_Event, frozen=True, kw_only=True, tag="card.changed"):
    """A virtual card was made, claimed, frozen, unfrozen, closed, reversed or expired."""

    card_id: str
    last_four: str
    state: str
    cause: str


class CardRevealed(_Event, frozen=True, kw_only=True, tag="card.revealed"):
    card_id: str
    last_four: str


class CardTokenChanged(_Event, frozen=True, kw_only=True, tag="card.token_changed"):
    """A card went into a phone's wallet, or was suspended in it or taken out of it."""

    card_id: str
    last_four: str
    wallet: str
    device: str
    state: str


class CardWaiting(_Event, frozen=True, kw_only=True, tag="card.waiting"):
    """A card asked for at an ATM waits to be claimed in the app."""

    card_id: str
    last_four: str
    terminal: str
    claim_expires_at: datetime


class _Purchase(_Event, frozen=True, kw_only=True):
    """`money` as the shop asked it, `charged` what it is to the wallet."""

    authorisation_id: str
    last_four: str
    merchant: str
    money: Money
    charged: Money


class PurchaseAllowed(_Purchase, frozen=True, kw_only=True, tag="purchase.allowed"):
    """A shop may take this: it is held."""


class PurchaseDeclined(_Purchase, frozen=True, kw_only=True, tag="purchase.declined"):
    """`reason` is the catalogue's; what to do about it stands with its words."""

    reason: str


class PurchaseTaken(_Purchase, frozen=True, kw_only=True, tag="purchase.taken"):
    """The shop took its money."""


class PurchaseReleased(_Purchase, frozen=True, kw_only=True, tag="purchase.released"):
    """What was held is free again: `cause` is reversed, expired or too_late."""

    cause: str


class PurchaseReturned(_Purchase, frozen=True, kw_only=True, tag="purchase.returned"):
    """The shop gave money back."""


class PurchaseAsked(_Purchase, frozen=True, kw_only=True, tag="purchase.asked"):
    """A purchase out of pattern waits for its holder's yes in the app, until `ends_at`."""

    challenge_id: str
    ends_at: datetime


class ControlsChanged(_Event, frozen=True, kw_only=True, tag="controls.changed"):
    """A holder set what a card of theirs (its last four), or all of them (empty), may be used for.
    `looser`: something may be allowed that was not before."""

    last_four: str
    looser: bool


class SmartIdPaymentChanged(_Event, frozen=True, kw_only=True, tag="smart_id.payment_changed"):
    """Paying with the Smart ID was stopped, let go on or ended. `cards_kept`: it is FROZEN, and its
    virtual cards go on, as its holder chose."""

    state: str
    cause: str
    cards_kept: bool = False


class DevicePaired(_Event, frozen=True, kw_only=True, tag="device.paired"):
    channel: str
    replaced: bool


class SecurityNotice(_Event, frozen=True, kw_only=True, tag="security.notice"):
    """Something about the holder's credentials changed: `what` is a catalogue key."""

    what: str


class DisputeOpened(_Event, frozen=True, kw_only=True, tag="dispute.opened"):
    dispute_id: str
    case_number: str
    answer_by: str


class DisputeRefunded(_Event, frozen=True, kw_only=True, tag="dispute.refunded"):
    """`fee`: what the bank had taken for the act and gives back with the last of its price."""

    dispute_id: str
    case_number: str
    money: Money
    fee: Money | None = None


class DisputeClosed(_Event, frozen=True, kw_only=True, tag="dispute.closed"):
    dispute_id: str
    case_number: str
    disposition: str


class ShortfallSettled(_Event, frozen=True, kw_only=True, tag="shortfall.settled"):
    """What a forced payment had left open is settled. `how`: taken (from the wallet), given (to
    it), borne (by the bank, for the wallet) or kept (by the bank, of a closed wallet's money)."""

    money: Money
    how: str
    reference: str


Event = (
    SalaryPaid
    | QrPaid
    | Exchanged
    | TopupSucceeded
    | TopupFailed
    | TopupUnknown
    | TopupReversed
    | TopupInRecovery
    | CardChanged
    | CardRevealed
    | CardTokenChanged
    | CardWaiting
    | PurchaseAllowed
    | PurchaseDeclined
    | PurchaseTaken
    | PurchaseReleased
    | PurchaseReturned
    | PurchaseAsked
    | ControlsChanged
    | SmartIdPaymentChanged
    | DevicePaired
    | SecurityNotice
    | DisputeOpened
    | DisputeRefunded
    | DisputeClosed
    | ShortfallSettled
)
