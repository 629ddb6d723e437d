"""Who is listening: wakes the live streams of holders who have something new.

Promise: Redis carries only "look again" for a list of holders; what there is to see comes from
the inbox. With Redis gone streams fall back to looking at each heartbeat, and come back by
themselves; once it listens (again), everybody looks, for nobody knows what was missed.
Who calls: delivery (waking), the phone door (listening).
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final
from uuid import UUID

from redis.exceptions import RedisError

from wallet.identifiers import HolderId

CHANNEL: Final = "smartid:wake"
RETRY_S: Final = 1.0

Wake = Callable[[Sequence[HolderId]], Awaitable[None]]


def waker(redis: Any) -> Wake:
    """A function that wakes holders' streams in every API process."""

    async def wake(holders: Sequence[HolderId]) -> None:
        try:
            await redis.publish(CHANNEL, b"".join(holder.bytes for holder in holders))
        except (RedisError, OSError):
            # Streams look by themselves at their next heartbeat.
            return

    return wake


class Listeners:
    """The live streams open in this process."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self._waiting: dict[HolderId, set[asyncio.Event]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        self.closed = False
        """The process stops: whoever is woken ends their stream."""

    def listen(self, holder_id: HolderId) -> asyncio.Event:
        """An event set whenever the holder may have something new; give it back by `leave`."""
        if not self.closed and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._hear())
        event = asyncio.Event()
        self._waiting[holder_id].add(event)
        return event

    def leave(self, holder_id: HolderId, event: asyncio.Event) -> None:
        self._waiting[holder_id].discard(event)
        if not self._waiting[holder_id]:
            del self._waiting[holder_id]

    async def close(self) -> None:
        self.closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._wake_all()

    async def _hear(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.subscribe(CHANNEL)
                    while True:
                        message = await pubsub.get_message(timeout=30.0)
                        if message is None:
                            continue
                        if message["type"] == "subscribe":
                            self._wake_all()
                        elif message["type"] == "message":
                            self._wake(message["data"])
            except (RedisError, OSError):
                await asyncio.sleep(RETRY_S)

    def _wake_all(self) -> None:
        for events in self._waiting.values():
            for event in events:
                event.set()

    def _wake(self, data: bytes) -> None:
        for start in range(0, len(data), 16):
            for event in self._waiting.get(HolderId(UUID(bytes=data[start : start + 16])), ()):
                event.set()
