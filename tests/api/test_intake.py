"""What is let in before anything is parsed, and in which spelling."""

import json
import unicodedata
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar, Router, get, post
from msgspec import Struct, field

from api.app import create_app
from api.intake import DEEPEST, LONGEST_QUERY, refuse_deep
from api.problems import FieldsRefused
from api.resources import Resources
from api.security import idempotency_key
from api.wire import Body, decoded
from wallet.outcomes import Reason, Refused

Dial = Callable[[Litestar], httpx.AsyncClient]


class Said(Body, frozen=True, kw_only=True):
    text: str
    more: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


@post("/said", status_code=200)
async def said(data: Said) -> Said:
    return data


@get("/asked")
async def asked(q: str = "") -> dict[str, str]:
    return {"q": q}


@pytest.fixture
def door(resources: Resources, dialled: Dial) -> httpx.AsyncClient:
    return dialled(create_app(resources, [Router("/t", route_handlers=[said, asked])]))


KHMER = "\u179f\u17bb\u1781"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("plain", "plain"),
        (KHMER, KHMER),
        (f"{KHMER}\u200b{KHMER}", KHMER * 2),
        ("e\u0301", "\u00e9"),
        ("a\u00adb\ufeffc\u2060\u200d", "abc"),
        ("line\nand\ttab", "line\nand\ttab"),
    ],
)
async def test_text_is_kept_in_one_spelling(door: httpx.AsyncClient, sent: str, kept: str) -> None:
    for ascii_only in (True, False):
        body = {"text": sent, "lines": [sent], "more": {"a": [{"b": sent}]}}
        content = json.dumps(body, ensure_ascii=ascii_only).encode()
        answer = (await door.post("/t/said", content=content)).json()
        assert answer == {"text": kept, "lines": [kept], "more": {"a": [{"b": kept}]}}


@pytest.mark.parametrize(
    "character", ["\x00", "\x08", "\x0b", "\x1b", "\x7f", "\x85", "\u202e", "\u2066", "\u200f",
                  "\ufdd0", "\uffff"],
)  # fmt: skip
async def test_what_cannot_be_seen_is_refused_naming_the_field(
    door: httpx.AsyncClient, character: str
) -> None:
    for body, named in (
        ({"text": f"a{character}"}, "text"),
        ({"text": "a", "lines": ["b", character]}, "lines[1]"),
        ({"text": "a", "more": {"x": {"y": character}}}, "more.x.y"),
    ):
        answer = await door.post("/t/said", content=json.dumps(body).encode())
        assert answer.status_code == 400
        assert set(answer.json()["fields"]) == {named}
    for text in ("%00", "%e2%80%ae", "%ff", "%c0%80"):
        assert (await door.get(f"/t/asked?q={text}")).status_code == 400, text


async def test_a_scanned_code_is_left_as_it_is(door: httpx.AsyncClient) -> None:
    scanned = f"{KHMER}\u200be\u0301"
    body = {"text": "a", "more": {"code": scanned}}
    assert (await door.post("/t/said", json=body)).json()["more"]["code"] == scanned


@given(st.text(max_size=60))
def test_whatever_is_taken_in_is_nfc_and_visible(text: str) -> None:
    import msgspec

    raw = json.dumps({"text": text}, ensure_ascii=False).encode("utf-8", "surrogatepass")
    try:
        kept = decoded(msgspec.json.Decoder(Said), raw).text
    except FieldsRefused:
        return
    assert unicodedata.is_normalized("NFC", kept)
    assert not set(kept) & {chr(n) for n in range(32)} - {"\n", "\r", "\t"}
    assert "\u200b" not in kept


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_json_is_at_most_so_deep(opening: bytes) -> None:
    deep = opening.count(b"[") + opening.count(b"{")
    refuse_deep(opening * (DEEPEST // deep))
    with pytest.raises(FieldsRefused):
        refuse_deep(opening * (DEEPEST // deep + 1))


def test_brackets_in_text_and_side_by_side_are_no_depth() -> None:
    refuse_deep(json.dumps({"a": "[" * 500, 'b\\"[': "{" * 500}).encode())
    refuse_deep(json.dumps([[n] for n in range(500)]).encode())


async def test_a_query_too_long_or_of_too_many_parts_is_refused(door: httpx.AsyncClient) -> None:
    many = "&".join(f"p{n}=1" for n in range(10_000))
    for query in (many[:60_000], "q=" + "1" * 60_000, "&".join("a=1" for _ in range(65))):
        answer = await door.get(f"/t/asked?{query}")
        assert answer.status_code == 413
        assert answer.headers["content-security-policy"]
    assert (await door.get(f"/t/asked?q={'1' * (LONGEST_QUERY - 2)}")).status_code == 200


HEADERS = {
    "content-security-policy",
    "strict-transport-security",
    "x-content-type-options",
    "cross-origin-opener-policy",
    "x-frame-options",
    "referrer-policy",
    "cache-control",
}


async def test_every_kind_of_answer_carries_the_same_headers(
    resources: Resources, dialled: Dial
) -> None:
    client = dialled(create_app(resources))
    answers = [
        await client.get("/nothing"),
        await client.get("/v1/mobile/accounts"),
        await client.post("/v1/mobile/intents", content=b"{"),  # express
        await client.get("/v1/mobile/accounts?" + "&" * 99),
        await client.delete("/v1/mobile/accounts"),
        await client.get("/health/live"),
        await client.post("/v1/atm/cards"),
    ]
    for answer in answers:
        assert set(answer.headers) >= HEADERS, answer.request.url
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers


async def test_a_fault_tells_nothing_and_carries_the_headers_too(
    resources: Resources, dialled: Dial
) -> None:
    class Broken(Struct):
        name: str

    @get("/broken")
    async def broken() -> None:
        raise RuntimeError("select * from holders at /srv/wallet.py")

    client = dialled(create_app(resources, [Router("/t", route_handlers=[broken])]))
    answer = await client.get("/t/broken")
    assert answer.status_code == 500
    assert set(answer.headers) >= HEADERS
    assert not any(word in answer.text for word in ("select", "/srv", "RuntimeError"))


def test_a_key_that_looks_like_a_code_or_a_cards_number_is_refused() -> None:
    telling = [
        "123456", "80514014", "0123456789", "9116010000000001", "order 9116 0100 0000 0001",
        "4111111111111111", "x:4111-1111-1111-1111", "5555555555554444/2",
    ]  # fmt: skip
    for key in telling:
        with pytest.raises(Refused) as refused:
            idempotency_key(key)
        assert refused.value.reason is Reason.IDEMPOTENCY_KEY_INVALID, key
    plain = [
        "1", "2026", "41111111-1111-1111-8abc-0123456789ab",
        "601209000016-000016", "4111111111111112", str(UUID(int=2**100)),
        "0195f4b2c3d4411111111111111111ab", "freeze-1", "601200000001000001",
    ]  # fmt: skip
    for key in plain:
        assert idempotency_key(key) == key
