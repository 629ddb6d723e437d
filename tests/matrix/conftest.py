from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.resources import Policy, Resources
from tests.api.conftest import HOST, dialled, resources
from tests.desk import UNHURRIED, Desk, desk, hashing, throttle
from tests.matrix.furniture import Furniture
from wallet.clock import TurnedClock

__all__ = ["desk", "dialled", "hashing", "resources", "throttle"]


@pytest.fixture
async def furniture(
    resources: Resources,
    dialled: Callable[[Litestar], httpx.AsyncClient],
    desk: Desk,
    clock: TurnedClock,
    database_url: str,
) -> Furniture:
    policy = Policy(host=HOST, simulation=True, rates=UNHURRIED)
    client = dialled(create_app(replace(resources, policy=policy)))
    furniture = Furniture(client, resources, desk, clock, database_url)
    await furniture.furnish()
    return furniture
