"""Opens what one process works with, by its settings, and closes it again.

Promise: unsafe servers are refused before anything is served; Redis may be away at start (codes
answer 503 until it is back), PostgreSQL may not. Called by runtime.asgi, runtime.worker, the cli.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from redis.exceptions import RedisError

from api.resources import Policy, Resources
from api.throttling import read_rates
from runtime.key_store import open_key_store
from runtime.redis_safety import refuse_unsafe_redis
from runtime.settings import Environment, Settings
from wallet.clock import AdvancedClock, SystemClock
from wallet.database import Database
from wallet.simulation import keep_up, refuse_advanced
from wallet.teller import Teller
from wallet.throttle import Throttle, connect
from wallet.vault import Vault
from wallet.work import Works

CONNECTIONS: Final = 16

_log = logging.getLogger("smartid.resources")


@asynccontextmanager
async def open_resources(
    settings: Settings, *, statement_timeout_s: float = 5.0
) -> AsyncIterator[Resources]:
    """The resources of one process.

    Refuses: UnsafeServerError, UnsafeRedisError, KeyStoreError, AdvancedDatabaseError.
    """
    if settings.database_url is None or settings.redis_url is None:
        raise AssertionError("servers of our own are started before their resources are opened")
    redis = connect(settings.redis_url)
    database = await Database.connect(
        settings.database_url, largest=CONNECTIONS, statement_timeout_s=statement_timeout_s
    )
    clock = AdvancedClock() if settings.simulation else SystemClock()
    works = Works(database, clock)
    teller = Teller(works, grouping=settings.teller == "groups")
    try:
        if settings.environment is Environment.PRODUCTION:
            await refuse_advanced(database)
        await keep_up(database, clock)
        try:
            await refuse_unsafe_redis(redis, must_append=False)
        except (RedisError, OSError) as away:
            _log.warning("Redis is away (%s); one-time codes wait for it", type(away).__name__)
        yield Resources(
            database=database,
            redis=redis,
            works=works,
            teller=teller,
            clock=clock,
            vault=Vault(open_key_store(settings)),
            throttle=Throttle(redis),
            policy=_policy(settings),
        )
    finally:
        await teller.close()
        await database.close()
        await redis.aclose()


def _policy(settings: Settings) -> Policy:
    return Policy(
        claim_ttl_s=settings.claim_ttl_s,
        card_iins=settings.card_iins,
        atm_serves_other_banks=settings.atm_other_banks == "served",
        simulation=settings.simulation,
        host=settings.public_host,
        step_up=settings.step_up,
        rates=read_rates(settings.rates),
        proxies=settings.trusted_proxies,
        certificates_required=settings.client_certificates == "required",
        slow_after_s=settings.slow_after_s,
    )
