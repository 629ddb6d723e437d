"""A load client as small as it can be, in a process of its own: HTTP/1.1 over asyncio streams.

Promise: every answer is read and checked; what is timed is a request from its first byte out to
its last byte in. Loopback only, bounded by time. Who calls: payments, secured; offered, for its
wires.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import uvloop
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from wallet.access.signing import base64url, unbase64url


class Payer(msgspec.Struct, frozen=True):
    """A paired phone as the load client plays it."""

    token: str
    private_value: int


class Load(msgspec.Struct, frozen=True):
    port: int
    seconds: float
    payers: list[Payer]
    code: str


class Counted(msgspec.Struct, frozen=True):
    """What was done in `elapsed` seconds, and how long each request took."""

    done: int
    elapsed: float
    request_s: list[float]


class Wire:
    """One kept-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def ask(self, asked: bytes, wanted: int) -> bytes:
        status, head, body = await self.answer(asked)
        if status != wanted:
            raise AssertionError(f"{head[:40]!r} {body[:300]!r}")
        return body

    async def answer(self, asked: bytes) -> tuple[int, bytes, bytes]:
        """Status, head and body."""
        self._writer.write(asked)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        return int(head[9:12]), head, await self._reader.readexactly(length)


def run_load(load: Load, kind: str) -> Counted:
    """Run one load in a fresh process and hand back its count."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_in_process, (load, kind))


def _in_process(load: Load, kind: str) -> Counted:
    client = {"payments": _pay_on, "empty": _ask_on}[kind]
    return uvloop.run(_measure(load, client))


Client = Callable[[Wire, Load, Payer, float, list[float]], Awaitable[int]]


async def _measure(load: Load, client: Client) -> Counted:
    times: list[float] = []
    wires = [Wire(load.port) for _ in load.payers]
    await asyncio.gather(*(wire.open() for wire in wires))
    start = time.perf_counter()
    counts = await asyncio.gather(
        *(
            client(wire, load, payer, start + load.seconds, times)
            for wire, payer in zip(wires, load.payers, strict=True)
        )
    )
    return Counted(sum(counts), time.perf_counter() - start, times)


async def _pay_on(wire: Wire, load: Load, payer: Payer, end: float, times: list[float]) -> int:
    key = ec.derive_private_key(payer.private_value, ec.SECP256R1())
    wish = msgspec.json.encode({"kind": "qr.pay", "fields": {"code": load.code, "amount": "100"}})
    prepare = request("/v1/mobile/intents", payer.token, wish)
    count = 0
    while (began := time.perf_counter()) < end:
        intent: Any = msgspec.json.decode(await wire.ask(prepare, 201))
        times.append(time.perf_counter() - began)
        signed = signature(key, unbase64url(intent["canonical"], field="canonical"))
        body = msgspec.json.encode({"signature": signed, "kind": "qr.pay"})
        authorise = request(f"/v1/mobile/intents/{intent['id']}/authorise", payer.token, body)
        began = time.perf_counter()
        await wire.ask(authorise, 200)
        times.append(time.perf_counter() - began)
        count += 1
    return count


async def _ask_on(wire: Wire, load: Load, payer: Payer, end: float, times: list[float]) -> int:
    asked = b"GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
    count = 0
    while (began := time.perf_counter()) < end:
        await wire.ask(asked, 200)
        times.append(time.perf_counter() - began)
        count += 1
    return count


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """A payment on its way: what one phone has of it so far."""

    payer: Payer
    qr: str = ""
    intent: str = ""
    canonical: str = ""
    otp: str = ""


class Step(msgspec.Struct, frozen=True):
    """One request for each payment, in `elapsed` seconds; `left` is what the next step needs."""

    left: list[Signed]
    elapsed: float
    request_s: list[float]


def run_step(port: int, kind: str, work: list[Signed], connections: int) -> Step:
    """Run one step of many payments in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_step_in_process, (port, kind, work, connections))


def _step_in_process(port: int, kind: str, work: list[Signed], connections: int) -> Step:
    return uvloop.run(_step(port, kind, work, connections))


async def _step(port: int, kind: str, work: list[Signed], connections: int) -> Step:
    wires = [Wire(port) for _ in range(connections)]
    await asyncio.gather(*(wire.open() for wire in wires))
    # what a phone does by itself is done beforehand: it has a processor of its own
    waiting = [(one, _prepared_request(kind, one)) for one in work]
    times: list[float] = []
    left: list[Signed] = []

    async def go_on(wire: Wire) -> None:
        while waiting:
            one, (asked, wanted) = waiting.pop()
            began = time.perf_counter()
            body = await wire.ask(asked, wanted)
            times.append(time.perf_counter() - began)
            if kind == "prepare":
                shown: Any = msgspec.json.decode(body)
                one = Signed(payer=one.payer, intent=shown["id"], canonical=shown["canonical"])
            left.append(one)

    began = time.perf_counter()
    await asyncio.gather(*(go_on(wire) for wire in wires))
    return Step(left, time.perf_counter() - began, times)


def _prepared_request(kind: str, one: Signed) -> tuple[bytes, int]:
    if kind == "prepare":
        wish = {"kind": "qr.pay", "fields": {"code": one.qr, "amount": "100"}}
        body = msgspec.json.encode(wish)
        return request("/v1/mobile/intents", one.payer.token, body), 201
    path = f"/v1/mobile/intents/{one.intent}"
    if kind == "ask":
        return request(f"{path}/code", one.payer.token, b"{}"), 202
    key = ec.derive_private_key(one.payer.private_value, ec.SECP256R1())
    signed = signature(key, unbase64url(one.canonical, field="canonical"))
    body = msgspec.json.encode({"signature": signed, "kind": "qr.pay", "otp": one.otp})
    return request(f"{path}/authorise", one.payer.token, body), 200


def request(path: str, token: str, body: bytes) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body


def signature(key: ec.EllipticCurvePrivateKey, message: bytes) -> str:
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
