"""Whether this process lives, and whether it can serve.

Promise: `live` asks nobody; `ready` is 503 when PostgreSQL does not answer, and says "degraded"
without Redis, since signed payments go on then. Who calls: the container's health check, the load
balancer.
"""

import asyncio
from typing import Any, Final, Literal

from litestar import Response, Router, get
from msgspec import Struct

from api.resources import Resources
from wallet.database import CONNECTION_LOST

ANSWER_TIMEOUT_S: Final = 2.0


class Alive(Struct, frozen=True, kw_only=True):
    status: Literal["alive"] = "alive"


class Readiness(Struct, frozen=True, kw_only=True):
    status: Literal["ready", "degraded", "unavailable"]
    database: Literal["up", "down"]
    redis: Literal["up", "down"]


@get("/live", summary="Is the process alive?", operation_id="health.live")
async def live() -> Alive:
    return Alive()


@get("/ready", summary="Can it serve?", operation_id="health.ready")
async def ready(resources: Resources) -> Response[Readiness]:
    database, redis = await asyncio.gather(_database_up(resources), resources.throttle.alive())
    if not database:
        status: Any = "unavailable"
    else:
        status = "ready" if redis else "degraded"
    readiness = Readiness(
        status=status,
        database="up" if database else "down",
        redis="up" if redis else "down",
    )
    return Response(readiness, status_code=200 if database else 503)


async def _database_up(resources: Resources) -> bool:
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await resources.database.rows("select 1")
    except CONNECTION_LOST:
        return False
    return True


health = Router("/health", route_handlers=[live, ready], tags=["health"])
