"""Payments offered at a rate, whatever the answers: open load, in a process of its own.

Promise: a payment begins when its moment has come, not when another has ended, and its time is
counted from that moment, so a server that stalls cannot hide it. What is turned away is counted
and left; what finds no free connection is counted as turned away unasked. Loopback only, bounded by
time. Who calls: benchmarks.payday, benchmarks.overload.
"""

import asyncio
import multiprocessing
import time
from collections import deque
from typing import Any

import msgspec
import uvloop
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.http_client import Payer, Wire, request, signature
from wallet.access.signing import unbase64url


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """`rate`: payments a second; `wires`: connections at most at once."""

    port: int
    seconds: float
    rate: float
    payers: list[Payer]
    code: str
    wires: int = 64


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """`turned_away`: prepared or authorised with 503 and a Retry-After; `unasked`: no wire free.
    `whole_s`: each payment done, from its moment to its receipt; `request_s`: its two requests."""

    offered: int
    done: int
    turned_away: int
    unasked: int
    elapsed: float
    whole_s: list[float]
    request_s: list[float]

    @property
    def rate(self) -> float:
        return self.done / self.elapsed


class _TurnedAwayError(Exception):
    pass


def run_offer(offer: Offer) -> Answered:
    """Run one load in a fresh process and hand back what came of it."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_in_process, (offer,))


def p99_ms(times: list[float]) -> float:
    ordered = sorted(times)
    return ordered[len(ordered) * 99 // 100] * 1000 if ordered else float("nan")


def _in_process(offer: Offer) -> Answered:
    return uvloop.run(_Offering(offer).run())


class _Offering:
    def __init__(self, offer: Offer) -> None:
        self._offer = offer
        self._free: deque[Wire] = deque()
        self._phones = [
            (payer, ec.derive_private_key(payer.private_value, ec.SECP256R1()))
            for payer in offer.payers
        ]
        wish = {"kind": "qr.pay", "fields": {"code": offer.code, "amount": "100"}}
        self._wish = msgspec.json.encode(wish)
        self._whole: list[float] = []
        self._requests: list[float] = []
        self._turned_away = 0
        self._unasked = 0

    async def run(self) -> Answered:
        offer = self._offer
        for _ in range(offer.wires):
            wire = Wire(offer.port)
            await wire.open()
            self._free.append(wire)
        start = time.perf_counter()
        tasks: set[asyncio.Task[None]] = set()
        offered = 0
        while (now := time.perf_counter()) < start + offer.seconds:
            while start + offered / offer.rate <= now:
                moment = start + offered / offer.rate
                if self._free:
                    wire = self._free.popleft()
                    task = asyncio.create_task(self._pay(wire, moment, offered))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                else:
                    self._unasked += 1
                offered += 1
            await asyncio.sleep(max(0.0, start + offered / offer.rate - time.perf_counter()))
        elapsed = time.perf_counter() - start
        in_time = len(self._whole)
        await asyncio.gather(*tasks)
        return Answered(
            offered=offered,
            done=in_time,
            turned_away=self._turned_away,
            unasked=self._unasked,
            elapsed=elapsed,
            whole_s=self._whole,
            request_s=self._requests,
        )

    async def _pay(self, wire: Wire, moment: float, place: int) -> None:
        payer, key = self._phones[place % len(self._phones)]
        try:
            asked = request("/v1/mobile/intents", payer.token, self._wish)
            intent: Any = msgspec.json.decode(await self._ask(wire, asked, 201, moment))
            signed = signature(key, unbase64url(intent["canonical"], field="canonical"))
            body = msgspec.json.encode({"signature": signed, "kind": "qr.pay"})
            path = f"/v1/mobile/intents/{intent['id']}/authorise"
            asked = request(path, payer.token, body)
            await self._ask(wire, asked, 200, time.perf_counter())
            self._whole.append(time.perf_counter() - moment)
        except _TurnedAwayError:
            self._turned_away += 1
        finally:
            self._free.append(wire)

    async def _ask(self, wire: Wire, asked: bytes, wanted: int, began: float) -> bytes:
        status, head, body = await wire.answer(asked)
        if status == 503 and b"retry-after:" in head.lower():
            raise _TurnedAwayError
        if status != wanted:
            raise AssertionError(f"{head[:40]!r} {body[:300]!r}")
        self._requests.append(time.perf_counter() - began)
        return body
