"""Rate buckets (GCRA), exact across processes, taken from in batches.

Promise: over any stretch of t seconds a bucket admits at most burst + rate x t, over all processes;
callers who ask while an answer is on its way share the next round trip, so that a limit costs a
busy process a fraction of one. A bucket known to be empty is refused here until it has something,
without asking again. Redis gone or slow: the same arithmetic in this process alone, never open,
never closed. Who calls: throttle.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from redis.exceptions import MaxConnectionsError, RedisError

TOGETHER_AT_MOST: Final = 256
REMEMBERED: Final = 20_000
PACE_S: Final = 0.004
"""Between one batch and the next: a call to Redis costs a process what twenty takes do, so under
load some wait these few milliseconds; whoever asks when nobody did just before does not wait."""


class _Take(NamedTuple):
    key: str
    interval_us: int
    burst: int
    answer: "asyncio.Future[int]"


class Buckets:
    """The buckets of one Redis as one process takes from them."""

    def __init__(
        self, redis: Any, prefix: str, *, answer_within_s: float, elapsed_s: Callable[[], float]
    ) -> None:
        self._prefix = f"{prefix}:rate:{{rate}}:"
        self._script = redis.register_script(_TAKE)
        self._answer_within_s = answer_within_s
        self._elapsed_s = elapsed_s
        self._breaker = Breaker(elapsed_s)
        self._local = LocalBuckets(elapsed_s)
        self._empty_until: OrderedDict[str, int] = OrderedDict()
        self._waiting: list[_Take] = []
        self._running: asyncio.Task[None] | None = None
        self._not_before = 0.0

    def take(self, key: str, interval_us: int, burst: int) -> "asyncio.Future[int]":
        """Take one of `key` (without white space), at once and not when it is waited for; answers
        0, or the microseconds until there is one to take."""
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self._empty_until:
            shut_us = self._empty_until.get(key, 0) - self._now_us()
            if shut_us > 0:
                answer.set_result(shut_us)
                return answer
        self._waiting.append(_Take(key, interval_us, burst, answer))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._serve())
        return answer

    async def _serve(self) -> None:
        clock = asyncio.get_running_loop().time
        while self._waiting:
            if (early_s := self._not_before - clock()) > 0:
                await asyncio.sleep(early_s)
            self._not_before = clock() + PACE_S
            batch, self._waiting = (
                self._waiting[:TOGETHER_AT_MOST],
                self._waiting[TOGETHER_AT_MOST:],
            )
            try:
                waits = await self._asked(batch)
            except BaseException as error:  # told to those who wait: nobody else would hear of it
                for take in batch:
                    if not take.answer.done():
                        take.answer.set_exception(error)
                if not isinstance(error, Exception):
                    raise
                continue
            for take, wait_us in zip(batch, waits, strict=True):
                if wait_us > 0:
                    self._remember(take.key, wait_us)
                if not take.answer.done():
                    take.answer.set_result(wait_us)

    async def _asked(self, batch: Sequence[_Take]) -> Sequence[int]:
        if not self._breaker.is_open():
            # One argument for the whole batch: packing three for each take was most of its cost.
            takes = "".join([f"{key} {interval} {burst} " for key, interval, burst, _ in batch])
            try:
                async with asyncio.timeout(self._answer_within_s):
                    waits: Sequence[int] = await self._script(keys=[self._prefix], args=[takes])
                self._breaker.answered()
                return waits
            except (RedisError, OSError, TimeoutError) as error:
                if not pool_is_out(error):
                    self._breaker.failed()
        return [self._local.take(take.key, take.interval_us, take.burst) for take in batch]

    def _remember(self, key: str, wait_us: int) -> None:
        # A refusal takes nothing and nobody gives back: until then the bucket stays empty.
        self._empty_until[key] = self._now_us() + wait_us
        self._empty_until.move_to_end(key)
        if len(self._empty_until) > REMEMBERED:
            self._empty_until.popitem(last=False)

    def _now_us(self) -> int:
        return round(self._elapsed_s() * 1_000_000)


class Breaker:
    """After two failures in a row Redis is left alone for a second, so that a request that needs
    several answers waits for a silent server once and not each time."""

    def __init__(self, elapsed_s: Callable[[], float]) -> None:
        self._elapsed_s = elapsed_s
        self._failures = 0
        self._rest_until = 0.0

    def is_open(self) -> bool:
        return self._failures >= 2 and self._elapsed_s() < self._rest_until

    def failed(self) -> None:
        self._failures += 1
        self._rest_until = self._elapsed_s() + 1.0

    def answered(self) -> None:
        self._failures = 0


class LocalBuckets:
    """The limiter of one process while Redis is gone. Bounded: the oldest bucket is forgotten."""

    def __init__(self, elapsed_s: Callable[[], float]) -> None:
        self._elapsed_s = elapsed_s
        self._due: OrderedDict[str, int] = OrderedDict()

    def take(self, key: str, interval_us: int, burst: int) -> int:
        now = round(self._elapsed_s() * 1_000_000)
        due = max(self._due.get(key, now), now)
        wait = due - now - interval_us * (burst - 1)
        if wait > 0:
            return wait
        self._due[key] = due + interval_us
        self._due.move_to_end(key)
        if len(self._due) > REMEMBERED:
            self._due.popitem(last=False)
        return 0


def pool_is_out(error: Exception) -> bool:
    """More asked at once than there are connections: that says nothing about the server."""
    return isinstance(error, MaxConnectionsError) or str(error) == "No connection available."


# One "theoretical arrival time" in microseconds a bucket; Redis's clock, so that processes agree.
# The keys are KEYS[1] and what follows it: its hash tag keeps them on one node of a cluster.
# A time further ahead than a full bucket (a fail-over to a server whose clock is behind) is cut.
_TAKE: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local waits = {}
local i = 0
for name, interval, burst in string.gmatch(ARGV[1], '(%S+) (%d+) (%d+) ') do
  i = i + 1
  local key = KEYS[1] .. name
  interval = tonumber(interval)
  burst = tonumber(burst)
  local due = tonumber(redis.call('GET', key) or now)
  if due < now then due = now end
  if due > now + interval * burst then due = now + interval * burst end
  local wait = due - now - interval * (burst - 1)
  if wait > 0 then
    waits[i] = wait
  else
    due = due + interval
    redis.call('SET', key, string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000) + 1)
    waits[i] = 0
  end
end
return waits
"""
