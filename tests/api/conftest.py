from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.resources import Policy, Resources
from tests.desk import desk, hashing, throttle
from wallet.access.hashing import Hashing
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.teller import Teller
from wallet.throttle import Throttle
from wallet.vault import Vault
from wallet.work import Works

__all__ = ["desk", "hashing", "throttle"]

HOST = "wallet.smartid.test"


@pytest.fixture
def resources(
    database: Database,
    redis: Any,
    works: Works,
    teller: Teller,
    clock: TurnedClock,
    vault: Vault,
    throttle: Throttle,
    hashing: Hashing,
) -> Resources:
    return Resources(
        database=database,
        redis=redis,
        works=works,
        teller=teller,
        clock=clock,
        vault=vault,
        throttle=throttle,
        policy=Policy(host=HOST),
        hashing=hashing,
    )


@pytest.fixture
async def dialled() -> AsyncIterator[Callable[[Litestar], httpx.AsyncClient]]:
    """A client to an application in this process, as over the network."""
    opened: list[httpx.AsyncClient] = []

    def dial(app: Litestar) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
        opened.append(httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}"))
        return opened[-1]

    yield dial
    for client in opened:
        await client.aclose()


@pytest.fixture
def client(
    resources: Resources, dialled: Callable[[Litestar], httpx.AsyncClient]
) -> httpx.AsyncClient:
    """A client to the whole API."""
    return dialled(create_app(resources))
