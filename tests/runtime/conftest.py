"""A process of this program, wired over the test's database and Redis."""

from typing import Any

import pytest

from api.resources import Resources
from wallet.database import Database
from wallet.teller import Teller
from wallet.throttle import Throttle
from wallet.vault import Vault
from wallet.work import Works


@pytest.fixture
def resources(database: Database, works: Works, vault: Vault, redis: Any) -> Resources:
    return Resources(
        database=database,
        redis=redis,
        works=works,
        teller=Teller(works),
        clock=works.clock,
        vault=vault,
        throttle=Throttle(redis),
    )
