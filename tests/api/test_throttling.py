"""How often who may ask: exact across processes, by who they are and not by what they say they are,
and at the express lane as everywhere."""

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.edge import Edge
from api.resources import RATES, Rate, Resources
from api.throttling import address_in, read_rates
from runtime.embedded import Embedded
from tests import world
from tests.api.conftest import HOST
from tests.api.signed_in import SignedIn
from wallet.throttle import Admitted, Throttle, connect

Dial = Callable[[Litestar], httpx.AsyncClient]
PROXIES = ("10.0.0.0/8", "fd00::/8")


def with_rates(resources: Resources, proxies: Sequence[str] = (), **rates: Rate) -> Resources:
    named = {name.replace("_", "."): rate for name, rate in rates.items()}
    policy = replace(resources.policy, rates={**RATES, **named}, proxies=tuple(proxies))
    return replace(resources, policy=policy)


# exactly so many


def ask_in_a_process(url: str, bucket: str, calls: int, answers: Any) -> None:
    """What one process of four is told; runs there."""

    async def ask() -> tuple[int, float, float]:
        redis = connect(url, timeout_s=10)
        throttle = Throttle(redis, prefix="four", rate_timeout_s=10)
        began = time.monotonic()
        told = await asyncio.gather(*(throttle.admit(bucket, 600, 50) for _ in range(calls)))
        ended = time.monotonic()
        await redis.aclose()
        return sum(isinstance(one, Admitted) for one in told), began, ended

    answers.put(asyncio.run(ask()))


def test_of_four_processes_with_a_thousand_at_once_each_exactly_so_many_are_admitted(
    servers: Embedded,
) -> None:
    """B10. The figure is burst + rate x t, one either way."""
    spawning = multiprocessing.get_context("spawn")
    answers: Any = spawning.Queue()
    bucket = f"b{time.time_ns()}"
    asking = [
        spawning.Process(target=ask_in_a_process, args=(servers.redis_url, bucket, 1_000, answers))
        for _ in range(4)
    ]
    for process in asking:
        process.start()
    told = [answers.get(timeout=60) for _ in asking]
    for process in asking:
        process.join(10)
    admitted = sum(count for count, _, _ in told)
    seconds = max(ended for *_, ended in told) - min(began for _, began, _ in told)
    assert 50 <= admitted <= 50 + 10 * seconds + 1


async def test_many_callers_share_few_round_trips(redis: Any) -> None:
    throttle = Throttle(redis, prefix=f"t{time.time_ns()}", rate_timeout_s=10)
    before = (await redis.info("commandstats")).get("cmdstat_evalsha", {"calls": 0})["calls"]
    told = await asyncio.gather(*(throttle.admit(f"b{i % 50}", 60, 10) for i in range(1_000)))
    after = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert sum(isinstance(one, Admitted) for one in told) == 500
    assert after - before <= 10


async def test_an_empty_bucket_is_not_asked_about_again(redis: Any) -> None:
    throttle = Throttle(redis, prefix=f"t{time.time_ns()}", rate_timeout_s=10)
    assert isinstance(await throttle.admit("b", 1, 1), Admitted)
    await throttle.admit("b", 1, 1)
    before = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    for _ in range(100):
        assert not isinstance(await throttle.admit("b", 1, 1), Admitted)
    assert (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"] == before


async def test_a_limit_in_a_redis_that_hangs_costs_a_tenth_of_a_second_and_stays_a_limit() -> None:
    silent = await asyncio.start_server(lambda _, __: asyncio.sleep(5), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    redis = connect(f"redis://127.0.0.1:{port}/0")
    throttle = Throttle(redis)
    began = time.monotonic()
    told = [await throttle.admit("b", 1, 3) for _ in range(50)]
    assert time.monotonic() - began < 0.5
    assert sum(isinstance(one, Admitted) for one in told) == 3
    silent.close()
    await redis.aclose()


# at the doors


async def test_a_holder_is_limited_at_the_express_lane_and_past_it_alike(
    resources: Resources, dialled: Dial
) -> None:
    app = create_app(with_rates(resources, write_person=Rate(5, 1)))
    client, signed_in = dialled(app), SignedIn(app, resources.clock)
    one, other = await world.people(resources.works, 2)
    wish = {"kind": "gold.buy"}
    paths = ["/v1/mobile/intents", "/v1/mobile/intents?x=1"] * 4
    told = [await client.post(p, json=wish, headers=signed_in.headers(one)) for p in paths]
    assert [answer.status_code for answer in told] == [422] * 5 + [429] * 3
    assert {answer.content for answer in told[5:]} == {told[5].content}
    assert int(told[5].headers["retry-after"]) >= 1
    assert told[5].json()["retryable"]
    free = await client.post(paths[0], json=wish, headers=signed_in.headers(other))
    assert free.status_code == 422, "nobody pays for a neighbour"
    seen = await client.get("/v1/mobile/accounts", headers=signed_in.headers(one))
    assert seen.status_code == 200, "reading has a rate of its own"


async def test_with_redis_gone_payments_are_neither_let_all_through_nor_stopped(
    resources: Resources, dialled: Dial
) -> None:
    gone = connect("redis://127.0.0.1:1/0")
    lone = replace(with_rates(resources, write_person=Rate(5, 1)), throttle=Throttle(gone))
    app = create_app(lone)
    client, signed_in = dialled(app), SignedIn(app, resources.clock)
    holder = (await world.people(resources.works, 1))[0]
    told = [
        await client.post(
            "/v1/mobile/intents", json={"kind": "gold.buy"}, headers=signed_in.headers(holder)
        )
        for _ in range(8)
    ]
    assert [answer.status_code for answer in told] == [422] * 5 + [429] * 3
    await gone.aclose()


async def test_strangers_are_counted_by_address_and_inventing_one_changes_nothing(
    resources: Resources,
) -> None:
    """An X-Forwarded-For of the caller's own making opened some peers' limits (CVE-2025-59152)."""
    limited = with_rates(resources, PROXIES, failed_address=Rate(3, 1))
    app = create_app(limited)

    async def guess(peer: str, **headers: str) -> int:
        transport = httpx.ASGITransport(app=app, client=(peer, 1))  # type: ignore[arg-type]
        sent = {"authorization": f"Bearer {'x' * 43}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}") as client:
            path = "/v1/mobile/intents"
            return (await client.post(path, json={}, headers=sent)).status_code

    spoofed = [await guess("198.51.100.7", x_forwarded_for=f"203.0.113.{n}") for n in range(6)]
    assert spoofed == [401] * 3 + [429] * 3
    # behind our proxy the caller is who it saw, whatever they wrote before
    behind = [await guess("10.0.0.1", x_forwarded_for=f"8.8.8.{n}, 192.0.2.5") for n in range(6)]
    assert behind == [401] * 3 + [429] * 3
    assert await guess("10.0.0.1", x_forwarded_for="192.0.2.6, 10.9.9.9") == 401
    assert await guess("198.51.100.8") == 401


async def test_who_knows_the_way_in_is_not_stopped_by_strangers_at_the_same_address(
    resources: Resources, dialled: Dial
) -> None:
    app = create_app(with_rates(resources, failed_address=Rate(1, 1)))
    client, signed_in = dialled(app), SignedIn(app, resources.clock)
    holder = (await world.people(resources.works, 1))[0]
    for _ in range(3):
        await client.get("/v1/mobile/accounts", headers={"authorization": f"Bearer {'x' * 43}"})
    known = await client.get("/v1/mobile/accounts", headers=signed_in.headers(holder))
    assert known.status_code == 200


async def test_open_routes_and_staff_are_limited(resources: Resources, dialled: Dial) -> None:
    client = dialled(create_app(with_rates(resources, open_address=Rate(2, 1))))
    body = {"login": "x", "passphrase": "y", "totp": "1"}
    told = [
        (await client.post("/v1/bank/sessions", json=body)).status_code,
        (await client.post("/v1/mobile/login-challenges", json={})).status_code,
        (await client.post("/v1/support/sessions", json=body)).status_code,
    ]
    assert told == [401, 400, 429]


# who is asking


@pytest.mark.parametrize(
    ("peer", "header", "caller"),
    [
        ("198.51.100.1", "203.0.113.9", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, 10.7.7.7", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.7.7.7,fd00::1", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, nonsense", "10.0.0.1"),
        ("10.0.0.1", "nonsense, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("fd00::9", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "1.1.1.1", "203.0.113.9"),
    ],
)
def test_the_caller_is_the_last_address_a_trusted_proxy_saw(
    peer: str, header: str, caller: str
) -> None:
    scope = {"client": (peer, 1), "headers": [(b"x-forwarded-for", header.encode())]}
    Edge(PROXIES).settle(scope)
    assert address_in(scope) == caller


def test_what_only_a_proxy_may_tell_is_gone_from_anybody_elses_request() -> None:
    told = [(b"client-cert", b":AA==:"), (b"x-real-ip", b"1.1.1.1"), (b"forwarded", b"for=1.1.1.1")]
    scope = {"client": ("203.0.113.9", 1), "headers": [*told, (b"accept", b"*/*")]}
    Edge(PROXIES).settle(scope)
    assert scope["headers"] == [(b"accept", b"*/*")]
    Edge(()).settle(nobody := {"client": ("10.0.0.1", 1), "headers": told})
    assert nobody["headers"] == []


def test_rates_are_configuration() -> None:
    assert read_rates("") == RATES
    assert read_rates("write.person=5/10, open.address=1/2")["write.person"] == Rate(5, 10)
    for wrong in ("write=5/10", "write.person=5", "write.person=0/1", "write.person=a/b", "x"):
        with pytest.raises(ValueError):
            read_rates(wrong)
