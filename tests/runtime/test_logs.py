"""What reaches a log holds no secret, whichever way it came; and a machine can read it."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from runtime import logs

PAN = "9116010000000018"
VISA = "4111111111111111"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def root_logger_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], level = before
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_one_json_object_a_line_where_nobody_watches() -> None:
    stream = io.StringIO()
    logs.set_up(stream)
    logging.getLogger("smartid.worker").warning("job %s failed\ntwice", "sms", extra={"job": 7})
    [line] = lines(stream)
    assert line["event"] == "job sms failed\ntwice"
    assert (line["level"], line["logger"], line["job"]) == ("warning", "smartid.worker", 7)
    assert line["timestamp"].endswith("Z")


def test_plain_lines_on_a_terminal() -> None:
    stream = Terminal()
    logs.set_up(stream)
    logging.getLogger("smartid.api").warning("paid with %s", PAN)
    assert "paid with" in stream.getvalue()
    assert "•••• 0018" in stream.getvalue()
    assert PAN not in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_setting_up_again_does_not_say_everything_twice() -> None:
    stream = io.StringIO()
    logs.set_up(stream)
    logs.set_up(stream)
    logging.getLogger("smartid").info("once")
    assert len(lines(stream)) == 1


@pytest.mark.parametrize("watched", [io.StringIO, Terminal])
def test_nothing_secret_gets_through_in_message_field_or_trace(watched: type[io.StringIO]) -> None:
    stream = watched()
    logs.set_up(stream)
    log = logging.getLogger("smartid.api")
    log.info("card %s at the gate", PAN)
    log.info("fields", extra={"pin": "274916", "holder": {"otp_code": 12345678, "pan": int(VISA)}})
    log.info("body %s", {"passphrase": "correct horse", "tokens": "tok-en"})
    try:
        hidden_local = "271828"
        raise ValueError(f"Key (number)=({PAN}) exists; pin='314159'; {len(hidden_local)}")
    except ValueError:
        log.exception("failed")
    for secret in (PAN, VISA, "274916", "12345678", "correct horse", "tok-en", "314159", "271828"):
        assert secret not in stream.getvalue(), secret
    assert "ValueError" in stream.getvalue()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (PAN, "•••• 0018"),
        (f"x{PAN}y", "x•••• 0018y"),
        ("9116 0100 0000 0018", "•••• 0018"),
        ("4111-1111-1111-1111", "•••• 1111"),
        ("9116019999999", "•••• 9999"),
        ('{"code": "12345678", "a": 1}', '{"code": ***, "a": 1}'),
        ("otp=123456, next", "otp=***, next"),
        ("Key (login, number)=(a, 5) exists", "Key (login, number)=*** exists"),
        ("SignIn(pin='274916', passphrase='a b')", "SignIn(pin=***, passphrase=***)"),
    ],
)
def test_masked(text: str, told: str) -> None:
    assert logs.redacted_text(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "job topup.submit attempt 3 failed: refused: otp_wrong",
        "account 1000000009, 1309477 KHR at 2026-01-12T02:00:00.123456Z",
        "4111111111111112",  # a wrong check digit: a time in microseconds, say
        "00000000000000000000000",  # longer than any card number
        str(UUID("019bb000-1234-7567-8234-123456789012")),
    ],
)
def test_what_is_no_secret_stays_readable(text: str) -> None:
    assert logs.redacted_text(text) == text


def test_a_value_of_any_type_is_made_plain() -> None:
    stream = io.StringIO()
    logs.set_up(stream)
    fields = {"one": {PAN}, "two": (b"9116010000000018",), "three": None, "four": True, "five": 1.5}
    logging.getLogger("smartid").info("x", extra=fields)
    [line] = lines(stream)
    assert line["one"] == ["•••• 0018"]
    assert line["two"] == ["b'•••• 0018'"]
    assert (line["three"], line["four"], line["five"]) == (None, True, 1.5)
