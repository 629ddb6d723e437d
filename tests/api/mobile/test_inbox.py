"""What the holder was told: page by page, and live, losing and doubling nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.resources import Resources
from notifications.delivery import deliver_next
from notifications.live import waker
from runtime.embedded import Embedded
from tests import world
from tests.api.mobile.listening import Listening, listening
from tests.api.signed_in import SignedIn
from wallet.events import SalaryPaid
from wallet.money import Money
from wallet.throttle import connect
from wallet.work import SYSTEM, Work

STREAM = "/v1/mobile/stream"
INBOX = "/v1/mobile/inbox"
SALARY = 1_000_000


@pytest.fixture
async def live(resources: Resources, servers: Embedded) -> AsyncIterator[Resources]:
    """With Redis as the product opens it."""
    redis = connect(servers.redis_url)
    yield replace(resources, redis=redis)
    await redis.aclose()


class Town:
    """An application, a holder in it, and what the worker does."""

    def __init__(self, resources: Resources, app: Litestar, holder: world.WorldHolder) -> None:
        self.resources = resources
        self.app = app
        self.holder = holder
        self.signed_in = SignedIn(app, resources.clock)
        self.headers = self.signed_in.headers(holder)
        self._paid = 0

    async def pay(self, times: int = 1, holder: world.WorldHolder | None = None) -> None:
        """Salaries of 1,000,001, 1,000,002, ... riel are paid."""
        who = holder or self.holder

        async def act(work: Work) -> None:
            for _ in range(times):
                self._paid += 1
                work.emit(
                    SalaryPaid(
                        holder_id=who.id,
                        money=Money.khr(SALARY + self._paid),
                        agency="MCS",
                        period="2026-01",
                        half=1,
                        account_last_four="0017",
                        run_id="run",
                    )
                )

        await self.resources.works.perform(SYSTEM, who.bank, act)

    async def deliver(self) -> None:
        # The newest event may still lie above the snapshot's horizon for a moment.
        async with asyncio.timeout(5):
            while not await deliver_next(self.resources.works, waker(self.resources.redis)):
                await asyncio.sleep(0.01)

    async def told(self, times: int = 1) -> None:
        await self.pay(times)
        await self.deliver()

    def listening(self, after: str | None = None) -> AbstractAsyncContextManager[Listening]:
        return listening(self.app, self.headers, after)


@pytest.fixture
async def open_town(live: Resources) -> AsyncIterator[Callable[..., Town]]:
    towns: list[Town] = []
    holder = await world.holder(live.works, language="en")

    def open_(heartbeat_s: float = 60.0, life_s: float = 240.0) -> Town:
        policy = replace(live.policy, stream_heartbeat_s=heartbeat_s, stream_life_s=life_s)
        resources = replace(live, policy=policy)
        towns.append(Town(resources, create_app(resources), holder))
        return towns[-1]

    yield open_
    for town in towns:
        await town.app.state.listeners.close()


async def listened(town: Town) -> None:
    """Wait until the process hears Redis."""
    listeners = town.app.state.listeners
    woken = listeners.listen(town.holder.id)
    async with asyncio.timeout(5):
        while not woken.is_set():
            await waker(town.resources.redis)([town.holder.id])
            await asyncio.sleep(0.01)
    listeners.leave(town.holder.id, woken)


def amounts(texts: list[str]) -> list[int]:
    """Which salaries these notices tell of: 1 for 1,000,001 riel."""
    return [int(text.split(": ")[1].split(" ")[0].replace(",", "")) - SALARY for text in texts]


async def test_the_inbox_is_paged_newest_first_in_the_readers_language(
    open_town: Callable[..., Town],
    dialled: Callable[[Litestar], httpx.AsyncClient],
) -> None:
    town = open_town()
    khmer = await world.holder(town.resources.works, language="km")
    await town.told(5)
    await town.pay(1, khmer)
    await town.deliver()
    client = dialled(town.app)

    seen: list[str] = []
    query = {"limit": "2"}
    while True:
        page = (await client.get(INBOX, headers=town.headers, params=query)).json()
        seen += [notice["text"] for notice in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert amounts(seen) == [5, 4, 3, 2, 1]

    own = await client.get(INBOX, headers=town.signed_in.headers(khmer))
    [notice] = own.json()["items"]
    assert notice["kind"] == "salary.paid"
    assert "១,០០០,០០៦ រៀល" in notice["text"]

    broken = await client.get(INBOX, headers=town.headers, params={"cursor": "gibberish"})
    assert (broken.status_code, broken.json()["code"]) == (400, "cursor_invalid")
    assert (await client.get(INBOX)).status_code == 401


async def test_an_entry_comes_live_within_a_second_of_its_delivery(
    open_town: Callable[..., Town],
) -> None:
    town = open_town()
    await town.told()
    async with town.listening() as phone:
        assert phone.status == 200
        assert phone.headers["content-type"].startswith("text/event-stream")
        await listened(town)
        await town.told()
        started = time.monotonic()
        event = await phone.next()
        assert time.monotonic() - started < 1
        assert event["_id"] == str(event["id"])
        assert set(event) == {"_id", "id", "kind", "title", "text", "at"}
        # What was there before is the inbox's business.
        assert amounts([event["text"]]) == [2]
        assert phone.unread() == 0


async def test_only_ones_own_entries_come(open_town: Callable[..., Town]) -> None:
    town = open_town(heartbeat_s=0.1)
    other = await world.holder(town.resources.works, language="en")
    async with town.listening() as phone:
        await town.pay(3, other)
        await town.told()
        assert amounts([(await phone.next())["text"]]) == [4]
        await phone.beat()
        assert phone.unread() == 0


async def test_after_a_reconnect_nothing_is_lost_and_nothing_doubled(
    open_town: Callable[..., Town],
) -> None:
    town = open_town()
    seen: list[int] = []
    last: str | None = None
    for _ in range(3):
        async with town.listening(last) as phone:
            await listened(town)
            await town.told(2)
            # More than one look reads at once, and hung up in the middle of it.
            await town.told(3)
            for _ in range(4):
                event = await phone.next()
                seen += amounts([event["text"]])
                last = event["_id"]
        await town.told(1)
    async with town.listening(last) as phone:
        while len(seen) < 18:
            seen += amounts([(await phone.next())["text"]])
    assert seen == list(range(1, 19))


async def test_a_line_that_breaks_before_the_first_event_loses_nothing(
    open_town: Callable[..., Town],
) -> None:
    town = open_town()
    await town.told(3)
    async with town.listening() as phone:
        last = phone.last_event_id
        assert last is not None
    await town.told(2)
    async with town.listening(last) as phone:
        assert amounts([(await phone.next())["text"] for _ in range(2)]) == [4, 5]


async def test_a_long_absence_is_caught_up_in_order(open_town: Callable[..., Town]) -> None:
    town = open_town()
    await town.told(250)
    async with town.listening("0") as phone:
        caught_up = amounts([(await phone.next())["text"] for _ in range(250)])
    assert caught_up == list(range(1, 251))


async def test_with_redis_gone_entries_come_at_the_heartbeat(
    live: Resources, open_town: Callable[..., Town]
) -> None:
    nobody = connect("redis://127.0.0.1:1/0")
    town = open_town(heartbeat_s=0.2)
    deaf = replace(town.resources, redis=nobody)
    town = Town(deaf, create_app(deaf), town.holder)
    async with town.listening() as phone:
        await town.told(2)
        assert amounts([(await phone.next())["text"] for _ in range(2)]) == [1, 2]
        await phone.beat()
        await town.told()
        assert amounts([(await phone.next())["text"]]) == [3]
        assert phone.unread() == 0
    await town.app.state.listeners.close()
    await nobody.aclose()


async def test_a_listener_that_lost_redis_hears_again_and_looks_at_what_it_missed(
    open_town: Callable[..., Town],
) -> None:
    town = open_town()
    async with town.listening() as phone:
        await listened(town)
        admin = town.resources.redis
        await admin.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await town.told()
        assert amounts([(await phone.next())["text"]]) == [1]


async def test_it_ends_by_itself_and_the_return_is_a_fresh_check(
    open_town: Callable[..., Town],
    dialled: Callable[[Litestar], httpx.AsyncClient],
) -> None:
    town = open_town(heartbeat_s=0.1, life_s=0.35)
    async with town.listening() as phone:
        async with asyncio.timeout(5):
            await phone.ended.wait()
        assert phone.heartbeats >= 2
    town.signed_in.end(town.holder)
    back = await dialled(town.app).get(STREAM, headers=town.headers)
    assert (back.status_code, back.json()["code"]) == (401, "unauthenticated")


async def test_open_streams_do_not_hold_up_a_stop(open_town: Callable[..., Town]) -> None:
    town = open_town()
    async with town.listening() as phone:
        await town.app.state.listeners.close()
        async with asyncio.timeout(1):
            await phone.ended.wait()


async def test_a_place_that_is_no_place_is_refused(
    open_town: Callable[..., Town],
    dialled: Callable[[Litestar], httpx.AsyncClient],
) -> None:
    town = open_town()
    for place in ("-1", "abc", str(2**63)):
        answer = await dialled(town.app).get(
            STREAM, headers={**town.headers, "last-event-id": place}
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


async def test_many_streams_leave_nothing_behind(open_town: Callable[..., Town]) -> None:
    town = open_town()
    for _ in range(5):
        async with town.listening(), town.listening():
            pass
    assert not town.app.state.listeners._waiting
