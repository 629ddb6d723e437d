"""An alarm when proofs fail in numbers, over all processes: A8."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.failures import ALARMING, Failures
from api.resources import Policy, Resources
from tests.api.conftest import HOST
from tests.desk import UNHURRIED, lone_throttle

Dial = Callable[[Litestar], httpx.AsyncClient]


def processes(resources: Resources, dialled: Dial, number: int) -> list[httpx.AsyncClient]:
    """So many processes over one Redis, which tell each other at once."""
    policy = Policy(host=HOST, rates=UNHURRIED)
    clients = []
    for _ in range(number):
        app = create_app(replace(resources, policy=policy))
        app.state.failures = Failures(resources.throttle, tell_every_s=0.05)
        clients.append(dialled(app))
    return clients


async def spray(clients: list[httpx.AsyncClient], times: int) -> None:
    """Tokens that are nobody's, at the hot lane and at the framework's, over all processes."""
    for place in range(times):
        client = clients[place % len(clients)]
        headers = {"authorization": f"Bearer {place:043}"}
        asked = (
            client.post("/v1/mobile/intents", json={"kind": "qr.pay"}, headers=headers)
            if place % 2
            else client.get("/v1/mobile/me", headers=headers)
        )
        assert (await asked).status_code == 401
    await asyncio.sleep(0.3)


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name == "smartid.alarm"]


async def test_a8_more_than_500_failures_in_a_minute_over_all_processes_raise_an_alarm(
    resources: Resources, dialled: Dial, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "smartid.alarm")
    clients = processes(resources, dialled, 3)
    await spray(clients, ALARMING)
    assert alarms(caplog) == []
    await spray(clients, 3)
    assert alarms(caplog)
    assert len(alarms(caplog)) <= len(clients), "once a minute and process"
    assert int(alarms(caplog)[0].split()[0]) > ALARMING
    metrics = (await clients[0].get("/metrics")).text
    assert f"smartid_failed_proofs {ALARMING + 3}.0" in metrics


async def test_what_is_no_failed_proof_is_not_counted(
    resources: Resources, dialled: Dial, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "smartid.alarm")
    [client] = processes(resources, dialled, 1)
    for _ in range(ALARMING + 20):
        assert (await client.get("/v1/nowhere")).status_code == 404
    await asyncio.sleep(0.3)
    assert alarms(caplog) == []


async def test_without_redis_each_process_goes_by_its_own_count(
    resources: Resources, dialled: Dial, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "smartid.alarm")
    [client] = processes(replace(resources, throttle=lone_throttle()), dialled, 1)
    await spray([client], ALARMING + 1)
    assert alarms(caplog)
