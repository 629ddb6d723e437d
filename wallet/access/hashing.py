"""Slow hashing of passphrases and PINs, off the event loop and bounded.

Promise: argon2id at 19 MiB, t=2, p=1 (OWASP's floor; about 32 ms of one core) in two threads of
their own; at most 20 wait, and who comes after is told to come back, so that a flood of sign-ins
cannot stall payments. Who calls: staff, pins.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from wallet.outcomes import Reason, Refused

T = TypeVar("T")
THREADS: Final = 2
WAITING_AT_MOST: Final = 20


class Hashing:
    """One per process: its threads, its queue."""

    def __init__(self, *, threads: int = THREADS, waiting_at_most: int = WAITING_AT_MOST) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._free = threads + waiting_at_most
        self._dummy = self._hasher.hash("no such account")

    async def hash(self, secret: bytes) -> str:
        """The encoded argon2id hash of `secret`, salt and parameters inside. Refuses: BUSY."""
        return await self._run(lambda: self._hasher.hash(secret))

    async def matches(self, encoded: str | None, secret: bytes) -> bool:
        """Whether `secret` is behind `encoded`; None (no such account) takes as long and is false.

        Refuses: BUSY.
        """
        return await self._run(lambda: self._verify(encoded or self._dummy, secret)) and (
            encoded is not None
        )

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, encoded: str, secret: bytes) -> bool:
        try:
            return self._hasher.verify(encoded, secret)
        except VerificationError:
            return False

    async def _run(self, task: Callable[[], T]) -> T:
        if self._free == 0:
            raise Refused(Reason.BUSY, retry_after_s=1)
        self._free -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, task)
        finally:
            self._free += 1
