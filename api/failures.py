"""Failed proofs over all processes: an alarm within seconds when there are more than by mistake.

Promise: every answer that says a signature, PIN, passphrase, code or key was wrong is counted once;
each process adds its own to one count in Redis about once a second while there are any, and learns
the sum of the last minute. Above `ALARMING` the logger `smartid.alarm` says so, once a minute and
process; the gauge `smartid_failed_proofs` holds the sum. Without Redis each process goes by its
own. Nothing is refused here: limits and locks are elsewhere. One guesser is stopped by those; a
spray over many people is seen only in the sum (NIST SP 800-63B, 3.2.2).

Who calls: the application frame and the express lane, with every problem they answer.
"""

import asyncio
import logging
from collections import deque
from typing import Final

from prometheus_client import Gauge

from wallet.outcomes import Reason, Refused
from wallet.throttle import Throttle

ALARMING: Final = 500
"""Failed proofs in a minute, over all processes."""
WINDOW_S: Final = 60.0
TELL_EVERY_S: Final = 1.0

FAILED: Final = frozenset(
    {
        Reason.UNAUTHENTICATED,
        Reason.SIGN_IN_FAILED,
        Reason.SIGNATURE_INVALID,
        Reason.SIGNATURE_STALE,
        Reason.SIGNATURE_REPLAYED,
        Reason.CERTIFICATE_UNKNOWN,
        Reason.PAIRING_INVALID,
        Reason.PASSKEY_INVALID,
        Reason.OTP_WRONG,
        Reason.OTP_LOCKED,
        Reason.LOCKED,
    }
)

_alarm: Final = logging.getLogger("smartid.alarm")
_gauge: Final = Gauge("smartid_failed_proofs", "Failed proofs of the last minute, all processes")


class Failures:
    """The failed proofs this process has answered and what it knows of the others'."""

    def __init__(self, throttle: Throttle, *, tell_every_s: float = TELL_EVERY_S) -> None:
        self._throttle = throttle
        self._tell_every_s = tell_every_s
        self._untold = 0
        self._own: deque[tuple[float, int]] = deque()
        self._telling: asyncio.Task[None] | None = None
        self._quiet_until = 0.0

    def saw(self, code: Reason) -> None:
        """A problem of this code was answered."""
        if code not in FAILED:
            return
        self._untold += 1
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def close(self) -> None:
        """Stop telling: what was not told is lost with the process."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    async def _tell(self) -> None:
        while self._untold:
            await asyncio.sleep(self._tell_every_s)
            times, self._untold = self._untold, 0
            own = self._of_this_process(times)
            try:
                of_all = await self._throttle.count_failures(times)
            except Refused:
                of_all = own
            self._judge(max(own, of_all))

    def _of_this_process(self, times: int) -> int:
        now = asyncio.get_running_loop().time()
        self._own.append((now, times))
        while self._own[0][0] <= now - WINDOW_S:
            self._own.popleft()
        return sum(one for _, one in self._own)

    def _judge(self, in_a_minute: int) -> None:
        _gauge.set(in_a_minute)
        now = asyncio.get_running_loop().time()
        if in_a_minute > ALARMING and now >= self._quiet_until:
            self._quiet_until = now + WINDOW_S
            _alarm.critical("%d failed proofs in a minute, over all processes", in_a_minute)
