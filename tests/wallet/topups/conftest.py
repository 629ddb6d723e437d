"""A shop for every test of this room; the books are proved right when it closes."""

from collections.abc import AsyncIterator

import pytest

from tests.wallet.topups.shop import Shop, opened
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.teller import Teller
from wallet.work import Works


@pytest.fixture
async def shop(
    database: Database, works: Works, teller: Teller, clock: TurnedClock
) -> AsyncIterator[Shop]:
    async with opened(database, works, teller, clock) as shop:
        yield shop
