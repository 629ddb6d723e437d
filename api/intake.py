"""What is let in before anything is parsed: sizes, depth, time, and text as one spelling.

Promise: a query is at most 4 KiB and 64 parameters; a body comes whole within its time (longer
for what is long) or the caller hears 408; JSON is at most 32 deep; text is Unicode NFC, without
what cannot be seen. Nothing here is decided by what a request means. Who calls: the application
frame, the express lane, wire.

    in text                                     what happens
    control characters but tab and line breaks  refused
    bidirectional controls                      refused: they make text read as another
    zero-width space and joiners, soft hyphen   taken out: Khmer keyboards write them between words
    surrogates, noncharacters                   refused
    anything else                               NFC

A QR code's text is left as scanned (its check digits are over those very bytes).
"""

import asyncio
import re
import unicodedata
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec

from api.problems import FieldsRefused
from wallet.outcomes import Reason, Refused

LONGEST_QUERY: Final = 4096
MOST_PARAMETERS: Final = 64
SLOWEST_BYTES_PER_S: Final = 64 * 1024
"""What has come buys the rest that much time: a long salary file is not a slow one."""
LOOK_EVERY_S: Final = 0.1
DEEPEST: Final = 32
AS_SCANNED: Final = "code"
"""The field of a wish that holds a scanned QR code."""

_UNSEEN: Final = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
_REFUSED: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')

Receive = Callable[[], Awaitable[Any]]


def refuse_odd_address(scope: Mapping[str, Any]) -> None:
    """Refuses: TOO_LARGE or INVALID_REQUEST (query), NOT_FOUND (path)."""
    query: bytes = scope["query_string"]
    if query:
        if len(query) > LONGEST_QUERY or query.count(b"&") >= MOST_PARAMETERS:
            raise Refused(Reason.TOO_LARGE)
        if not _is_text(unquote_to_bytes(query)):
            raise FieldsRefused({"query": "Expected text without control characters"})
    if not scope["path"].isascii() or "\x00" in scope["path"]:
        raise Refused(Reason.NOT_FOUND)


def _is_text(raw: bytes) -> bool:
    try:
        return _REFUSED.search(raw.decode()) is None
    except UnicodeDecodeError:
        return False


def hurried(receive: Receive, within_s: float, patience: "Patience") -> Receive:
    """`receive`, which must bring the whole body within the time. Refuses: TOO_SLOW."""
    ends = asyncio.get_running_loop().time() + within_s
    whole = False

    async def in_time() -> Any:
        nonlocal whole, ends
        if whole:
            return await receive()
        with patience.until(ends):
            message = await receive()
        whole = not message.get("more_body", False)
        ends += len(message.get("body", b"")) / SLOWEST_BYTES_PER_S
        return message

    return in_time


class Patience:
    """Ends waits whose time is up, looking at all of them every tenth of a second: every request
    waits for its body, nearly none for long, and a timer for each was a twentieth of a payment.
    One for each application."""

    def __init__(self) -> None:
        self._ends: dict[asyncio.Task[Any], float] = {}
        self._over: set[asyncio.Task[Any]] = set()
        self._looking: asyncio.TimerHandle | None = None

    @contextmanager
    def until(self, ends: float) -> Iterator[None]:
        """Refuses: TOO_SLOW, when the block is still waiting then (or up to a tenth later)."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a request is served in a task
        self._ends[task] = ends
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)
        try:
            yield
        except asyncio.CancelledError:
            if task in self._over and task.uncancel() == 0:
                raise Refused(Reason.TOO_SLOW) from None
            raise
        finally:
            del self._ends[task]
            self._over.discard(task)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for task in [task for task, ends in self._ends.items() if ends <= now]:
            if task not in self._over:
                self._over.add(task)
                task.cancel()
        self._looking = loop.call_later(LOOK_EVERY_S, self._look) if self._ends else None


def refuse_deep(body: bytes) -> None:
    """Refuses: INVALID_REQUEST for JSON nested deeper than `DEEPEST`."""
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return
    depth = 0
    for found in _BRACKETS.finditer(body):
        mark = found[0]
        if mark in (b"[", b"{"):
            depth += 1
            if depth > DEEPEST:
                raise FieldsRefused({"body": f"Nested deeper than {DEEPEST}"})
        elif mark in (b"]", b"}"):
            depth -= 1


def needs_spelling(body: bytes) -> bool:
    """Whether a body may hold text that is not yet of the one spelling: plain ASCII never does."""
    return (
        not body.isascii() or b"\\u" in body or b"\\b" in body or b"\\f" in body or b"\x7f" in body
    )


def spelt(value: Any, place: str = "") -> Any:
    """A decoded body with all its text of the one spelling. Refuses: INVALID_REQUEST (a field)."""
    if type(value) is str:
        if place.rpartition(".")[2] == AS_SCANNED:
            return value
        if _REFUSED.search(value):
            raise FieldsRefused({place or "body": "Holds characters that cannot be seen"})
        return unicodedata.normalize("NFC", _UNSEEN.sub("", value))
    if isinstance(value, msgspec.Struct):
        changed = {
            name: new
            for name in value.__struct_fields__
            if (new := spelt(old := getattr(value, name), f"{place}.{name}".lstrip("."))) is not old
        }
        return msgspec.structs.replace(value, **changed) if changed else value
    if isinstance(value, list):
        return [spelt(one, f"{place}[{at}]") for at, one in enumerate(value)]
    if isinstance(value, dict):
        return {
            spelt(name, "field name"): spelt(one, f"{place}.{name}".lstrip("."))
            for name, one in value.items()
        }
    return value
