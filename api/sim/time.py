"""Advancing the clock of a demonstration, in all its processes, and what then falls due.

Promise: time only goes forward, and stays ahead over restarts; what runs out by it is released
before the answer, and whatever any process begins after the answer is on the new time. A process
whose clock is the real one refuses. Who calls: demonstrations, tests.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from litestar import post
from msgspec import Meta, Struct

from api.resources import Resources
from api.wire import Body
from wallet import simulation
from wallet.authorisations.expiring import expire_due
from wallet.registry import banks


class Advance(Body, frozen=True, kw_only=True):
    seconds: Annotated[int, Meta(ge=1, le=366 * 86_400, examples=[3_600])]


class Now(Struct, frozen=True, kw_only=True):
    now: datetime
    expired: Annotated[int, Meta(description="Purchases that ran out by it.", examples=[2])]


@post("/clock/advance", status_code=200, summary="Let time pass")
async def advance(data: Advance, resources: Resources) -> Now:
    """Phones and machines keep their own time: they read `now` here, and sign by it."""
    await simulation.let_pass(resources.works, timedelta(seconds=data.seconds))
    expired = 0
    for bank in banks.PROGRAMME:
        while due := await expire_due(resources.works, resources.network, bank.id):
            expired += due
    return Now(now=resources.clock.now(), expired=expired)


HANDLERS: Final[list[Any]] = [advance]
