"""Outcomes as HTTP: the only table of statuses, and RFC 9457 problem documents.

Promise: total over `Reason`; the body says the stable `code`, both languages, whether trying
again may help, and nothing of the inside. Who calls: every door, the application frame.
"""

import re
from typing import Any, Final

from msgspec import Struct

from api.sentences import SENTENCES
from wallet.outcomes import Declined, Done, Facts, Outcome, Reason, Refused

PROBLEM_TYPE: Final = "application/problem+json"

STATUSES: Final[dict[Reason, int]] = {
    Reason.INVALID_REQUEST: 400,
    Reason.NOT_FOUND: 404,
    Reason.METHOD_NOT_ALLOWED: 405,
    Reason.TOO_LARGE: 413,
    Reason.TOO_SLOW: 408,
    Reason.CURSOR_INVALID: 400,
    Reason.AMOUNT_INVALID: 422,
    Reason.CURRENCY_UNSUPPORTED: 422,
    Reason.IDEMPOTENCY_KEY_MISSING: 400,
    Reason.IDEMPOTENCY_KEY_INVALID: 400,
    Reason.IDEMPOTENCY_KEY_REUSED: 422,
    Reason.IN_FLIGHT: 409,
    Reason.CONFLICT: 409,
    Reason.ILLEGAL_TRANSITION: 409,
    Reason.ERASED: 410,
    Reason.BUSY: 503,
    Reason.RATE_LIMITED: 429,
    Reason.UNAVAILABLE: 503,
    Reason.OUTCOME_UNKNOWN: 503,
    Reason.INTERNAL: 500,
    Reason.UNAUTHENTICATED: 401,
    Reason.SIGN_IN_FAILED: 401,
    Reason.SIGN_IN_AGAIN: 401,
    Reason.FORBIDDEN: 403,
    Reason.LOCKED: 423,
    Reason.SIGNATURE_INVALID: 401,
    Reason.SIGNATURE_STALE: 401,
    Reason.SIGNATURE_REPLAYED: 401,
    Reason.CERTIFICATE_UNKNOWN: 403,
    Reason.TERMINAL_UNKNOWN: 403,
    Reason.PIN_WEAK: 422,
    Reason.PAIRING_INVALID: 409,
    Reason.PAIRING_EXPIRED: 410,
    Reason.DEVICE_NOT_ACTIVE: 403,
    Reason.PASSPHRASE_WEAK: 422,
    Reason.PASSKEY_REQUIRED: 403,
    Reason.PASSKEY_INVALID: 403,
    Reason.STEP_UP_REQUIRED: 403,
    Reason.CROSS_SITE: 403,
    Reason.CASE_REQUIRED: 403,
    Reason.FOUR_EYES: 403,
    Reason.APPROVAL_EXPIRED: 410,
    Reason.INTENT_KIND_UNKNOWN: 422,
    Reason.INTENT_EXPIRED: 410,
    Reason.INTENT_NOT_PENDING: 409,
    Reason.OTP_REQUIRED: 403,
    Reason.OTP_WRONG: 403,
    Reason.OTP_LOCKED: 423,
    Reason.OTP_NOT_ENROLLED: 409,
    Reason.OTP_UNAVAILABLE: 503,
    Reason.LIMIT_EXCEEDED: 403,
    Reason.CHANNEL_NOT_ALLOWED: 403,
    Reason.COUNTRY_NOT_ALLOWED: 403,
    Reason.MCC_NOT_ALLOWED: 403,
    Reason.MERCHANT_NOT_ALLOWED: 403,
    Reason.OUTSIDE_TIME_WINDOW: 403,
    Reason.QUOTE_EXPIRED: 409,
    Reason.EXCHANGE_UNAVAILABLE: 409,
    Reason.INSUFFICIENT_FUNDS: 402,
    Reason.ACCOUNT_CLOSED: 409,
    Reason.ACCOUNT_NOT_FOUND: 404,
    Reason.ACCOUNTS_SAME: 422,
    Reason.AMOUNT_ZERO: 422,
    Reason.AMOUNT_NEGATIVE: 422,
    Reason.AMOUNT_TOO_LARGE: 422,
    Reason.BALANCE_TOO_LARGE: 422,
    Reason.NOTHING_TO_MOVE: 402,
    Reason.TRANSFER_DIFFERS: 409,
    Reason.LINKED_FAILED: 409,
    Reason.LINKED_CHAIN_OPEN: 422,
    Reason.LINK_TO_ITSELF: 422,
    Reason.STATEMENT_MONTH_INVALID: 422,
    Reason.STATEMENT_TOO_LONG: 422,
    Reason.BUSINESS_DAY_NOT_OVER: 409,
    Reason.BUSINESS_DAY_NOT_CLOSED: 409,
    Reason.HOLD_NOT_FOUND: 404,
    Reason.NOT_A_HOLD: 409,
    Reason.HOLD_ALREADY_CAPTURED: 409,
    Reason.HOLD_ALREADY_VOIDED: 409,
    Reason.HOLD_EXPIRED: 410,
    Reason.HOLD_NOT_YET_EXPIRED: 409,
    Reason.EXCEEDS_HOLD: 422,
    Reason.ORIGINAL_NOT_FOUND: 404,
    Reason.NOT_REVERSIBLE: 409,
    Reason.EXCEEDS_ORIGINAL: 422,
    Reason.ALREADY_REVERSED: 409,
    Reason.REVERSED_FIRST: 410,
    Reason.NOT_YET_SEALED: 409,
    Reason.SMART_ID_NOT_ACTIVE: 403,
    Reason.SMART_ID_FROZEN: 403,
    Reason.SMART_ID_CARDS_STOPPED: 409,
    Reason.CARD_LIMIT_REACHED: 409,
    Reason.CARD_NOT_ACTIVE: 409,
    Reason.CARD_FROZEN: 409,
    Reason.CARD_EXPIRED: 410,
    Reason.CARD_CLOSED: 410,
    Reason.CARD_SPENT: 410,
    Reason.CARD_REPLACED: 410,
    Reason.CARD_UNCLAIMED: 409,
    Reason.CARD_MERCHANT_LOCKED: 403,
    Reason.CARD_RECURRING_ONLY: 403,
    Reason.CARD_CURRENCY_DIFFERS: 422,
    Reason.CARD_DETAILS_WRONG: 403,
    Reason.CARD_DETAILS_LOCKED: 423,
    Reason.TOKEN_LIMIT_REACHED: 409,
    Reason.CARD_CLAIM_EXPIRED: 410,
    Reason.CARD_CLAIM_MISMATCH: 403,
    Reason.CARD_REVERSED: 410,
    Reason.PHONE_NOT_PAIRED: 409,
    Reason.ATM_DECLINED: 403,
    Reason.REVEAL_SPENT: 410,
    Reason.CARD_UNKNOWN: 404,
    Reason.PURCHASE_UNCONFIRMED: 403,
    Reason.MESSAGE_DIFFERS: 422,
    Reason.ANSWER_TOO_LATE: 410,
    Reason.QR_INVALID: 422,
    Reason.QR_FOREIGN: 422,
    Reason.QR_EXPIRED: 410,
    Reason.QR_ALREADY_PAID: 409,
    Reason.QR_OWN_CODE: 422,
    Reason.QR_AMOUNT_MISSING: 422,
    Reason.QR_AMOUNT_DIFFERS: 422,
    Reason.WALLET_CURRENCY_MISSING: 409,
    Reason.PHONE_INVALID: 422,
    Reason.OPERATOR_UNKNOWN: 422,
    Reason.PRODUCT_UNKNOWN: 422,
    Reason.AMOUNT_OUT_OF_RANGE: 422,
    Reason.REPEAT_TOPUP: 409,
    Reason.SALARY_FILE_INVALID: 422,
    Reason.SALARY_FILE_REPEATED: 409,
    Reason.SALARY_PERIOD_REPEATED: 409,
    Reason.SALARY_FILE_CHANGED: 409,
    Reason.DISPUTE_EXISTS: 409,
    Reason.DISPUTE_TOO_LATE: 410,
    Reason.DISPUTE_CLOSED: 409,
    Reason.REFUND_EXCEEDS: 422,
}


class Detail(Struct, frozen=True, kw_only=True):
    en: str
    km: str


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An RFC 9457 problem document. `code` is stable; `declined` says a decision was recorded."""

    type: str
    title: str
    status: int
    code: Reason
    detail: Detail
    retryable: bool
    declined: bool = False
    facts: Facts | None = None
    fields: dict[str, str] | None = None
    retry_after_s: int | None = None


class DeclinedProblem(Exception):
    """Carries a committed decline to the frame, which renders it as a problem document."""

    def __init__(self, declined: Declined) -> None:
        super().__init__(declined.reason.value)
        self.declined = declined


def answered(outcome: Outcome) -> dict[str, Any]:
    """The answer of a `Done`, its once-shown part included; a `Declined` leaves as a problem."""
    if isinstance(outcome, Done):
        return {**outcome.answer, **(outcome.secret or {})}
    raise DeclinedProblem(outcome)


def problem_of(
    reason: Reason,
    facts: Facts | None = None,
    *,
    declined: bool = False,
    fields: dict[str, str] | None = None,
) -> Problem:
    """The problem document of a reason, with the facts filled into its sentences."""
    shown = dict(facts or {})
    pause = shown.pop("retry_after_s", None)
    english, khmer = SENTENCES[reason]
    return Problem(
        type=f"urn:smartid:problem:{reason.value}",
        title=reason.value.replace("_", " ").capitalize(),
        status=STATUSES[reason],
        code=reason,
        detail=Detail(en=_filled(english, shown), km=_filled(khmer, shown)),
        retryable=reason.retryable,
        declined=declined,
        facts=shown or None,
        fields=None if fields is None else _without_numbers(fields),
        retry_after_s=int(pause) if pause is not None else None,
    )


_ODD_NAME: Final = re.compile(r"(?<=unknown field `)[^`]*[0-9]{6}[^`]*(?=`)")
_NUMBER: Final = re.compile(r"[0-9]{6,}")


def _without_numbers(fields: dict[str, str]) -> dict[str, str]:
    """A field that nobody knows is told by its name, unless that could be a number or a code which
    came into the wrong place: an answer is kept by more hands than a request."""
    return {_NUMBER.sub("...", name): _ODD_NAME.sub("...", told) for name, told in fields.items()}


class FieldsRefused(Refused):
    """INVALID_REQUEST, naming each field that is wrong and what is expected of it."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(Reason.INVALID_REQUEST)
        self.fields = fields


def problem_of_error(error: Exception) -> Problem | None:
    """The problem an act left with, by refusal or decline; None for anything else."""
    match error:
        case FieldsRefused():
            return problem_of(error.reason, error.facts, fields=error.fields)
        case Refused():
            return problem_of(error.reason, error.facts)
        case DeclinedProblem():
            return problem_of(error.declined.reason, error.declined.facts, declined=True)
        case _:
            return None


def headers_of(problem: Problem) -> dict[str, str]:
    """The headers that belong to a problem."""
    headers: dict[str, str] = {}
    if problem.retry_after_s is not None:
        headers["retry-after"] = str(problem.retry_after_s)
    if problem.status == STATUSES[Reason.UNAUTHENTICATED]:
        headers["www-authenticate"] = "Bearer"
    return headers


class _Fields(dict[str, str | int]):
    def __missing__(self, key: str) -> str:
        return "…"


def _filled(sentence: str, facts: Facts) -> str:
    return sentence.format_map(_Fields(facts))
