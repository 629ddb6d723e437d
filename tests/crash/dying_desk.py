"""A process that decides on purchases, commits, and is killed before anybody hears the answer.

Promise: `kill -9` by its own hand right after the group's commit, when the desk looks at the clock
to see whether its answer comes in time. What it was to serve comes on its standard input.
Called by test_lost_answers.
"""

import asyncio
import os
import signal
import sys
from datetime import datetime
from pathlib import Path

import msgspec

from wallet.authorisations.habits import StepUp
from wallet.authorisations.messages import Message
from wallet.authorisations.serving import Desk, Network
from wallet.cards.rules import Issuing
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.teller import Teller
from wallet.vault import SoftwareKeyStore, Vault
from wallet.work import Works


class Asked(msgspec.Struct):
    """What the process is to do, and die of."""

    database_url: str
    key_file: str
    now: datetime
    messages: list[Message]


class LastLook(TurnedClock):
    """The caller's clock: whoever looks at it dies."""

    def now(self) -> datetime:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("killed, and alive")


async def serve(asked: Asked) -> None:
    database = await Database.connect(asked.database_url, largest=2)
    clock = TurnedClock(asked.now)
    vault = Vault(SoftwareKeyStore.open_or_create(Path(asked.key_file)))
    step_up = StepUp(first_foreign=False, new_country=False, times_usual=0, many_in_hour=0)
    network = Network(issuing=Issuing(vault=vault), step_up=step_up)
    desk = Desk(Teller(Works(database, clock)), LastLook(asked.now), network)
    await asyncio.gather(*(desk.ask(message) for message in asked.messages))


if __name__ == "__main__":
    asyncio.run(serve(msgspec.json.decode(sys.stdin.buffer.read(), type=Asked)))
