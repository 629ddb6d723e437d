"""Somebody leaves the service: reported by their agency, and what follows for their cards."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.resources import Resources
from tests import world
from tests.api.support.office import told
from tests.desk import Desk
from tests.wallet.authorisations.till import Till
from wallet.authorisations.messages import Kind
from wallet.ledger.statement import balances
from wallet.money import Money
from wallet.registry import holders
from wallet.work import SYSTEM, Work


class Ministry:
    """An agency's officers, and one of its people with a card."""

    def __init__(self, client: httpx.AsyncClient, desk: Desk, till: Till) -> None:
        self.client = client
        self.desk = desk
        self.till = till
        self.sessions: dict[str, dict[str, str]] = {}
        self._keys = 0

    async def report(self, login: str, status: str, **more: Any) -> httpx.Response:
        self._keys += 1
        if login not in self.sessions:
            await self.desk.enrol(login)
            self.till.clock.advance(timedelta(seconds=30))
            self.sessions[login] = await self.desk.session(login)
        headers = self.sessions[login]
        staff_no = self.till.person.holder.staff_no
        return await self.client.post(
            "/v1/agency/people/leaving",
            headers={**headers, "idempotency-key": f"leaving-{self._keys}"},
            json={"staff_no": staff_no, "status": status, "reason": "order 12", **more},
        )

    async def standing(self) -> str:
        async def read(work: Work) -> str:
            person = await holders.by_id(work, self.till.person.holder.id)
            assert person is not None
            return person.status.value

        return await self.till.works.read(SYSTEM, None, read)


@pytest.fixture
async def ministry(
    resources: Resources, dialled: Callable[[Litestar], httpx.AsyncClient], desk: Desk
) -> Ministry:
    till = Till(resources.works, resources.teller, resources.vault, resources.clock)  # type: ignore[arg-type]
    await till.open(khr=50_000)
    return Ministry(dialled(create_app(resources)), desk, till)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("RETIRED", "smart_id_not_active"),
        ("LEFT", "smart_id_not_active"),
        ("DECEASED", "smart_id_frozen"),
    ],
)
async def test_a3_5_whoever_leaves_has_no_paying_cards_and_still_gets_what_is_owed(
    ministry: Ministry, status: str, reason: str
) -> None:
    till = ministry.till
    held = await till.authorise(10_000)
    answer = await ministry.report("checker.mcs", status)
    staff_no = till.person.holder.staff_no
    assert answer.json() == {"staff_no": staff_no, "status": status}, answer.text
    assert await ministry.standing() == status
    assert await till.said(till.message(Kind.AUTHORIZATION, 1_000)) == reason
    # what was bought before is paid, and the last salary lands
    await till.done(till.message(Kind.CLEARING, 10_000, of=held))
    holder = till.person.holder
    await world.fund(till.works, holder.bank, till.wallet, Money.khr(1_000))
    money = await till.works.read(SYSTEM, holder.bank, lambda work: balances(work, [till.wallet]))
    assert money[till.wallet].posted == Money.khr(41_000)
    told_of = await till.told("smart_id.payment_changed")
    assert [body["state"] for body in told_of] == ["FROZEN" if status == "DECEASED" else "BLOCKED"]
    notes = await _notes(till)
    assert ("holder.leaving_reported", "order 12") in notes
    # told again, nothing more happens
    assert (await ministry.report("checker.mcs", status)).status_code == 200
    assert len(await till.told("smart_id.payment_changed")) == 1
    await till.prove()


async def test_only_their_own_agency_reports_and_only_who_approves(ministry: Ministry) -> None:
    assert told(await ministry.report("checker.moeys", "RETIRED")) == (404, "not_found")
    assert (await ministry.report("maker.mcs", "RETIRED")).status_code == 403
    assert (await ministry.report("checker.mcs", "ACTIVE")).status_code == 400
    unknown = await ministry.report("checker.mcs", "RETIRED", staff_no="9999999999")
    assert told(unknown) == (404, "not_found")
    assert await ministry.standing() == "ACTIVE"
    assert await ministry.till.said(ministry.till.message(Kind.AUTHORIZATION, 1_000)) == "ok"


async def test_who_retired_cannot_be_reported_as_having_left(ministry: Ministry) -> None:
    assert (await ministry.report("checker.mcs", "RETIRED")).status_code == 200
    assert told(await ministry.report("checker.mcs", "LEFT")) == (409, "illegal_transition")
    assert await ministry.standing() == "RETIRED"


async def _notes(till: Till) -> list[tuple[str, str | None]]:
    async def read(work: Work) -> list[tuple[str, str | None]]:
        rows = await work.rows(
            "select act, reason from audit where holder_id = $1", till.person.holder.id
        )
        return [(row["act"], row["reason"]) for row in rows]

    return await till.works.read(SYSTEM, None, read)
