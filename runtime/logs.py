"""What the processes say while they run: for people on a terminal, else one JSON object a line.

Promise: whatever reaches a log passes the redaction here, messages, fields and traces alike. It is
the second net: the first is that nothing secret is logged at all. Card numbers (13 to 19 digits
that pass Luhn, or begin with our 9116) keep their last four; what is named pin, code, token and
the like is not shown. Called by runtime.cli and runtime.asgi, once per process.
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from wallet.identifiers import luhn_valid, masked

GRANIAN: Final[dict[str, Any]] = {"loggers": {"_granian": {"handlers": [], "propagate": True}}}
"""For Granian's `log_dictconfig`: what it says goes our way too."""

_HIDDEN: Final = "***"
_SECRET_NAMES: Final = ("pin", "otp", "code", "token", "passphrase", "secret", "number")
_QUIET: Final = ("alembic", "httpx", "httpcore")
"""Libraries that would tell every step, addresses included."""

_SECRET_NAME: Final = re.compile(rf"(?:.*_)?(?:{'|'.join(_SECRET_NAMES)})s?", re.IGNORECASE)
_SECRET_IN_TEXT: Final = re.compile(
    rf"(\b(?:\w+_)?(?:{'|'.join(_SECRET_NAMES)})s?[\"')]?\s*[=:]\s*)"
    r"""("[^"]*"|'[^']*'|\([^)]*\)|[^\s,;)}\]]+)""",
    re.IGNORECASE,
)
_CARD_LIKE: Final = re.compile(
    r"(?<![0-9])[0-9]{13,19}(?![0-9])"
    r"|(?<![\w-])[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?![\w-])"  # as printed; not in a UUID
)


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
    """`text` with card numbers masked and the values of secret names hidden."""
    return _CARD_LIKE.sub(_card_masked, _SECRET_IN_TEXT.sub(rf"\1{_HIDDEN}", text))


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
    digits = re.sub("[^0-9]", "", found[0])
    return masked(digits) if digits.startswith("9116") or luhn_valid(digits) else found[0]


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
