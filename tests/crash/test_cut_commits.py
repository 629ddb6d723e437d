"""A connection cut at any point of a COMMIT: the caller hears the truth, and nothing is doubled.

Twenty-five cuts always, a thousand in the long form; `CRASH_SEED=...` repeats what a failure
printed. Faults planted in the wallet's own handling of a lost COMMIT are caught by the same street.
"""

import asyncio
import contextlib
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.crash.open_street import judged, street_at
from tests.crash.proxy import AT_COMMIT, Fault, Proxy
from tests.crash.street import Street
from wallet.clock import TurnedClock
from wallet.database import Connection
from wallet.outcomes import Reason, Refused
from wallet.work import Works

SEED = os.environ.get("CRASH_SEED") or str(time.time_ns())
BANKS = ("ACLEDA", "WING")
OTHERS = (Fault.LATE_REPLY, Fault.AT_STATEMENT, Fault.IN_ANSWER)


@pytest.fixture
async def proxy(database_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(urlsplit(database_url).port or 0, random.Random(SEED)) as proxy:
        yield proxy


@pytest.fixture
async def street(
    database_url: str, works: Works, clock: TurnedClock, proxy: Proxy
) -> AsyncIterator[Street]:
    """The wallet behind the proxy; `works` and what judges go past it."""
    parts = urlsplit(database_url)
    netloc = parts.netloc.replace(f":{parts.port}", f":{proxy.port}")
    behind = urlunsplit(parts._replace(netloc=netloc))
    chance = random.Random(SEED)
    async with street_at(behind, chance, truth_url=database_url, clock=clock) as street:
        await street.people(works, 3, *BANKS)
        yield street
        proxy.armed = None


async def cut(street: Street, proxy: Proxy, fault: Fault) -> None:
    """One fault among whatever a few people do at once; until it has struck."""
    before = proxy.struck[fault]
    proxy.arm(fault, street.chance.randrange(3))
    while proxy.struck[fault] == before:
        acts = []
        for payer in street.chance.sample(street.payers, street.chance.randint(1, 4)):
            what = street.chance.random()
            if what < 0.6:
                acts.append(street.pay(payer))
            elif what < 0.8:
                acts.append(street.keyed(payer, at_once=street.chance.randint(1, 2)))
            else:
                acts.append(street.unkeyed(payer))
        await asyncio.gather(*acts)


async def _cut_many(street: Street, proxy: Proxy, works: Works, times: int) -> None:
    for done in range(times):
        # Four of five in the COMMIT, the rest elsewhere.
        fault = AT_COMMIT[done % 5] if done % 5 < 4 else street.chance.choice(OTHERS)
        await cut(street, proxy, fault)
        if done % 50 == 49:
            assert not await street.faults(), f"seed {SEED}"
    assert proxy.struck.total() == times
    assert all(proxy.struck[fault] >= times // 5 for fault in AT_COMMIT)
    assert await judged(street, works) == [], f"seed {SEED}"
    unheard = [act for act in street.acts if not act.done]
    assert not unheard, f"seed {SEED}: {unheard[:5]}"
    print(f"{proxy.struck.total()} cuts, {len(street.acts)} acts; {dict(street.answers)}")


async def test_twenty_five_cuts_and_every_caller_hears_the_truth(
    street: Street, proxy: Proxy, works: Works
) -> None:
    """D8."""
    await _cut_many(street, proxy, works, 25)


@pytest.mark.crash
@pytest.mark.long
async def test_a_thousand_cuts_and_every_caller_hears_the_truth(
    street: Street, proxy: Proxy, works: Works
) -> None:
    await _cut_many(street, proxy, works, 1000)


# --- the checks themselves -----------------------------------------------------------------------


async def _never_committed(self: Works, *_: Any) -> bool:
    return False


async def _always_committed(self: Works, *_: Any) -> bool:
    return True


async def _answers_before_it_commits(self: Connection) -> None:
    """The commit goes out, nobody waits for it; what goes wrong with it is nobody's business."""

    async def unwatched() -> None:
        with contextlib.suppress(Exception):
            await self.raw.execute("commit")

    _UNWATCHED.append(asyncio.create_task(unwatched()))
    await asyncio.sleep(0)


_UNWATCHED: list[asyncio.Task[None]] = []


async def _as_if_refused(self: Works, *_: Any) -> bool:
    raise Refused(Reason.UNAVAILABLE, retry_after_s=1)


Plant = Callable[[pytest.MonkeyPatch], None]

PLANTED: dict[str, tuple[Plant, Fault]] = {
    "a lost reply is taken for a failure and the act is done again": (
        lambda patch: patch.setattr(Works, "_was_committed", _never_committed),
        Fault.AFTER_COMMIT,
    ),
    "a lost commit is taken for a success": (
        lambda patch: patch.setattr(Works, "_was_committed", _always_committed),
        Fault.BEFORE_COMMIT,
    ),
    "a lost reply is told as if nothing had happened": (
        lambda patch: patch.setattr(Works, "_was_committed", _as_if_refused),
        Fault.AFTER_COMMIT,
    ),
    "the answer goes out before the commit is in": (
        lambda patch: patch.setattr(Connection, "commit", _answers_before_it_commits),
        Fault.BEFORE_COMMIT,
    ),
}


@pytest.mark.parametrize("name", PLANTED)
async def test_a_planted_fault_is_caught(
    name: str, street: Street, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant, fault = PLANTED[name]
    plant(monkeypatch)
    payer = street.payers[0]
    for _ in range(3):
        proxy.arm(fault)
        await street.unkeyed(payer)
        if await street.faults():
            return
    pytest.fail(f"not caught: {name}")
