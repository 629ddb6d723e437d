"""What reaches a log holds no secret, whichever way it came; and a machine can read it."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import logs
from wallet.identifiers import luhn_digit

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


# any number of ours, in any spelling and nesting

OURS = (
    st.integers(min_value=0, max_value=10**11 - 1)
    .map(lambda n: f"9116{n:011d}")
    .map(lambda body: body + luhn_digit(body))
)
APART = st.lists(
    st.sampled_from(["", " ", "-", "  ", "\u2011", "\u00a0", ".", "_", "/", " - "]),
    min_size=15,
    max_size=15,
)
AROUND = st.text(st.sampled_from("ab \"':;,=[]{}()<>\\n\u1780"), max_size=6)


@st.composite
def spelt(draw: st.DrawFn) -> tuple[str, str]:
    """A number, and how somebody may have written it."""
    number, apart = draw(OURS), [*draw(APART), ""]
    written = "".join(digit + gap for digit, gap in zip(number, apart, strict=True))
    khmer = draw(st.booleans())
    if khmer:
        written = "".join(chr(0x17E0 + int(c)) if c in "0123456789" else c for c in written)
    return number, draw(AROUND) + written + draw(AROUND)


def nested(leaf: Any) -> st.SearchStrategy[Any]:
    return st.recursive(
        st.just(leaf),
        lambda inner: (
            st.lists(inner, min_size=1, max_size=2)
            | st.dictionaries(st.sampled_from(["a", "b c", "event_id"]), inner, min_size=1)
            | st.tuples(inner)
        ),
        max_leaves=4,
    )


def digits_of(text: str) -> str:
    return "".join(str(int(c)) for c in text if c.isdecimal())


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_number_of_ours_passes_in_any_spelling_or_nesting(data: st.DataObject) -> None:
    number, written = data.draw(spelt())
    value = data.draw(nested(written))
    told = logs.redacted(None, "", {"event": "x", "field": value})
    assert number not in digits_of(repr(told)), written
    assert number[-4:] in digits_of(repr(told)), "the last four stay, to find the card by"
    told = logs.redacted(None, "", {"event": repr(value)})
    assert number not in digits_of(str(told["event"])), written


@pytest.mark.parametrize(
    "line",
    [
        "POST /v1/mobile/intents authorization: Bearer abcdefghijklmnopqrstuvwxyz",
        'headers [(b"authorization", b"Bearer abcdefghijklmnopqrstuvwxyz")]',
        "cvv=abcdefghijklmnopqrstuvwxyz",
        "holder_phone: abcdefghijklmnopqrstuvwxyz",
        '{\\"passphrase\\": \\"abcdefghijklmnopqrstuvwxyz\\"}',
        "Set-Cookie: abcdefghijklmnopqrstuvwxyz",
        "otp_secret = abcdefghijklmnopqrstuvwxyz",
    ],
)
def test_what_has_a_secret_name_is_hidden_wherever_it_stands(line: str) -> None:
    assert "ghijklm" not in logs.redacted_text(line)


@pytest.mark.parametrize(
    "phone", ["+85512345678", "855 12 345 678", "0085512345678", "85597-1234567"]
)
def test_a_telephone_number_is_hidden(phone: str) -> None:
    told = logs.redacted_text(f"sms to {phone} failed")
    assert told == "sms to *** failed"


def test_an_access_line_and_a_chained_trace_are_redacted() -> None:
    stream = io.StringIO()
    logs.set_up(stream)
    logging.getLogger("_granian.access").warning('1.2.3.4 "GET /x?pan=%s HTTP/1.1" 200', PAN)
    try:
        try:
            raise KeyError({"card": [PAN]})
        except KeyError as inner:
            raise ValueError(f"9116 0100-0000 0018 of {PAN}") from inner
    except ValueError:
        logging.getLogger("smartid.api").exception("failed %s", (PAN,))
    assert "9116" not in stream.getvalue()
    assert "0018" in stream.getvalue()
