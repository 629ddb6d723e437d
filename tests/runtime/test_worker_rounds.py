"""What the worker role sees to by itself, as it is wired: nobody calls the acts for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, time, timedelta
from typing import Any

from api.resources import Resources
from runtime.worker import worker_on
from tests.behind import rows_of_all_banks
from tests.wallet.cards.counter import Counter
from wallet.cards.rules import CardRules
from wallet.clock import PHNOM_PENH, TurnedClock
from wallet.database import Database
from wallet.registry import smart_ids
from wallet.vault import Vault
from wallet.work import SYSTEM, Work


async def _nothing_to_seal() -> int:
    return 0


@asynccontextmanager
async def working(resources: Resources) -> AsyncIterator[None]:
    """A worker that runs meanwhile, without jobs to do."""
    stop = asyncio.Event()
    running = asyncio.create_task(worker_on(resources, {}, _nothing_to_seal).run(stop))
    try:
        yield
    finally:
        stop.set()
        await running


async def standing(database: Database) -> tuple[str, str, str]:
    """What is written of the one Smart ID, and of the one card on it."""
    [row] = await rows_of_all_banks(
        database,
        "select s.identity_state, s.payment_state, c.state"
        " from smart_ids s join virtual_cards c on c.holder_id = s.holder_id",
    )
    return row[0], row[1], row[2]


async def test_a_worker_ends_a_smart_id_whose_date_has_come_and_the_card_on_it(
    resources: Resources, database: Database, vault: Vault, clock: TurnedClock
) -> None:
    counter = Counter(resources.works, vault, clock, CardRules())
    person = await counter.person()

    async def last_day(work: Work) -> Any:
        found = await smart_ids.of_holder(work, person.holder.id)
        assert found is not None
        return found.expires_on

    last = await resources.works.read(SYSTEM, person.holder.bank, last_day)
    over = datetime.combine(last + timedelta(days=1), time(), PHNOM_PENH)
    clock.advance(over - clock.now() - timedelta(days=60))
    await counter.card(person)
    assert await standing(database) == ("VALID", "ACTIVE", "ACTIVE")

    clock.advance(over - clock.now())
    async with working(resources):
        async with asyncio.timeout(20):
            while (await standing(database))[0] == "VALID":
                await asyncio.sleep(0.02)
            while (await standing(database))[2] == "ACTIVE":
                await asyncio.sleep(0.02)
    assert await standing(database) == ("EXPIRED", "BLOCKED", "EXPIRED")
