from collections.abc import Callable

import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.resources import Resources
from tests import world
from tests.api.signed_in import SignedIn
from tests.api.support.office import NUMBER, Office
from tests.desk import Desk
from tests.wallet.disputes.counter import Counter
from wallet.clock import TurnedClock


@pytest.fixture
async def office(
    resources: Resources,
    dialled: Callable[[Litestar], httpx.AsyncClient],
    desk: Desk,
    clock: TurnedClock,
) -> Office:
    for login in ("dara", "bopha"):
        await desk.enrol(login)
    holder = await world.holder(
        resources.works, khr=2_000_000, language="en", vault=resources.vault, phone=NUMBER
    )
    other = await world.holder(resources.works, khr=10_000)
    app = create_app(resources)
    counter = Counter(desk, holder, other)
    office = Office(dialled(app), SignedIn(app, clock), counter, clock)
    for login in ("dara", "bopha"):
        await office.sign_in(login)
    return office
