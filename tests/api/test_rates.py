"""Every rate there is, at its door: who has used it up is told when to come again, and whoever
stands beside them goes on. A class that comes later is asked for here."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.resources import RATES, Policy, Rate, Resources
from simulators.atm import AtmHost
from tests import world
from tests.api.conftest import HOST
from tests.desk import UNHURRIED, Desk
from tests.matrix import callers
from tests.matrix.callers import Asked, Caller, Signing
from wallet.access import atm_hosts
from wallet.access.machines import Machine, MachineKind, atm_host
from wallet.clock import TurnedClock
from wallet.identifiers import BankId
from wallet.work import SYSTEM

BY_ADDRESS = {"open.address", "failed.address"}
"""Strangers': see `test_throttling`."""

CARD = {"smart_id_number": "9116010000123456", "pin_verified": True}
ASKED = {
    "read.person": Asked(method="GET", path="/v1/mobile/accounts"),
    "write.person": Asked(
        method="POST", path="/v1/mobile/intents", body={"kind": "totp.enrol", "fields": {}}
    ),
    "staff.person": Asked(method="GET", path="/v1/support/disputes"),
    "freeze.person": Asked(
        method="POST",
        path=f"/v1/bank/smart-ids/{UUID(int=0)}/freeze",
        body={"reason": "asked for by nobody"},
        keyed=True,
    ),
    "machine.terminal": Asked(
        method="POST", path="/v1/atm/balance-inquiries", body=CARD, keyed=True
    ),
    "machine.house": Asked(method="GET", path="/v1/bank/days"),
}


class Street:
    """Two of every sort: `of` gives who is asked about, and whoever stands beside them."""

    def __init__(
        self, client: httpx.AsyncClient, resources: Resources, desk: Desk, clock: TurnedClock,
        database_url: str,
    ) -> None:  # fmt: skip
        self.client, self.resources, self.desk = client, resources, desk
        self.clock, self.database_url = clock, database_url

    async def of(self, rate: str) -> tuple[Caller, Caller]:
        match rate:
            case "read.person" | "write.person":
                one, other = await world.people(self.resources.works, 2)
                return await self._holder(one), await self._holder(other)
            case "staff.person":
                return await self._staff("dara"), await self._staff("bopha")
            case "freeze.person":
                return await self._staff("maker.acleda"), await self._staff("checker.acleda")
            case "machine.terminal":
                return await self._terminals()
            case _:
                return await self._bank("ACLEDA"), await self._bank("WING")

    async def _holder(self, person: world.WorldHolder) -> Caller:
        return await callers.holder(
            self.client, self.database_url, str(person.id), person.id, self.clock
        )

    async def _staff(self, login: str) -> Caller:
        return await callers.staff(self.client, self.desk, login)

    async def _terminals(self) -> tuple[Caller, Caller]:
        acleda, works = BankId("ACLEDA"), self.resources.works
        await works.perform(
            SYSTEM, acleda,
            lambda work: atm_hosts.list_terminals(work, acleda, ["ATM1", "ATM2"], ["A", "B"]),
        )  # fmt: skip
        vault = self.resources.vault
        one = await callers.machine(self.client, works, vault, self.clock, atm_host(acleda))
        assert isinstance(one, Signing)
        beside = AtmHost(
            self.client, keyid=one.name, key=one.host.key, terminal="ATM2", clock=self.clock.now,
            attempts=1, tag="smartid-atm",
        )  # fmt: skip
        return one, Signing(beside, self.client, "ATM2", scheme="atm", door="atm")

    async def _bank(self, bank: str) -> Caller:
        works, vault = self.resources.works, self.resources.vault
        owner = Machine(kind=MachineKind.BANK, bank=BankId(bank))
        return await callers.machine(self.client, works, vault, self.clock, owner)


def test_every_rate_there_is_has_somebody_here() -> None:
    assert set(ASKED) == set(RATES) - BY_ADDRESS


@pytest.mark.parametrize("rate", ASKED)
async def test_who_has_used_up_a_rate_waits_and_who_stands_beside_them_goes_on(
    rate: str,
    resources: Resources,
    dialled: Callable[[Litestar], httpx.AsyncClient],
    desk: Desk,
    clock: TurnedClock,
    database_url: str,
) -> None:
    policy = Policy(host=HOST, rates={**UNHURRIED, rate: Rate(3, 1)})
    client = dialled(create_app(replace(resources, policy=policy)))
    one, other = await Street(client, resources, desk, clock, database_url).of(rate)
    told = [await one.ask(ASKED[rate]) for _ in range(5)]
    assert [answer.status_code == 429 for answer in told] == [False] * 3 + [True] * 2, told
    assert {answer.json()["code"] for answer in told[3:]} == {"rate_limited"}
    assert 1 <= int(told[3].headers["retry-after"]) <= 60
    assert (await other.ask(ASKED[rate])).status_code == told[0].status_code < 429
    if rate == "read.person":
        written = await one.ask(ASKED["write.person"])
        assert written.status_code != 429, "a class of its own"
