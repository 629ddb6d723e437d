"""The worker role: durable jobs, notices, holds whose moment has come, and seals over the books.

Promise: every loop is safe to run in any number of processes and to kill at any line; a loop
that fails says so, waits and goes on. Who calls: cli (`smartid serve --role worker`), demo, tests.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, Final

import httpx

from api.resources import Resources
from notifications.channels.push import HttpPush
from notifications.channels.sms import HttpSms
from notifications.delivery import deliver_next
from notifications.live import Wake, waker
from runtime.handlers import Handler, handlers, rounds
from runtime.operators import HttpOperators
from runtime.resources import open_resources
from runtime.seal_keys import publish, signer_of
from runtime.settings import Settings, SettingsError
from runtime.token_service import HttpTokenService
from wallet import jobs
from wallet.access import machines
from wallet.access.machines import Provider
from wallet.access.sending import Channels
from wallet.clock import Clock
from wallet.database import CONNECTION_LOST, Database
from wallet.identifiers import BankId
from wallet.jobs import Again, Job
from wallet.limits.expiring import release_due
from wallet.outcomes import Refused
from wallet.registry import banks
from wallet.retention import read_periods
from wallet.seals import sealing
from wallet.simulation import keep_up
from wallet.topups import Patience
from wallet.work import WORKER, Work, Works

TOGETHER: Final = 16
"""Jobs one process does at the same time."""

IDLE_S: Final = 0.1
FAULT_S: Final = 1.0
ROUNDS_EVERY_S: Final = 5.0
SEAL_EVERY_S: Final = 1.0
RENEW_EVERY_S: Final = jobs.LEASE_S / 3

Step = Callable[[], Awaitable[int]]
"""Answers how much it found to do."""

_log = logging.getLogger("smartid.worker")


STATEMENT_TIMEOUT_S: Final = 60.0
"""Longer than at the doors: a salary file's totals are counted in one statement."""


async def main(settings: Settings, stop: asyncio.Event) -> None:
    """Work until `stop` is set. Refuses: as `open_resources`."""
    operators = None
    if settings.operator_url:
        callback_url = settings.operator_callback_url
        operators = HttpOperators(settings.operator_url, callback_url=callback_url)
    tokens = HttpTokenService(settings.token_url) if settings.token_url else None
    client = httpx.AsyncClient(trust_env=False, follow_redirects=False)
    channels = Channels(
        sms=HttpSms(client, settings.sms_url) if settings.sms_url else None,
        push=HttpPush(client, settings.push_url) if settings.push_url else None,
    )
    async with open_resources(settings, statement_timeout_s=STATEMENT_TIMEOUT_S) as resources:
        await refuse_deaf_callbacks(resources, settings)
        signer = signer_of(settings)
        await publish(resources.works, settings)
        patience = Patience(grace_s=settings.topup_grace_s)
        periods = read_periods(settings.keep_days)
        done_by = handlers(resources, operators, channels, patience, tokens, periods)
        worker = worker_on(resources, done_by, partial(sealing.step, resources.works, signer))
        try:
            await worker.run(stop)
        finally:
            await client.aclose()
            if tokens is not None:
                await tokens.close()
            if operators is not None:
                await operators.close()


def worker_on(
    resources: Resources, handlers: Mapping[str, Handler], seal: Callable[[], Awaitable[int]]
) -> "Worker":
    """The worker of one process, wired to its resources."""

    async def every_bank() -> list[BankId]:
        async def query(work: Work) -> list[BankId]:
            return [bank.id for bank in await banks.every(work)]

        return await resources.works.read(WORKER, None, query)

    return Worker(
        database=resources.database,
        works=resources.works,
        clock=resources.clock,
        wake=waker(resources.redis),
        handlers=handlers,
        banks=every_bank,
        rounds=partial(rounds, resources),
        seal=seal,
    )


async def refuse_deaf_callbacks(resources: Resources, settings: Settings) -> None:
    """Nobody is asked to call us back before there is a secret to know them by.

    Refuses: SettingsError.
    """
    if settings.operator_callback_url is None:
        return
    vault = resources.vault
    secrets = await resources.works.read(
        WORKER, None, lambda work: machines.secrets_of(work, vault, Provider.OPERATORS)
    )
    if not secrets:
        raise SettingsError(
            "SMARTID_OPERATOR_CALLBACK_URL needs a secret that callbacks are signed with:"
            " `smartid keys issue provider operators` makes one, to be given to the aggregator"
        )


class JobRunner:
    """Leases due jobs and does them, `TOGETHER` at a time."""

    def __init__(self, database: Database, clock: Clock, handlers: Mapping[str, Handler]) -> None:
        self._database = database
        self._clock = clock
        self._handlers = handlers
        self._running: dict[asyncio.Task[None], Job] = {}

    async def step(self) -> int:
        """Lease and start what is due, as far as there is room; answers how many."""
        room = TOGETHER - len(self._running)
        if room <= 0:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            return 0
        leased = await jobs.lease(self._database, list(self._handlers), room, self._clock.now())
        for job in leased:
            task = asyncio.create_task(self._do(job))
            self._running[task] = job
            task.add_done_callback(lambda done: self._running.pop(done, None))
        return len(leased)

    async def renew_running(self) -> int:
        """Keep the leases of long jobs; answers how many."""
        running = list(self._running.values())
        for job in running:
            await jobs.renew(self._database, job, self._clock.now())
        return 0

    async def settle(self) -> None:
        """Wait for the jobs under way."""
        while self._running:
            await asyncio.wait(self._running)

    async def abandon(self, patience_s: float) -> None:
        """Let jobs finish for a moment, then leave the rest to whoever leases them next."""
        if self._running:
            await asyncio.wait(self._running, timeout=patience_s)
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _do(self, job: Job) -> None:
        try:
            await self._handlers[job.name](job)
        except Again as again:
            at = self._clock.now() + timedelta(seconds=again.pause_s)
            await jobs.postpone(self._database, job, at)
        except (Exception, Refused) as error:
            dead = await jobs.fail(self._database, job, _told(error), self._clock.now())
            _log.log(
                logging.ERROR if dead else logging.WARNING,
                "job %s attempt %s failed%s: %s",
                job.name,
                job.attempts,
                ", set aside" if dead else "",
                _told(error),
            )
        else:
            await jobs.finish(self._database, job)


class Worker:
    """Every loop of the worker role, over one process's resources."""

    def __init__(
        self,
        *,
        database: Database,
        works: Works,
        clock: Clock,
        wake: Wake,
        handlers: Mapping[str, Handler],
        banks: Callable[[], Awaitable[list[BankId]]],
        rounds: Callable[[BankId], Awaitable[Any]],
        seal: Callable[[], Awaitable[int]],
    ) -> None:
        self.runner = JobRunner(database, clock, handlers)
        self._keep_up = partial(keep_up, database, clock)
        self._works = works
        self._wake = wake
        self._banks = banks
        self._rounds = rounds
        self._seal = seal

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then let what is under way finish for a moment."""
        loops = [
            asyncio.create_task(_loop(stop, self._in_time(step), pause_s))
            for step, pause_s in self.steps()
        ]
        await stop.wait()
        await self.runner.abandon(5.0)
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)

    def steps(self) -> tuple[tuple[Step, float], ...]:
        """Everything that is done again and again, and how long is paused when it found nothing."""
        return (
            (self.runner.step, IDLE_S),
            (self.runner.renew_running, RENEW_EVERY_S),
            (self.deliver, IDLE_S),
            (self.make_rounds, ROUNDS_EVERY_S),
            (self._seal, SEAL_EVERY_S),
        )

    def _in_time(self, step: Step) -> Step:
        """The step, on the time of its demonstration where there is one."""

        async def kept_up() -> int:
            await self._keep_up()
            return await step()

        return kept_up

    async def deliver(self) -> int:
        """One batch of events into inboxes."""
        return await deliver_next(self._works, self._wake)

    async def make_rounds(self) -> int:
        """Release due holds and look after what may have been left lying, bank by bank."""
        for bank in await self._banks():
            while await release_due(self._works, bank):
                pass
            await self._rounds(bank)
        return 0


async def _loop(stop: asyncio.Event, step: Step, pause_s: float) -> None:
    """Call `step` until told to stop: at once again while it finds something, else paused."""
    while not stop.is_set():
        try:
            if await step():
                continue
            wait_s = pause_s
        except CONNECTION_LOST as lost:
            _log.warning("no database: %s", _told(lost))
            wait_s = FAULT_S
        except Exception as error:
            _log.exception("a worker's round failed: %s", _told(error))
            wait_s = FAULT_S
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait_s)


def _told(error: BaseException) -> str:
    """An error for the log: its kind and the reason's code, never data."""
    if isinstance(error, Refused):
        return f"refused: {error.reason.value}"
    return type(error).__name__
