"""Providers call back: under a live secret of theirs, fresh, once; nothing they say is believed."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from api.resources import Resources
from runtime import settings as reading
from runtime import worker
from runtime.settings import SettingsError
from simulators.atm import AtmHost
from simulators.telco import sign_callback
from tests.behind import rows_of_all_banks
from wallet.access import machines, webhooks
from wallet.access.machines import Algorithm, Issued, Machine, MachineKind, Provider
from wallet.clock import TurnedClock
from wallet.identifiers import Secret, new_id
from wallet.outcomes import Reason, Refused
from wallet.work import SYSTEM, Work

OPERATORS = Machine(kind=MachineKind.PROVIDER, provider=Provider.OPERATORS)
PATH = "/v1/callbacks/operators"
BODY = b'{"external_id": "019bb000-0000-7000-8000-000000000000", "status": {"id": 9}}'


async def issue(resources: Resources, *, rotating: bool = False, **more: Any) -> Issued:
    act = machines.rotate if rotating else machines.issue

    async def make(work: Work) -> Issued:
        terms = {"algorithm": Algorithm.HMAC_SHA256} | more
        return await act(work, resources.vault, OPERATORS, **terms)

    return await resources.works.perform(SYSTEM, None, make)


def secret_of(issued: Issued) -> bytes:
    assert issued.secret is not None
    return issued.secret.reveal()


class Caller:
    """The aggregator, with a clock that goes with ours."""

    def __init__(self, client: httpx.AsyncClient, clock: TurnedClock) -> None:
        self.client = client
        self.clock = clock

    def headers(self, secret: bytes, message_id: str = "m1", body: bytes = BODY) -> dict[str, str]:
        return sign_callback(secret, message_id, int(self.clock.now().timestamp()), body)

    async def call(self, headers: dict[str, str], body: bytes = BODY) -> int:
        answer = await self.client.post(PATH, content=body, headers=headers)
        assert answer.status_code < 500
        return answer.status_code


@pytest.fixture
def caller(client: httpx.AsyncClient, clock: TurnedClock) -> Caller:
    return Caller(client, clock)


async def test_blnk_trap_6_without_a_secret_nothing_is_genuine(
    caller: Caller, clock: TurnedClock, resources: Resources
) -> None:
    """Blnk sends unsigned where the secret is empty, and whoever checks with an empty one accepts
    whatever was signed with nothing."""
    for nothing in (b"", b"\0" * 32):
        assert await caller.call(caller.headers(nothing)) == 401
        short = nothing[:23]
        live, signed = {"k": Secret(short)}, caller.headers(short)
        assert webhooks.decide_genuine(signed, BODY, live, clock.now()) is None
    assert await caller.call({}) == 401
    for empty in (b"", b"x" * 31):
        with pytest.raises(Refused) as refused:
            await resources.works.perform(
                SYSTEM, None,
                lambda work, empty=empty: machines.add_key(
                    work, resources.vault, machine=OPERATORS, keyid="k1",
                    algorithm=Algorithm.HMAC_SHA256, key=Secret(empty),
                ),
            )  # fmt: skip
        assert refused.value.reason is Reason.INVALID_REQUEST


async def test_a_worker_does_not_ask_to_be_called_back_without_a_secret(
    resources: Resources, tmp_path: Path
) -> None:
    plain = reading.read(tmp_path, {})
    asking = replace(plain, operator_callback_url=f"https://wallet.smartid.test{PATH}")
    await worker.refuse_deaf_callbacks(resources, plain)
    with pytest.raises(SettingsError, match="SMARTID_OPERATOR_CALLBACK_URL"):
        await worker.refuse_deaf_callbacks(resources, asking)
    await issue(resources)
    await worker.refuse_deaf_callbacks(resources, asking)


async def test_what_is_not_genuine_is_not_heard(
    caller: Caller, resources: Resources, clock: TurnedClock
) -> None:
    secret = secret_of(await issue(resources))
    right = caller.headers(secret)
    for wrong in (
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "v1,not base64 at all"},
        {"webhook-signature": right["webhook-signature"].removeprefix("v1,")},
        {"webhook-signature": right["webhook-signature"].replace("v1,", "v1a,")},
        {"webhook-signature": ""},
        {"webhook-id": "m2"},
        {"webhook-id": ""},
        {"webhook-id": "m" * 101},
        {"webhook-timestamp": str(int(right["webhook-timestamp"]) + 1)},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "9" * 400},
    ):
        assert await caller.call({**right, **wrong}) == 401, wrong
    assert await caller.call(right, BODY.replace(b"9", b"7")) == 401
    for age_s in (301, -301):
        clock.advance(timedelta(seconds=age_s))
        assert await caller.call(right) == 401
        clock.advance(timedelta(seconds=-age_s))
    assert await caller.call(right) == 204
    for odd in (b"", b"[]", b'{"external_id": 7}', b'{"external_id": "7"}', b"{" * 50_000):
        assert await caller.call(caller.headers(secret, str(new_id()), odd), odd) == 400


async def test_a_message_is_heard_once_also_under_the_next_secret(
    caller: Caller, resources: Resources
) -> None:
    heard = []
    first = secret_of(await issue(resources))
    second = secret_of(await issue(resources, rotating=True))
    for secret in (first, first, second):
        heard.append(await caller.call(caller.headers(secret)))
    assert heard == [204, 204, 204], "who lost our answer is told the same"
    spent = await rows_of_all_banks(
        resources.database, "select nonce from machine_nonces where keyid like 'provider:%'"
    )
    assert [row["nonce"] for row in spent] == ["m1"]


async def test_a_secret_is_changed_while_calls_come_and_revoked_at_once(
    caller: Caller, resources: Resources, clock: TurnedClock
) -> None:
    old, new = await issue(resources), await issue(resources, rotating=True)
    assert old.secret is not None
    rows = await rows_of_all_banks(resources.database, "select k::text as row from machine_keys k")
    assert old.secret.reveal().hex() not in str(rows)

    async def both() -> list[int]:
        return [
            await caller.call(caller.headers(secret_of(one), str(new_id()))) for one in (old, new)
        ]

    assert await both() == [204, 204]
    listed = {  # Standard Webhooks' way to rotate: a list of signatures, any one of which will do
        **caller.headers(secret_of(new), "m9"),
        "webhook-signature": f"v1,AAAA {caller.headers(secret_of(new), 'm9')['webhook-signature']}",
    }
    assert await caller.call(listed) == 204
    with pytest.raises(Refused):
        await issue(resources)
    clock.advance(machines.OVERLAP)
    assert await both() == [401, 204], "the old one has ended by itself"
    await resources.works.perform(SYSTEM, None, lambda work: machines.retire_key(work, new.keyid))
    assert await both() == [401, 401]


async def test_a_providers_secret_opens_no_machines_door(
    client: httpx.AsyncClient, resources: Resources, clock: TurnedClock
) -> None:
    issued = await issue(resources)
    host = AtmHost(
        client, keyid=issued.keyid, key=secret_of(issued), terminal="ATM1", clock=clock.now,
        attempts=1,
    )  # fmt: skip
    answer = await host.get("/v1/atm/cards/none")
    assert answer.status == 401
    for machine in (
        changed_provider("nobody"),
        Machine(kind=MachineKind.PROVIDER, provider=Provider.OPERATORS),
    ):
        algorithm = Algorithm.HMAC_SHA256 if machine.provider == "nobody" else Algorithm.ED25519
        with pytest.raises(Refused):
            await resources.works.perform(
                SYSTEM, None,
                lambda work, machine=machine, algorithm=algorithm: machines.issue(
                    work, resources.vault, machine, algorithm=algorithm
                ),
            )  # fmt: skip


def changed_provider(name: str) -> Machine:
    return Machine(kind=MachineKind.PROVIDER, provider=name)
