"""A no that comes no sooner whatever was wrong.

Promise: who fails to prove themselves hears it a fixed time after asking, longer than the steps of
any such failure take on a machine that has time to spare; so the time tells neither who exists nor
what was wrong. The steps are alike as well, for when there is none to spare. A yes waits for
nothing. Who calls: staff, sessions, authorising.
"""

import asyncio
import time
from typing import Final

SIGN_IN_S: Final = 0.06
"""Twice what one passphrase or PIN takes to hash (see `hashing`)."""

CODE_S: Final = 0.03


class Evenly:
    """One try, which began when this was made."""

    def __init__(self, least_s: float) -> None:
        self._ends = time.monotonic() + least_s

    async def refused(self) -> None:
        """Wait until it may be told that the try failed."""
        await asyncio.sleep(max(0.0, self._ends - time.monotonic()))
