"""The closed catalogue of everything the system can answer when it does not simply say yes.

Promise: a *refusal* (`Refused`, raised) means nothing happened; a *decline* (`Declined`, returned)
is a committed result that counts and is announced. Every door has one total table from `Reason`
to its own words. Who calls: everyone.
"""

import enum
from typing import Any, Final

from msgspec import Struct


class Reason(enum.StrEnum):
    """Why an act did not go through. The value is the stable code shown to callers."""

    # bad input
    INVALID_REQUEST = "invalid_request"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    CURSOR_INVALID = "cursor_invalid"
    AMOUNT_INVALID = "amount_invalid"
    CURRENCY_UNSUPPORTED = "currency_unsupported"
    # repeats
    IDEMPOTENCY_KEY_MISSING = "idempotency_key_missing"
    IDEMPOTENCY_KEY_INVALID = "idempotency_key_invalid"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    IN_FLIGHT = "in_flight"
    CONFLICT = "conflict"
    ILLEGAL_TRANSITION = "illegal_transition"
    ERASED = "erased"
    # load and faults
    BUSY = "busy"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    OUTCOME_UNKNOWN = "outcome_unknown"
    INTERNAL = "internal"
    # who may ask
    UNAUTHENTICATED = "unauthenticated"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_IN_AGAIN = "sign_in_again"
    FORBIDDEN = "forbidden"
    LOCKED = "locked"
    SIGNATURE_INVALID = "signature_invalid"
    SIGNATURE_STALE = "signature_stale"
    SIGNATURE_REPLAYED = "signature_replayed"
    CERTIFICATE_UNKNOWN = "certificate_unknown"
    TERMINAL_UNKNOWN = "terminal_unknown"
    PIN_WEAK = "pin_weak"
    PAIRING_INVALID = "pairing_invalid"
    PAIRING_EXPIRED = "pairing_expired"
    DEVICE_NOT_ACTIVE = "device_not_active"
    PASSPHRASE_WEAK = "passphrase_weak"  # noqa: S105 - the name of a reason
    PASSKEY_REQUIRED = "passkey_required"
    PASSKEY_INVALID = "passkey_invalid"
    STEP_UP_REQUIRED = "step_up_required"
    CROSS_SITE = "cross_site"
    CASE_REQUIRED = "case_required"
    FOUR_EYES = "four_eyes"
    APPROVAL_EXPIRED = "approval_expired"
    # intents and one-time passwords
    INTENT_KIND_UNKNOWN = "intent_kind_unknown"
    INTENT_EXPIRED = "intent_expired"
    INTENT_NOT_PENDING = "intent_not_pending"
    OTP_REQUIRED = "otp_required"
    OTP_WRONG = "otp_wrong"
    OTP_LOCKED = "otp_locked"
    OTP_NOT_ENROLLED = "otp_not_enrolled"
    OTP_UNAVAILABLE = "otp_unavailable"
    # limits
    LIMIT_EXCEEDED = "limit_exceeded"
    # controls of a card's purchases
    CHANNEL_NOT_ALLOWED = "channel_not_allowed"
    COUNTRY_NOT_ALLOWED = "country_not_allowed"
    MCC_NOT_ALLOWED = "mcc_not_allowed"
    MERCHANT_NOT_ALLOWED = "merchant_not_allowed"
    OUTSIDE_TIME_WINDOW = "outside_time_window"
    # exchange
    QUOTE_EXPIRED = "quote_expired"
    EXCHANGE_UNAVAILABLE = "exchange_unavailable"
    # ledger
    INSUFFICIENT_FUNDS = "insufficient_funds"
    ACCOUNT_CLOSED = "account_closed"
    ACCOUNT_NOT_FOUND = "account_not_found"
    ACCOUNTS_SAME = "accounts_same"
    AMOUNT_ZERO = "amount_zero"
    AMOUNT_NEGATIVE = "amount_negative"
    AMOUNT_TOO_LARGE = "amount_too_large"
    BALANCE_TOO_LARGE = "balance_too_large"
    NOTHING_TO_MOVE = "nothing_to_move"
    TRANSFER_DIFFERS = "transfer_differs"
    LINKED_FAILED = "linked_failed"
    LINKED_CHAIN_OPEN = "linked_chain_open"
    LINK_TO_ITSELF = "link_to_itself"
    STATEMENT_MONTH_INVALID = "statement_month_invalid"
    STATEMENT_TOO_LONG = "statement_too_long"
    BUSINESS_DAY_NOT_OVER = "business_day_not_over"
    BUSINESS_DAY_NOT_CLOSED = "business_day_not_closed"
    HOLD_NOT_FOUND = "hold_not_found"
    NOT_A_HOLD = "not_a_hold"
    HOLD_ALREADY_CAPTURED = "hold_already_captured"
    HOLD_ALREADY_VOIDED = "hold_already_voided"
    HOLD_EXPIRED = "hold_expired"
    HOLD_NOT_YET_EXPIRED = "hold_not_yet_expired"
    EXCEEDS_HOLD = "exceeds_hold"
    ORIGINAL_NOT_FOUND = "original_not_found"
    NOT_REVERSIBLE = "not_reversible"
    EXCEEDS_ORIGINAL = "exceeds_original"
    ALREADY_REVERSED = "already_reversed"
    REVERSED_FIRST = "reversed_first"
    NOT_YET_SEALED = "not_yet_sealed"
    # Smart ID and cards
    SMART_ID_NOT_ACTIVE = "smart_id_not_active"
    SMART_ID_FROZEN = "smart_id_frozen"
    SMART_ID_CARDS_STOPPED = "smart_id_cards_stopped"
    CARD_LIMIT_REACHED = "card_limit_reached"
    CARD_NOT_ACTIVE = "card_not_active"
    CARD_FROZEN = "card_frozen"
    CARD_EXPIRED = "card_expired"
    CARD_CLOSED = "card_closed"
    CARD_SPENT = "card_spent"
    CARD_REPLACED = "card_replaced"
    CARD_UNCLAIMED = "card_unclaimed"
    CARD_MERCHANT_LOCKED = "card_merchant_locked"
    CARD_RECURRING_ONLY = "card_recurring_only"
    CARD_CURRENCY_DIFFERS = "card_currency_differs"
    CARD_DETAILS_WRONG = "card_details_wrong"
    CARD_DETAILS_LOCKED = "card_details_locked"
    TOKEN_LIMIT_REACHED = "token_limit_reached"  # noqa: S105 - no secret
    CARD_CLAIM_EXPIRED = "card_claim_expired"
    CARD_CLAIM_MISMATCH = "card_claim_mismatch"
    CARD_REVERSED = "card_reversed"
    PHONE_NOT_PAIRED = "phone_not_paired"
    ATM_DECLINED = "atm_declined"
    REVEAL_SPENT = "reveal_spent"
    # purchases with cards
    CARD_UNKNOWN = "card_unknown"
    PURCHASE_UNCONFIRMED = "purchase_unconfirmed"
    MESSAGE_DIFFERS = "message_differs"
    ANSWER_TOO_LATE = "answer_too_late"
    # KHQR
    QR_INVALID = "qr_invalid"
    QR_FOREIGN = "qr_foreign"
    QR_EXPIRED = "qr_expired"
    QR_ALREADY_PAID = "qr_already_paid"
    QR_OWN_CODE = "qr_own_code"
    QR_AMOUNT_MISSING = "qr_amount_missing"
    QR_AMOUNT_DIFFERS = "qr_amount_differs"
    WALLET_CURRENCY_MISSING = "wallet_currency_missing"
    # top-ups
    PHONE_INVALID = "phone_invalid"
    OPERATOR_UNKNOWN = "operator_unknown"
    PRODUCT_UNKNOWN = "product_unknown"
    AMOUNT_OUT_OF_RANGE = "amount_out_of_range"
    REPEAT_TOPUP = "repeat_topup"
    # salary
    SALARY_FILE_INVALID = "salary_file_invalid"
    SALARY_FILE_REPEATED = "salary_file_repeated"
    SALARY_PERIOD_REPEATED = "salary_period_repeated"
    SALARY_FILE_CHANGED = "salary_file_changed"
    # disputes
    DISPUTE_EXISTS = "dispute_exists"
    DISPUTE_TOO_LATE = "dispute_too_late"
    DISPUTE_CLOSED = "dispute_closed"
    REFUND_EXCEEDS = "refund_exceeds"

    @property
    def retryable(self) -> bool:
        """Whether the same request, sent again later, may succeed."""
        return self in _RETRYABLE


_RETRYABLE: Final = frozenset(
    {
        Reason.IN_FLIGHT,
        Reason.BUSY,
        Reason.RATE_LIMITED,
        Reason.UNAVAILABLE,
        Reason.OUTCOME_UNKNOWN,
        Reason.TOO_SLOW,
        Reason.INTERNAL,
        Reason.OTP_UNAVAILABLE,
        Reason.NOT_YET_SEALED,
    }
)

Facts = dict[str, str | int]
"""Details safe to show to the caller: amounts left, field names, moments. Never a secret."""


class Refused(Exception):
    """The request was turned away and nothing happened: no row, no count, no event."""

    def __init__(self, reason: Reason, **facts: str | int) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.facts: Facts = facts


class Done(Struct, frozen=True, kw_only=True, tag="done"):
    """The act took effect. `answer` is stored for repeats; `secret` is shown once, never stored."""

    answer: dict[str, Any]
    secret: dict[str, Any] | None = None


class Declined(Struct, frozen=True, kw_only=True, tag="declined"):
    """The act was decided against, and that decision is committed."""

    reason: Reason
    facts: Facts = {}


Outcome = Done | Declined
GroupAnswer = Done | Declined | Refused
"""What a group act answers for each member; a `Refused` member left nothing behind."""
