"""A Secret never shows itself, whatever prints, logs, encodes or copies it."""

import copy
import io
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import pytest

from wallet.identifiers import Secret

TEXT = "482915-canary"


@dataclass
class Holding:
    code: Secret[str]


class Struct(msgspec.Struct, frozen=True):
    code: Secret[str]


SHOWN: list[Callable[[Secret[str]], Any]] = [
    repr,
    str,
    lambda s: f"{s}",
    lambda s: f"{s!r:>40}",
    lambda s: f"{s:10}",
    lambda s: f"{s} {s!r}",
    lambda s: repr([s, {"code": s}, (s,), {"x": [s]}]),
    lambda s: repr(Holding(s)),
    lambda s: repr(Struct(s)),
    lambda s: str(Exception("wrong", s)),
    lambda s: repr(ValueError(s)),
    lambda s: traceback.format_exception(RuntimeError(s)),
    lambda s: json.dumps({"code": s}, default=str),
]

REFUSED: list[Callable[[Secret[str]], Any]] = [
    json.dumps,
    pickle.dumps,
    lambda s: pickle.dumps(s, protocol=0),
    lambda s: pickle.dumps([Holding(s)]),
    copy.copy,
    copy.deepcopy,
    lambda s: asdict(Holding(s)),
    msgspec.json.encode,
    msgspec.msgpack.encode,
    lambda s: msgspec.json.encode(Struct(s)),
    lambda s: msgspec.to_builtins(Struct(s)),
    lambda s: bytes(s),  # type: ignore[call-overload]
    lambda s: iter(s),  # type: ignore[call-overload]
    vars,
]


@pytest.mark.parametrize("show", SHOWN)
def test_it_is_shown_as_stars(show: Callable[[Secret[str]], Any]) -> None:
    shown = str(show(Secret(TEXT)))
    assert TEXT not in shown
    assert "***" in shown


@pytest.mark.parametrize("encode", REFUSED)
def test_it_is_not_encoded_copied_or_opened(encode: Callable[[Secret[str]], Any]) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        encode(Secret(TEXT))
    assert TEXT not in str(caught.value)


def test_a_log_line_does_not_show_it() -> None:
    stream = io.StringIO()
    logger = logging.Logger("secret")
    logger.addHandler(logging.StreamHandler(stream))
    try:
        raise RuntimeError(Secret(TEXT))
    except RuntimeError:
        logger.exception("failed with %s and %r", Secret(TEXT), [Secret(TEXT)])
    assert TEXT not in stream.getvalue()
    assert Secret(TEXT).reveal() == TEXT
    assert Secret(TEXT) != Secret(TEXT)  # no comparison that takes longer for a better guess
