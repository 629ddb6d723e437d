"""Machines: their keys change in service, certificates and signatures name the same house, and a
replay stays one whatever becomes of Redis."""

import asyncio
import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from litestar import Litestar

from api.app import create_app
from api.resources import Resources
from simulators.atm import AtmHost
from tests import world
from tests.api.conftest import HOST
from wallet.access import atm_hosts, machines
from wallet.access.machines import Algorithm, Issued, Machine, MachineKind, Spend
from wallet.clock import TurnedClock
from wallet.identifiers import AgencyId, BankId
from wallet.outcomes import Reason, Refused
from wallet.throttle import Throttle, connect
from wallet.work import SYSTEM, Work

Dial = Callable[[Litestar], httpx.AsyncClient]
ACLEDA = BankId("ACLEDA")
ATM = machines.atm_host(ACLEDA)
BANK = Machine(kind=MachineKind.BANK, bank=ACLEDA)
AGENCY = Machine(kind=MachineKind.AGENCY, agency=AgencyId("MCS"))
STATUS = "/v1/atm/cards/none"
PROXY = "10.1.2.3"


@pytest.fixture(autouse=True)
async def houses(resources: Resources) -> None:
    await world.establish(resources.works, "MCS")
    await resources.works.perform(
        SYSTEM, None, lambda work: atm_hosts.list_terminals(work, ACLEDA, ["ATM1"], ["Olympic"])
    )


async def issued(resources: Resources, machine: Machine, **more: Any) -> Issued:
    async def act(work: Work) -> Issued:
        terms = {"algorithm": Algorithm.ED25519} | more
        return await machines.issue(work, resources.vault, machine, **terms)

    return await resources.works.perform(SYSTEM, None, act)


async def rotated(resources: Resources, machine: Machine, **more: Any) -> Issued:
    async def act(work: Work) -> Issued:
        terms = {"algorithm": Algorithm.ED25519} | more
        return await machines.rotate(work, resources.vault, machine, **terms)

    return await resources.works.perform(SYSTEM, None, act)


def speaking(
    client: httpx.AsyncClient, resources: Resources, key: Issued, tag: str = "smartid-atm"
) -> AtmHost:
    assert key.secret is not None
    raw = key.secret.reveal()
    made = key.algorithm is Algorithm.ED25519
    return AtmHost(
        client,
        keyid=key.keyid,
        key=Ed25519PrivateKey.from_private_bytes(raw) if made else raw,
        terminal="ATM1" if tag == "smartid-atm" else "",
        wallet_key=machines.answer_key(resources.vault).public,
        clock=resources.clock.now,
        pause_s=0,
        tag=tag,
    )


def from_proxy(app: Litestar, peer: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, client=(peer, 7))  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}")


# replay


async def test_without_redis_a_replay_is_refused_by_postgresql(
    resources: Resources, dialled: Dial
) -> None:
    gone = connect("redis://127.0.0.1:1/0")
    client = dialled(create_app(replace(resources, throttle=Throttle(gone), redis=gone)))
    host = speaking(client, resources, await issued(resources, ATM))
    request = host.signed("GET", STATUS, b"", key="k")
    assert (await host.send(request)).status == 404, "signed requests go on"
    answers = await asyncio.gather(*(host.send(request) for _ in range(20)))
    assert {answer.code for answer in answers} == {"signature_replayed"}
    await gone.aclose()


async def test_of_a_group_with_the_same_nonce_one_spends_it_and_old_ones_are_cleared(
    resources: Resources, clock: TurnedClock
) -> None:
    async def spend(*nonces: str) -> list[bool]:
        asked = [Spend(keyid="k", nonce=nonce) for nonce in nonces]
        answers = await resources.works.perform(
            SYSTEM, None, lambda work: machines.spend_nonces(work, asked)
        )
        return [not isinstance(answer, Refused) for answer in answers]

    assert await spend("a" * 16, "a" * 16, "b" * 16) == [True, False, True]
    assert await spend("b" * 16, "c" * 16) == [False, True]
    clock.advance(timedelta(minutes=11))
    assert await spend("d" * 16) == [True]
    left = await resources.database.rows("select nonce from machine_nonces")
    assert [row["nonce"] for row in left] == ["d" * 16]


# keys


@pytest.mark.parametrize("algorithm", list(Algorithm))
async def test_a_rotation_under_load_refuses_nobody(
    resources: Resources, client: httpx.AsyncClient, clock: TurnedClock, algorithm: Algorithm
) -> None:
    old = speaking(client, resources, await issued(resources, ATM, algorithm=algorithm))
    told: list[int] = []
    stop = asyncio.Event()

    async def keep_asking(host: AtmHost) -> None:
        while not stop.is_set():
            told.append((await host.get(STATUS)).status)

    asking = [asyncio.create_task(keep_asking(old)) for _ in range(4)]
    await asyncio.sleep(0.05)
    fresh = await rotated(resources, ATM, algorithm=algorithm, overlap=timedelta(hours=1))
    new = speaking(client, resources, fresh)
    asking.append(asyncio.create_task(keep_asking(new)))
    await asyncio.sleep(0.15)
    stop.set()
    await asyncio.gather(*asking)
    assert len(told) > 10
    assert set(told) <= {404, 429}, "the card is not there; nobody was unknown"
    with pytest.raises(Refused, match="conflict"):
        await rotated(resources, ATM)
    clock.advance(timedelta(hours=1))
    assert (await old.get(STATUS)).code == "signature_invalid", "ended by itself"
    assert (await new.get(STATUS)).status == 404
    await rotated(resources, ATM)  # the slot is free again


async def test_a_revoked_key_is_unknown_at_once(
    resources: Resources, client: httpx.AsyncClient
) -> None:
    key = await issued(resources, ATM)
    host = speaking(client, resources, key)
    assert (await host.get(STATUS)).status == 404
    await resources.works.perform(SYSTEM, None, lambda work: machines.retire_key(work, key.keyid))
    assert (await host.get(STATUS)).code == "signature_invalid"


async def test_a_secret_stands_nowhere_but_sealed(resources: Resources) -> None:
    for algorithm in Algorithm:
        key = await issued(resources, ATM, algorithm=algorithm)
        assert key.secret is not None
        rows = await resources.database.rows("select row_to_json(k)::text from machine_keys k")
        notes = await resources.database.rows("select row_to_json(a)::text from audit a")
        assert key.secret.reveal().hex() not in str(rows) + str(notes)
        assert "***" in repr(key)


async def test_what_is_no_key_or_no_house_is_refused(resources: Resources) -> None:
    nowhere = machines.atm_host(BankId("NOWHERE"))
    with pytest.raises(Refused) as refused:
        await issued(resources, nowhere)
    assert refused.value.reason is Reason.NOT_FOUND
    with pytest.raises(Refused) as refused:
        await issued(resources, ATM, algorithm=Algorithm.HMAC_SHA256, public_key=bytes(32))
    assert refused.value.reason is Reason.INVALID_REQUEST
    with pytest.raises(Refused) as refused:
        await rotated(resources, ATM)
    assert refused.value.reason is Reason.NOT_FOUND


# banks' and agencies' own systems


async def test_a_house_reads_its_own_at_the_doors_of_its_people(
    resources: Resources, client: httpx.AsyncClient
) -> None:
    bank = speaking(client, resources, await issued(resources, BANK), "smartid-bank")
    agency = speaking(client, resources, await issued(resources, AGENCY), "smartid-agency")
    assert (await bank.get("/v1/bank/funnel")).body["bank"] == "ACLEDA"
    assert (await bank.get("/v1/bank/days")).status == 200
    assert (await agency.get("/v1/agency/funnel")).body["agency"]["code"] == "MCS"
    assert (await agency.get("/v1/agency/applications")).status == 200


async def test_a_machine_opens_no_other_door_and_no_act_of_people(
    resources: Resources, client: httpx.AsyncClient
) -> None:
    bank = speaking(client, resources, await issued(resources, BANK), "smartid-bank")
    atm = speaking(client, resources, await issued(resources, ATM))
    agency = speaking(client, resources, await issued(resources, AGENCY), "smartid-agency")
    for host, path in (
        (bank, "/v1/agency/funnel"),
        (bank, STATUS),
        (agency, "/v1/bank/funnel"),
        (atm, "/v1/bank/funnel"),
    ):
        assert (await host.get(path)).code == "signature_invalid", path
    for path in ("/v1/bank/limits", "/v1/bank/sessions/current"):
        assert (await bank.get(path)).code == "forbidden", path
    # another kind's tag under the right key
    request = bank.signed("GET", "/v1/bank/funnel", b"", key="k")
    bank.sign(request, b"", tag="smartid-atm")
    assert (await bank.send(request)).code == "signature_invalid"


# what the edge tells


def certificate(der: bytes) -> dict[str, str]:
    return {"client-cert": f":{base64.b64encode(der).decode()}:"}


async def test_signature_and_certificate_must_be_of_the_same_house(resources: Resources) -> None:
    ours, theirs = b"a certificate of ACLEDA", b"a certificate of WING"
    policy = replace(resources.policy, proxies=("10.0.0.0/8",))
    app = create_app(replace(resources, policy=policy))
    wing = machines.atm_host(BankId("WING"))
    for machine, der in ((ATM, ours), (wing, theirs)):
        seen = hashlib.sha256(der).digest()
        await resources.works.perform(
            SYSTEM, None, lambda work, m=machine, s=seen: machines.list_certificate(work, m, s)
        )
    key = await issued(resources, ATM)

    async def code(peer: str, headers: list[tuple[str, str]]) -> str:
        async with from_proxy(app, peer) as client:
            host = speaking(client, resources, key)
            request = host.signed("GET", STATUS, b"", key="k")
            lines = [*request.headers.multi_items(), *headers]
            answer = await client.request("GET", STATUS, headers=lines)
            return str(answer.json()["code"])

    right = list(certificate(ours).items())
    assert await code(PROXY, right) == "not_found", "in"
    assert await code(PROXY, list(certificate(theirs).items())) == "certificate_unknown"
    assert await code(PROXY, []) == "certificate_unknown"
    assert await code(PROXY, [("client-cert", "ours")]) == "certificate_unknown"
    assert await code(PROXY, right * 2) == "certificate_unknown", "two: neither is believed"
    assert await code("192.0.2.9", right) == "certificate_unknown", "not from the edge: not heard"
    await resources.works.perform(
        SYSTEM,
        None,
        lambda work: machines.remove_certificate(work, hashlib.sha256(ours).digest()),
    )
    assert await code(PROXY, right) == "certificate_unknown"


async def test_where_certificates_are_required_a_signature_alone_is_not_enough(
    resources: Resources,
) -> None:
    policy = replace(resources.policy, certificates_required=True, proxies=("10.0.0.0/8",))
    app = create_app(replace(resources, policy=policy))
    key = await issued(resources, ATM)
    async with from_proxy(app, PROXY) as client:
        answer = await speaking(client, resources, key).get(STATUS)
    assert answer.code == "certificate_unknown"
