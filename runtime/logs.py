"""What the processes say while they run: for people on a terminal, else one JSON object a line.

Promise: whatever reaches a log passes the redaction here, messages, fields and traces alike. It is
the second net: the first is that nothing secret is logged at all. Card numbers (13 to 19 digits
that pass Luhn, or begin with our 9116, spaced, dashed or not) keep their last four; telephone
numbers and what is named pin, code, token and the like are not shown. Called by runtime.cli and
runtime.asgi, once per process.
"""

import logging
import re
import sys
import unicodedata
from collections.abc import Mapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from wallet.identifiers import luhn_valid, masked

GRANIAN: Final[dict[str, Any]] = {"loggers": {"_granian": {"handlers": [], "propagate": True}}}
"""For Granian's `log_dictconfig`: what it says goes our way too."""

_HIDDEN: Final = "***"
_SECRET_NAMES: Final = (
    "pin", "otp", "totp", "code", "codes", "token", "passphrase", "password", "secret", "number",
    "pan", "cvv", "cvc", "authorization", "cookie", "phone", "msisdn", "signature", "nonce",
    "private_key", "api_key", "digits",
)  # fmt: skip
_QUIET: Final = ("alembic", "httpx", "httpcore")
"""Libraries that would tell every step, addresses included."""

_NAMES: Final = "|".join(name.replace("_", "[_-]?") for name in _SECRET_NAMES)
_SECRET_NAME: Final = re.compile(rf"(?:.*[_.-])?(?:{_NAMES})s?(?:_sealed|_hash)?", re.IGNORECASE)
_SECRET_IN_TEXT: Final = re.compile(
    rf"(\b(?:[\w-]*[_-])?(?:{_NAMES})s?\\?[\"')]?\s*[=:]\s*)"
    r"""((?:Bearer|Basic)\s+[^\s,;)}\]"']+|\\?"[^"]*"|'[^']*'|\([^)]*\)|[^\s,;)}\]]+)""",
    re.IGNORECASE,
)
_BEARER: Final = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_PHONE: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:\+|00)?855[ -]?[1-9][0-9](?:[ -]?[0-9]){5,8}(?![0-9])"
)
"""Cambodian numbers in the international form, which is how they are kept."""

_OURS: Final = "9116"
_ESCAPED: Final = r"\\+(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[nrt])"
_SEPARATED: Final = rf"(?:{_ESCAPED}|[ \t\u00a0\u2007\u2009\u202f._/\u2010-\u2015\u2212-])" "{0,3}"
_MARK: Final = re.compile(rf"{_ESCAPED}|\d")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CARD_LIKE: Final = re.compile(
    # digits of any script that reads as a number, however they are set apart
    rf"\d(?:{_SEPARATED}\d){{12,}}"
)
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?")
_LENGTHS: Final = range(13, 20)


def set_up(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send every logger of this process to `stream` (stderr), redacted."""
    out = stream or sys.stderr
    for_people = out.isatty()
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_told_of_each(for_people),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redacted,
                _renderer(for_people),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def redacted(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """The structlog processor: every field made plain, without what a log must not hold."""
    return {name: _field(name, value) for name, value in event.items()}


def redacted_text(text: str) -> str:
    """`text` with card numbers masked, phone numbers and the values of secret names hidden."""
    named = _BEARER.sub(rf"\1 {_HIDDEN}", _SECRET_IN_TEXT.sub(rf"\1{_HIDDEN}", text))
    if sum(map(str.isdigit, named)) < 9:
        return named
    return _without_cards(_PHONE.sub(_HIDDEN, named))


def _without_cards(text: str) -> str:
    """Ids and moments are told apart first: they hold as many digits and are no cards."""
    pieces, at = [], 0
    for known in sorted(
        [*_UUID.finditer(text), *_MOMENT.finditer(text)], key=lambda found: found.start()
    ):
        if known.start() < at:
            continue
        pieces += [_CARD_LIKE.sub(_card_masked, text[at : known.start()]), known[0]]
        at = known.end()
    return "".join([*pieces, _CARD_LIKE.sub(_card_masked, text[at:])])


def _field(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if _SECRET_NAME.fullmatch(name):
        return _HIDDEN
    if isinstance(value, Mapping):
        return {redacted_text(str(key)): _field(str(key), one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_field("", one) for one in value]
    if isinstance(value, int | float):
        told = redacted_text(str(value))
        return value if told == str(value) else told
    return redacted_text(value if isinstance(value, str) else repr(value))


def _card_masked(found: re.Match[str]) -> str:
    """Every card number in a run of digits; what stands around it stays."""
    run = found[0]
    places = [mark.start() for mark in _MARK.finditer(run) if len(mark[0]) == 1]
    digits = "".join(str(unicodedata.digit(run[at])) for at in places)
    told, at = "", 0
    first = 0
    while first < len(digits):
        length = _card_at(digits, first)
        if length:
            last = first + length
            told += run[at : places[first]] + masked(digits[first:last])
            at, first = places[last - 1] + 1, last
        else:
            first += 1
    return told + run[at:]


def _card_at(digits: str, first: int) -> int:
    """The length of the card number that begins here, or 0: of ours anywhere in a run; of others
    only where the whole run is one, for chance makes one in ten of any long number pass Luhn."""
    rest = len(digits) - first
    if digits.startswith(_OURS, first) and rest >= _LENGTHS.start:
        for length in reversed(_LENGTHS):
            if length <= rest and luhn_valid(digits[first : first + length]):
                return length
        return min(rest, 16)
    whole = first == 0 and len(digits) in _LENGTHS
    return len(digits) if whole and luhn_valid(digits) else 0


def _told_of_each(for_people: bool) -> list[Processor]:
    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if for_people else "iso", utc=True),
        # As text before the redaction; never with local variables, which could show a secret.
        structlog.processors.format_exc_info,
    ]


def _renderer(for_people: bool) -> Processor:
    if for_people:
        return structlog.dev.ConsoleRenderer()
    return structlog.processors.JSONRenderer(ensure_ascii=False)
