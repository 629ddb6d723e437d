"""Refuses a Redis that could silently forget: limits, nonces and one-time codes must not be
evicted.

INFO rather than CONFIG, which hosted servers do not answer. Called by runtime.resources.
"""

from typing import Final

from redis.asyncio import Redis

_OLDEST: Final = (6, 2)


class UnsafeRedisError(Exception):
    """The server's settings could drop what keeps a code from being used twice."""


async def refuse_unsafe_redis(redis: Redis, *, must_append: bool) -> None:
    """`must_append`: it is our own, so its append-only file must be on.

    Refuses: UnsafeRedisError with what to set.
    """
    info: dict[str, object] = await redis.info()
    version = str(info.get("redis_version", "0.0")).split(".")
    if (int(version[0]), int(version[1])) < _OLDEST:
        raise UnsafeRedisError(
            f"REDIS_URL: Redis {'.'.join(version)} is too old, 6.2 or newer is needed"
        )
    policy = info.get("maxmemory_policy")
    if policy != "noeviction":
        raise UnsafeRedisError(
            f"REDIS_URL: maxmemory-policy is {policy}, which forgets used codes under memory"
            " pressure: set it to noeviction"
        )
    if must_append and not info.get("aof_enabled"):
        raise UnsafeRedisError(
            "the embedded Redis runs without its append-only file: set appendonly yes"
        )
