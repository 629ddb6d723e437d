"""A whole day drawn from one seed: who does what, what breaks, how the clock jumps, who looks.

Promise: everything goes through the doors and the worker's own loops, on real PostgreSQL and
Redis; the seed decides every choice. What happens within one moment happens at once, so a seed
replays the same day, not the same interleaving.
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from redis.asyncio import Redis

from api.resources import Resources
from notifications.delivery import deliver_next
from notifications.live import waker
from runtime.handlers import handlers, rounds
from runtime.operators import HttpOperators
from runtime.worker import JobRunner
from simulators.telco import Telco
from tests.crash.proxy import AT_COMMIT, Fault, Proxy
from tests.simulation.line import LUCK, Line
from tests.simulation.model import Model
from tests.simulation.offices import Payroll, Support
from tests.simulation.people import Crowd, Deed, Machine
from wallet import topups
from wallet.access.sending import Channels
from wallet.clock import TurnedClock
from wallet.database import CONNECTION_LOST
from wallet.identifiers import BankId, TopupId
from wallet.limits.expiring import release_due
from wallet.outcomes import Refused
from wallet.topups import Patience
from wallet.work import SYSTEM, Work

BANKS: Final = (BankId("ACLEDA"), BankId("WING"))
WIRE_FAULTS: Final = (*AT_COMMIT, Fault.LATE_REPLY, Fault.AT_STATEMENT, Fault.IN_ANSWER)


class Crew:
    """One worker process: its loops, in steps. A crashed one is replaced by the next."""

    def __init__(self, resources: Resources, operators: HttpOperators) -> None:
        self._resources = resources
        self.runner = JobRunner(
            resources.database,
            resources.clock,
            handlers(resources, operators, Channels(sms=None), Patience()),
        )

    async def work(self) -> None:
        """What is due now: jobs, holds, notices."""
        resources = self._resources
        try:
            while await self.runner.step():
                pass
            await self.runner.settle()
            for bank in BANKS:
                await release_due(resources.works, bank)
                await rounds(resources, bank)
            while await deliver_next(resources.works, waker(resources.redis)):
                pass
        except (*CONNECTION_LOST, Refused):
            # As the worker's loop: it says so, waits, and goes on at the next round.
            return

    async def crash(self, after_s: float) -> None:
        """Begin what is due, and die in the middle of it."""
        work = asyncio.create_task(self.work())
        await asyncio.sleep(after_s)
        work.cancel()
        await self.runner.abandon(0)
        await asyncio.gather(work, return_exceptions=True)


@dataclass
class Day:
    """Everything there is, and one moment after the other of it."""

    seed: str
    clock: TurnedClock
    resources: Resources
    redis: "Redis"
    proxy: Proxy
    telco: Telco
    operators: HttpOperators
    line: Line
    model: Model
    crowd: Crowd
    machine: Machine
    payroll: Payroll
    support: Support
    worker_always_crashes: bool = False
    happened: Counter[str] = field(default_factory=Counter)
    _cards: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    async def live(self, moments: int) -> None:
        """The day as it comes; two salary files fall into it."""
        for moment in range(moments):
            if moment in (moments // 5, moments // 2):
                await self._as(
                    f"payroll {moment}",
                    self.payroll.send(1 + (moment >= moments // 2), self.chance.randrange(10**6)),
                )
            await self._moment(moment)
        await self._quieten()

    async def _moment(self, moment: int) -> None:
        if self.chance.random() < 0.4:
            self.proxy.arm(self.chance.choice(WIRE_FAULTS), self.chance.randrange(12))
        if self.chance.random() < 0.15:
            self.happened["Redis flushed"] += 1
            await self.redis.flushdb()
        deeds = [self._deed() for _ in range(self.chance.randint(2, 7))]
        acting = [
            self._as(f"{moment} {place}", deed(random.Random(f"{self.seed} {moment} {place}")))
            for place, deed in enumerate(deeds)
        ]
        await asyncio.gather(self._worker(), *acting)
        if self.chance.random() < 0.5:
            await self._as(f"approve {moment}", self.payroll.approve_checked())
        if self.crowd.paid and self.chance.random() < 0.4:
            person, payment, riel = self.crowd.paid.pop()
            back = self.chance.randint(1, riel)
            await self._as(f"refund {moment}", self.support.give_back(person, payment, back))
        self._jump()
        await self.telco.tick()

    async def _as(self, who: str, deed: Any) -> None:
        """In a context of its own, with luck of its own."""

        async def with_luck() -> None:
            LUCK.set(random.Random(f"{self.seed} {who}"))
            await deed

        await asyncio.create_task(with_luck())

    def _deed(self) -> Deed:
        roll = self.chance.random()
        if roll < 0.30:
            return self.crowd.pay_shop
        if roll < 0.60:
            return self.crowd.pay_somebody
        if roll < 0.85:
            return self.crowd.top_up
        self._cards += 1
        number = self._cards
        return lambda luck: self.machine.card(luck, number)

    async def _worker(self) -> None:
        crew = Crew(self.resources, self.operators)
        if self.worker_always_crashes or self.chance.random() < 0.3:
            self.happened["workers crashed"] += 1
            await crew.crash(self.chance.uniform(0.0, 0.06))
        else:
            await crew.work()

    def _jump(self) -> None:
        """Seconds mostly; past a code's or a slip's life; hours; and, as clocks are set, back."""
        roll = self.chance.random()
        if roll < 0.6:
            seconds = self.chance.randint(1, 90)
        elif roll < 0.8:
            seconds = self.chance.randint(120, 700)
        elif roll < 0.92:
            seconds = -self.chance.randint(1, 5)
            self.happened["clock set back"] += 1
        else:
            seconds = self.chance.randint(3_600, 10_000)
            self.happened["clock jumped"] += 1
        self.clock.advance(timedelta(seconds=seconds))

    # the evening

    async def _quieten(self) -> None:
        """Nothing breaks any more: what was begun comes to its end, and everybody hears it."""
        self.proxy.armed = None
        await self.line.drain()
        self.worker_always_crashes = False
        # An open top-up is looked up again and again, each time after a longer pause.
        for hours in (0, 0.01, 0.02, 0.05, 0.1, 0.3, 1, 2, 21, 25, 25):
            self.clock.advance(timedelta(hours=hours))
            await self.telco.tick()
            await Crew(self.resources, self.operators).work()
            await self.payroll.approve_checked()
        for act_id in list(self.crowd.signed):
            self.model.told(act_id, await self.crowd.ask_again(act_id))
        await self.payroll.note_paid()
        await self._settle_topups()

    async def _settle_topups(self) -> None:
        """Paid for is what the operator delivered and did not take back, once."""
        for topup_id, (account, price) in self.crowd.topups.items():
            if self.model.acts[topup_id].ending != "done":
                continue
            delivered = self.telco.books.deliveries(topup_id)
            state = await self._state(topup_id)
            kept = [one for one in delivered if not one.taken_back]
            if len(delivered) > 1 or state not in _ENDS[bool(delivered), bool(kept)]:
                self.model.faults.append(f"top-up {topup_id} {state}: delivered {delivered}")
            if kept and state == topups.State.SUCCEEDED.value:
                self.model.apply({account: -price})

    async def _state(self, topup_id: str) -> str:
        async def query(work: Work) -> topups.Topup | None:
            return await topups.by_id(work, TopupId(UUID(topup_id)))

        found = await self.resources.works.read(SYSTEM, None, query)
        return "none" if found is None else found.state.value


_ENDS: Final = {
    # delivered, kept: the states it may be in when the day is over
    (False, False): ("FAILED",),
    (True, True): ("SUCCEEDED", "RECOVERY"),
    (True, False): ("REVERSED", "FAILED", "RECOVERY"),
}
