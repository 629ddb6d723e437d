"""Messages to phones, through a push gateway over HTTP.

Promise: a message is handed over within `TIMEOUT_S` or the caller hears of it by an exception; a
gateway that failed `FAILURES` times running is not asked for `PAUSE_S`, so that nobody waits for it
behind the others, and then by one message alone. `ref` makes a repeat harmless. What is handed over
is sealed for the phone; addresses are never logged.

    shut --FAILURES running--> open --PAUSE_S--> one try --accepted--> shut
                                                         --not-------> open

Who calls: the job that sends one-time codes.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import httpx

TIMEOUT_S: Final = 2.0
"""For all of it: a code lives 120 s, and by SMS it should still come while the holder waits."""
FAILURES: Final = 3
PAUSE_S: Final = 30.0

_ACCEPTED: Final = (200, 201, 202)
_NOBODY: Final = (404, 410)


class PushNotAcceptedError(ConnectionError):
    """The gateway did not take the message; says with what status, not which message."""


class HttpPush:
    """The gateway at `url`: POST {url}/pushes {to, sealed, ref, lives_s}."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        url: str,
        *,
        timeout_s: float = TIMEOUT_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._pushes = f"{url.rstrip('/')}/pushes"
        self._timeout_s = timeout_s
        self._now = now
        self._failures = 0
        self._shut_until = 0.0

    async def push(self, *, to: str, sealed: str, ref: str, lives_s: int) -> bool:
        """Hand one message over; False where the gateway knows nobody at `to`. Raises
        PushNotAcceptedError."""
        if self._now() < self._shut_until:
            raise PushNotAcceptedError("gateway rests")
        if self._failures >= FAILURES:
            # one tries; who comes meanwhile does not wait for the outcome
            self._shut_until = self._now() + self._timeout_s
        body = {"to": to, "sealed": sealed, "ref": ref, "lives_s": lives_s}
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._client.post(self._pushes, json=body, timeout=self._timeout_s)
        except (httpx.HTTPError, TimeoutError) as error:
            raise self._failed(type(error).__name__) from None
        if answer.status_code in _NOBODY or answer.status_code in _ACCEPTED:
            self._failures, self._shut_until = 0, 0.0
            return answer.status_code in _ACCEPTED
        raise self._failed(str(answer.status_code))

    def _failed(self, why: str) -> PushNotAcceptedError:
        self._failures += 1
        if self._failures >= FAILURES:
            self._shut_until = self._now() + PAUSE_S
        return PushNotAcceptedError(why)
