"""Opens a street on a PostgreSQL of its own, and lets its people pay until somebody stops them."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
from litestar import Litestar

from api.app import create_app
from api.resources import Policy, Resources
from runtime.prove import all_checks
from tests.crash.street import SIGNATURES_ALONE, Known, Payer, Street
from tests.desk import UNHURRIED, lone_throttle
from wallet.access import policy
from wallet.clock import Clock, SystemClock
from wallet.database import CONNECTION_LOST, Database
from wallet.ledger.proof import prove
from wallet.outcomes import Refused
from wallet.teller import Teller
from wallet.vault import SoftwareKeyStore, Vault
from wallet.work import Works


@contextlib.asynccontextmanager
async def street_at(
    url: str, chance: random.Random, *, truth_url: str | None = None, clock: Clock | None = None
) -> AsyncIterator[Street]:
    """The wallet on `url`; whoever judges looks through `truth_url`, past whatever breaks."""
    behind = await Database.connect(url, largest=6)
    # As the owner: no bank's wall stands before who judges.
    truth = await Database.connect(truth_url or url, largest=2, role=None)
    works = Works(behind, clock or SystemClock())
    teller = Teller(works)
    app = app_on(behind, works, teller)
    async with dialled(app) as client:
        try:
            yield Street(client, works, truth, chance, Known(app, works.clock).open)
        finally:
            await teller.close()
            await behind.close()
            await truth.close()


def app_on(database: Database, works: Works, teller: Teller) -> Litestar:
    """The whole API without a Redis: signed payments need none."""
    nothing = cast(Any, None)
    return create_app(
        Resources(
            database=database,
            redis=nothing,
            works=works,
            teller=teller,
            clock=works.clock,
            vault=Vault(SoftwareKeyStore(bytes(32))),
            throttle=lone_throttle(),
            policy=Policy(step_up=policy.read(SIGNATURES_ALONE), rates=UNHURRIED),
        )
    )


def dialled(app: Litestar) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="https://wallet.smartid.test")


async def busy(street: Street, payer: Payer, *, attempts: int = 1) -> None:
    """One person's money comes and goes without end; cancel it."""
    while True:
        what = street.chance.random()
        if what < 0.6:
            await street.pay(payer, attempts=attempts)
        elif what < 0.8:
            await street.keyed(payer, attempts=attempts)
        else:
            await street.unkeyed(payer)


@contextlib.asynccontextmanager
async def bustling(street: Street, *, attempts: int = 1) -> AsyncIterator[None]:
    """Everybody on the street is busy; at the end everybody is stopped, answered or not."""
    people = [asyncio.create_task(busy(street, p, attempts=attempts)) for p in street.payers]
    try:
        yield
    finally:
        for person in people:
            person.cancel()
        ended = await asyncio.gather(*people, return_exceptions=True)
        # A Work that is stopped may still say how it fared: that is nobody's answer any more.
        unexpected = [
            one
            for one in ended
            if not isinstance(one, (asyncio.CancelledError, Refused, *CONNECTION_LOST))
        ]
        assert not unexpected, unexpected


async def judged(street: Street, works: Works) -> list[str]:
    """Whatever is wrong: with the books, or with what somebody was told."""
    wrong = [
        f"{finding.check}: {finding.difference}"
        for finding in await prove(works, all_checks())
        if not finding.right
    ]
    return wrong + await street.faults()
