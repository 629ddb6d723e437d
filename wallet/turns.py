"""Whose turn it is: how many transactions run at once in a process, and who goes first.

Promise: what undoes or decides money (a reversal, an authorisation) goes before what moves it, and
that before bulk work; bulk work never holds more than half of the places, so a salary run of
hundreds of thousands of lines leaves room for phones at any moment. Nobody waits who need not.

    asked -> inside            (a place is free and nobody better waits)
          -> waiting -> inside (the best of those waiting; among equals who came first)
          -> gone              (cancelled while waiting: the place goes to the next)

Who calls: teller.
"""

import asyncio
import enum
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

PLACES: Final = 6
"""Transactions at once: more only wait for each other inside PostgreSQL."""


class Priority(enum.IntEnum):
    """The order in which lanes get their turn; the lowest first."""

    REVERSAL = 0
    AUTHORISATION = 1
    PAYMENT = 2
    BULK = 3


class Turns:
    """The places of one process."""

    def __init__(self, places: int = PLACES) -> None:
        self._free = places
        self._free_for_bulk = max(1, places // 2)
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._came = 0

    @asynccontextmanager
    async def turn(self, priority: Priority) -> AsyncIterator[None]:
        """A place for as long as the block lasts."""
        await self._enter(priority)
        try:
            yield
        finally:
            self._leave(priority)

    async def _enter(self, priority: Priority) -> None:
        if not self._waiting and self._has_place(priority):
            self._take(priority)
            return
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._came += 1
        heapq.heappush(self._waiting, (priority, self._came, called))
        self._call_next()
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled():
                self._leave(priority)  # it was called in the very moment it went away
            raise

    def _leave(self, priority: Priority) -> None:
        self._free += 1
        if priority is Priority.BULK:
            self._free_for_bulk += 1
        self._call_next()

    def _call_next(self) -> None:
        """Give the free places to the best that wait. Where bulk work may not go, nobody behind it
        may: it is the last there is."""
        while self._waiting:
            priority, _, called = self._waiting[0]
            if called.done():
                heapq.heappop(self._waiting)
                continue
            if not self._has_place(Priority(priority)):
                return
            heapq.heappop(self._waiting)
            self._take(Priority(priority))
            called.set_result(None)

    def _has_place(self, priority: Priority) -> bool:
        return self._free > 0 and (priority is not Priority.BULK or self._free_for_bulk > 0)

    def _take(self, priority: Priority) -> None:
        self._free -= 1
        if priority is Priority.BULK:
            self._free_for_bulk -= 1
