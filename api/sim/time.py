"""Advancing the clock of this process, where its clock can be advanced, and what then falls due.

Promise: time only goes forward; what runs out by it is released before the answer. A process whose
clock is the real one refuses. Who calls: demonstrations, tests.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from litestar import post
from msgspec import Meta, Struct

from api.resources import Resources
from api.wire import Body
from wallet.authorisations.expiring import expire_due
from wallet.clock import Advancing
from wallet.outcomes import Reason, Refused
from wallet.registry import banks


class Advance(Body, frozen=True, kw_only=True):
    seconds: Annotated[int, Meta(ge=1, le=366 * 86_400, examples=[3_600])]


class Now(Struct, frozen=True, kw_only=True):
    now: datetime
    expired: Annotated[int, Meta(description="Purchases that ran out by it.", examples=[2])]


@post("/clock/advance", status_code=200, summary="Let time pass")
async def advance(data: Advance, resources: Resources) -> Now:
    clock = resources.clock
    if not isinstance(clock, Advancing):
        raise Refused(Reason.CONFLICT)
    clock.advance(timedelta(seconds=data.seconds))
    expired = 0
    for bank in banks.PROGRAMME:
        while due := await expire_due(resources.works, resources.network, bank.id):
            expired += due
    return Now(now=clock.now(), expired=expired)


HANDLERS: Final[list[Any]] = [advance]
