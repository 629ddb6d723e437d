"""The network between callers and the API: it loses requests, loses answers, sends things twice.

Promise: each caller's luck comes from its own chance (`LUCK`), so that a day replays by its seed.
Without one, everything passes. What was sent a second time "later" is on the way until `drain`.

    lost     the request never arrives; the caller hears nothing
    unheard  the request is served, the answer is lost
    twice    the request arrives twice at the same moment; one of the answers is heard
    late     the answer is heard, and the same request arrives again some time later
"""

import asyncio
import random
from collections import Counter
from contextvars import ContextVar
from typing import Final

import httpx
from litestar import Litestar

LUCK: ContextVar[random.Random | None] = ContextVar("luck", default=None)
"""The chance of whoever calls in this context."""

_MISHAPS: Final = (("lost", 0.05), ("unheard", 0.12), ("twice", 0.20), ("late", 0.26))
"""Mishap, and the share of requests up to which it is the one."""


class Line(httpx.AsyncBaseTransport):
    """In place of a socket to the application."""

    def __init__(self, app: Litestar) -> None:
        self._app = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
        self._on_the_way: list[asyncio.Task[httpx.Response]] = []
        self.mishaps: Counter[str] = Counter()
        self.defects: list[str] = []
        """Answers that should never be: faults of ours, told as 500."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        luck = LUCK.get()
        roll = 1.0 if luck is None else luck.random()
        mishap = next((name for name, share in _MISHAPS if roll < share), None)
        if mishap is not None:
            self.mishaps[mishap] += 1
        if mishap == "lost":
            raise httpx.ReadTimeout("lost on the way", request=request)
        if mishap == "twice":
            answers = await asyncio.gather(*(self._serve(request, body) for _ in range(2)))
            return answers[int(roll * 1000) % 2]
        answer = await self._serve(request, body)
        if mishap == "unheard":
            raise httpx.ReadTimeout("the answer was lost", request=request)
        if mishap == "late":
            self._on_the_way.append(asyncio.create_task(self._later(request, body, roll)))
        return answer

    async def drain(self) -> None:
        """Wait for what is still on the way."""
        while self._on_the_way:
            await self._on_the_way.pop()

    async def _later(self, request: httpx.Request, body: bytes, roll: float) -> httpx.Response:
        await asyncio.sleep(roll / 5)
        return await self._serve(request, body)

    async def _serve(self, request: httpx.Request, body: bytes) -> httpx.Response:
        again = httpx.Request(
            request.method, request.url, headers=request.headers, content=body or None
        )
        answer = await self._app.handle_async_request(again)
        text = await answer.aread()
        if answer.status_code == 500:
            self.defects.append(f"{request.method} {request.url.path}: {text[:200]!r}")
        return httpx.Response(
            answer.status_code, headers=answer.headers, content=text, request=request
        )
