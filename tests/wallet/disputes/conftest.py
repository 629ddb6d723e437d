from collections.abc import AsyncIterator

import pytest

from tests.desk import Desk, desk, hashing, throttle
from tests.wallet.disputes.counter import Counter, opened

__all__ = ["desk", "hashing", "throttle"]


@pytest.fixture
async def counter(desk: Desk) -> AsyncIterator[Counter]:
    async with opened(desk) as counter:
        yield counter
