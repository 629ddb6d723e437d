"""The fast gate in Redis: rate limits, nonces, one-time challenges.

Promise: what is counted here is counted across every process, once per request, and before any
comparison. Nothing here decides alone: PostgreSQL holds the counters, steps and consumptions that
must survive (a Redis power cut loses up to a second of acknowledged writes). Redis gone: challenges
and nonces refuse at once (fail closed), rate limits go on per process. The code itself never
reaches Redis, whose SLOWLOG, MONITOR and AOF show arguments: callers send keyed hashes.

Keys: `{prefix}:{what}:{{tag}}:{name}`. The tag (the holder's id where there is one) puts all keys
of one holder on one node of a cluster; every script touches one key only. Rate buckets share one
tag and so one node, for one script takes from many of them (`buckets`).

Challenge states: P (pending) -> C (consumed by a right code) | L (locked by wrong ones); both
tombstones stand until the key's own end of life, and a challenge is never deleted on success,
since that would let its id be issued again. Who calls: access, the doors.
"""

import asyncio
import enum
import hashlib
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Final

from msgspec import Struct
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from wallet.buckets import Breaker, Buckets, pool_is_out
from wallet.calls import Calls
from wallet.outcomes import Reason, Refused

SOCKET_TIMEOUT_S: Final = 0.3
ANSWER_TIMEOUT_S: Final = 0.5
"""The longest one act here waits for Redis, script loading included."""
LOGIN_NONCE_S: Final = 60
RATE_TIMEOUT_S: Final = 0.1
"""A rate limit waits less: a signed payment must not stand still for a cache."""


class Admitted(Struct, frozen=True, kw_only=True):
    """The request may go on."""


class RetryAfter(Struct, frozen=True, kw_only=True):
    """The bucket is empty; ask again after this many seconds (rounded up, at least 1)."""

    seconds: int


class _Told(Awaitable[Admitted | RetryAfter]):
    """No coroutine: whoever is gone before waiting for it leaves nothing unfinished."""

    def __init__(self, wait: Awaitable[int]) -> None:
        self._wait = wait

    def __await__(self) -> Generator[Any, Any, Admitted | RetryAfter]:
        wait_us = yield from self._wait.__await__()
        if wait_us <= 0:
            return Admitted()
        return RetryAfter(seconds=max(1, math.ceil(wait_us / 1_000_000)))


class Verdict(enum.StrEnum):
    OK = "OK"
    BAD = "BAD"
    LOCKED = "LOCKED"
    USED = "USED"
    GONE = "GONE"


class Tried(Struct, frozen=True, kw_only=True):
    """What one try at a challenge came to, and how many tries are left."""

    verdict: Verdict
    tries_left: int


def connect(url: str, *, connections: int = 64, timeout_s: float = SOCKET_TIMEOUT_S) -> "Redis":
    """A client that never repeats a command by itself and gives up after 0.3 s.

    redis-py's own defaults (ten retries, 5 s) would run a verify script whose reply was lost a
    second time: a right code would then answer "used". A pool that is out waits no longer either.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
    )
    return Redis.from_pool(pool)


class Throttle:
    """All gates over one Redis, under one key prefix."""

    def __init__(
        self,
        redis: "Redis",
        *,
        prefix: str = "smartid",
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
        rate_timeout_s: float = RATE_TIMEOUT_S,
        elapsed_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._prefix = prefix
        self._answer_timeout_s = answer_timeout_s
        self._breaker = Breaker(elapsed_s)
        self._buckets = Buckets(redis, prefix, answer_within_s=rate_timeout_s, elapsed_s=elapsed_s)
        self._calls = Calls(redis)
        self._issue = redis.register_script(_ISSUE)
        self._verify = redis.register_script(_VERIFY)
        self._count = redis.register_script(_COUNT)

    def admit(
        self, bucket: str, rate_per_minute: float, burst: int, *, tag: str = ""
    ) -> Awaitable[Admitted | RetryAfter]:
        """Take one from a bucket of `burst` that refills at `rate_per_minute` (GCRA).

        Concurrent callers share one round trip. With Redis gone or slow the same arithmetic runs in
        this process alone: still a limit, no longer shared. It is taken at once; the answer may be
        waited for later. Refuses: nothing, it answers.
        """
        name = f"{tag}:{bucket}" if tag else bucket
        if not name.isascii() or not name.isprintable() or " " in name:
            name = _fingerprint(name)
        return _Told(self._buckets.take(name, round(60_000_000 / rate_per_minute), burst))

    async def spend_nonce(self, key: str, ttl_s: int, *, tag: str = "") -> bool:
        """Whether this nonce is new; it is then spent for `ttl_s` seconds.

        Refuses: UNAVAILABLE when Redis cannot say.
        """
        name = self._key("nonce", _fingerprint(key), tag)
        return bool(
            await self._ask(
                lambda: self._redis.set(name, b"1", nx=True, ex=ttl_s), down=Reason.UNAVAILABLE
            )
        )

    async def issue_login_nonce(self, device: str, *, ttl_s: int = LOGIN_NONCE_S) -> str:
        """A fresh 256-bit login nonce for one device, base64url, good once within `ttl_s`.

        Refuses: OTP_UNAVAILABLE when Redis is gone.
        """
        nonce = secrets.token_urlsafe(32)
        name = self._key("login", _fingerprint(nonce), device)
        await self._ask(lambda: self._redis.set(name, b"1", nx=True, ex=ttl_s))
        return nonce

    async def take_login_nonce(self, device: str, nonce: str) -> bool:
        """Spend a login nonce: true for exactly one caller, and only for its own device.

        Refuses: OTP_UNAVAILABLE when Redis is gone.
        """
        name = self._key("login", _fingerprint(nonce), device)
        return bool(await self._ask(lambda: self._redis.delete(name)))

    async def issue_challenge(
        self,
        challenge_id: str,
        verifier: bytes,
        tx_hash: bytes,
        device: str,
        ttl_ms: int,
        tries: int,
        *,
        tag: str = "",
    ) -> bool:
        """Open a challenge; `verifier` is a keyed hash over id, code and transaction.

        False when that id was ever issued with other content within its life. The same issue again
        (its reply was lost) is true and refills nothing.
        Refuses: OTP_UNAVAILABLE when Redis is gone.
        """
        key = self._key("chal", challenge_id, tag)
        args: list[bytes | str | int] = [verifier, tx_hash, device, ttl_ms, tries]
        return bool(await self._ask(lambda: self._calls.call(self._issue, key, args)))

    async def verify_challenge(
        self,
        challenge_id: str,
        candidate: bytes,
        tx_hash: bytes,
        device: str,
        request_id: str,
        *,
        tag: str = "",
    ) -> Tried:
        """Try `candidate` (a keyed hash) at a challenge; the try is paid before it is compared.

        The same try under the same `request_id` (a lost reply sent again) gets the same answer and
        counts once, right or wrong. Another request id after a right code answers USED.
        Refuses: OTP_UNAVAILABLE when Redis is gone: never an approval without verification.
        """
        key = self._key("chal", challenge_id, tag)
        args: list[bytes | str] = [candidate, tx_hash, device, request_id]
        code, left = await self._ask(lambda: self._calls.call(self._verify, key, args))
        return Tried(verdict=_VERDICTS[code], tries_left=left)

    async def count_failures(self, times: int) -> int:
        """Add failed proofs of this process; answers how many all had in the last minute.

        Refuses: UNAVAILABLE when Redis is gone.
        """
        key = self._key("failed", "proofs", "")
        return int(
            await self._ask(
                lambda: self._calls.call(self._count, key, [times]), down=Reason.UNAVAILABLE
            )
        )

    async def alive(self) -> bool:
        """Whether Redis answers now, for the readiness page."""
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                return bool(await self._redis.ping())
        except (RedisError, OSError, TimeoutError):
            return False

    async def _ask(
        self, ask: Callable[[], Awaitable[Any]], *, down: Reason = Reason.OTP_UNAVAILABLE
    ) -> Any:
        if self._breaker.is_open():
            raise Refused(down)
        try:
            async with asyncio.timeout(self._answer_timeout_s):
                found = await ask()
        except (RedisError, OSError, TimeoutError) as error:
            if not pool_is_out(error):
                self._breaker.failed()
            raise Refused(down) from error
        self._breaker.answered()
        return found

    def _key(self, what: str, name: str, tag: str) -> str:
        return f"{self._prefix}:{what}:{{{tag or name}}}:{name}"


def _fingerprint(text: str) -> str:
    """What stands in a key for a caller's text: of fixed length, and no secret in the key space."""
    return hashlib.sha256(text.encode()).hexdigest()


_ISSUE: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  local h = redis.call('HMGET', KEYS[1], 'v', 'tx', 'dev')
  if h[1] == ARGV[1] and h[2] == ARGV[2] and h[3] == ARGV[3] then return 1 end
  return 0
end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'tx', ARGV[2], 'dev', ARGV[3], 'left', ARGV[5], 'st', 'P')
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
"""

# Failures by slices of five seconds, twelve of which are the last minute.
_COUNT: Final = """
local now = math.floor(tonumber(redis.call('TIME')[1]) / 5)
redis.call('HINCRBY', KEYS[1], now, ARGV[1])
redis.call('EXPIRE', KEYS[1], 120)
local sum = 0
local slices = redis.call('HGETALL', KEYS[1])
for i = 1, #slices, 2 do
  if tonumber(slices[i]) > now - 12 then
    sum = sum + tonumber(slices[i + 1])
  else
    redis.call('HDEL', KEYS[1], slices[i])
  end
end
return sum
"""

_VERDICTS: Final = (Verdict.OK, Verdict.BAD, Verdict.LOCKED, Verdict.USED, Verdict.GONE)

# Answers {place in _VERDICTS, tries left}. A repeat is the same request id with the same candidate,
# transaction and device: a request id alone must not open the door to another code. At most as
# many answers are stored as there were tries.
_VERIFY: Final = """
local again = 'r' .. redis.sha1hex(
  #ARGV[1] .. ':' .. ARGV[1] .. #ARGV[2] .. ':' .. ARGV[2] .. #ARGV[3] .. ':' .. ARGV[3] .. ARGV[4])
local h = redis.call('HMGET', KEYS[1], 'st', 'tx', 'dev', 'left', 'v', again, again .. 'n')
if not h[1] then return {4, 0} end
if h[6] then return {tonumber(h[6]), tonumber(h[7])} end
if h[1] == 'C' then return {3, 0} end
if h[1] == 'L' then return {2, 0} end
local left = tonumber(h[4]) - 1
redis.call('HSET', KEYS[1], 'left', left)
local verdict = 1
if h[2] == ARGV[2] and h[3] == ARGV[3] and h[5] == ARGV[1] then
  verdict = 0
  redis.call('HSET', KEYS[1], 'st', 'C')
elseif left <= 0 then
  verdict = 2
  redis.call('HSET', KEYS[1], 'st', 'L')
end
redis.call('HSET', KEYS[1], again, verdict, again .. 'n', left)
return {verdict, left}
"""
