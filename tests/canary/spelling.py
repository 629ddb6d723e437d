"""Secrets, and every way one may be written down: plain, spaced, percent-encoded, hex, base64.

A place is bytes. Long secrets are looked for as they are. Short ones (PINs and codes) would turn up
in any long hash by chance, so they count where no digit and no hex letter touches them, ids and
moments taken out first. A check value of three digits counts as a text of its own or beside its
name. Only kinds are told of what was found: a failing test must not print what leaked.
"""

import base64
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Final
from urllib.parse import quote, quote_plus

SHORT: Final = 10
"""Digits up to which a number may stand in a hash by chance."""

CHECK_VALUE: Final = "check value"
_NOISE: Final = re.compile(
    rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    rb"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?"
    rb"|(?<!\d)\d{10}\.\d{1,9}"  # seconds since 1970
)
_APART: Final = re.compile(rb"(?<=\d)[ -](?=\d)")
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")


class Place:
    """Something that is kept or told, and what it holds. `morning` is what it held before anything
    was secret: three digits that stood there then are no find."""

    def __init__(self, name: str, content: bytes, morning: bytes = b"") -> None:
        self.name = name
        self.content = content
        self.morning = morning

    @cached_property
    def lower(self) -> bytes:
        return self.content.lower()

    @cached_property
    def base64(self) -> bytes:
        return self.content.translate(_URL_SAFE)

    @cached_property
    def joined(self) -> bytes:
        """With digits that were set apart drawn together."""
        return _APART.sub(b"", self.content)

    @cached_property
    def quiet(self) -> bytes:
        """Without the ids and moments in which digits stand by chance."""
        return _APART.sub(b"", _NOISE.sub(b"", self.content))


class Secrets:
    """What is known to be secret, by kind."""

    def __init__(self) -> None:
        self._known: dict[str, set[str | bytes]] = {}

    def learn(self, kind: str, value: str | bytes) -> None:
        assert value, kind
        self._known.setdefault(kind, set()).add(value)

    def __getitem__(self, kind: str) -> set[str | bytes]:
        return self._known[kind]

    @property
    def kinds(self) -> set[str]:
        return set(self._known)

    def found_in(self, place: Place) -> set[str]:
        """The kinds of which one stands in the place, in any spelling."""
        return {
            kind
            for kind, values in self._known.items()
            for one in values
            if stands(kind, one, place)
        }


def stands(kind: str, secret: str | bytes, place: Place) -> bool:
    if kind == CHECK_VALUE:
        assert isinstance(secret, str)
        digits = secret.encode()
        stood = bool(place.morning) and _check_value_stands(digits, Place("", place.morning))
        return not stood and _check_value_stands(digits, place)
    raw = secret.encode() if isinstance(secret, str) else secret
    if raw.isdigit() and len(raw) <= SHORT:
        plain = _alone(raw, place.quiet)
    else:
        plain = any(one in place.content or one in place.joined for one in _plain(raw))
    return (
        plain
        or raw.hex().encode() in place.lower
        or any(one in place.base64 for one in in_base64(raw))
    )


def _plain(raw: bytes) -> Iterator[bytes]:
    yield raw
    if raw.isdigit() and len(raw) % 2 == 0:
        yield bytes.fromhex(raw.decode())  # packed, two digits a byte
    if raw.isascii() and raw.decode().isprintable():
        yield quote(raw).encode()
        yield quote_plus(raw).encode()


def _alone(digits: bytes, text: bytes) -> bool:
    if digits not in text:
        return False
    return re.search(rb"(?<![0-9a-fA-F])" + digits + rb"(?![0-9a-fA-F])", text) is not None


def _check_value_stands(digits: bytes, place: Place) -> bool:
    named = re.compile(rb"(?:cvv|cvc|check.?value)2?[^0-9a-z]{0,12}" + digits + rb"(?![0-9])")
    return b'"' + digits + b'"' in place.content or named.search(place.lower) is not None


def in_base64(raw: bytes) -> list[bytes]:
    """The part of the base64 of any text that `raw` alone decides, wherever in it `raw` begins."""
    found = []
    for before in range(3):
        text = base64.b64encode(bytes(before) + raw)
        first = -(-before * 8 // 6)
        last = (before + len(raw)) * 8 // 6
        found.append(text[first:last])
    return found
