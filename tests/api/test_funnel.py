"""The funnel through the doors: each house its own people, and the public figures add up."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.app import create_app
from api.resources import RATES, Resources
from runtime import cambodia, seed
from tests.api.staff_steps import signed_in
from tests.behind import rows_of_all_banks
from tests.desk import Desk
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.identifiers import BankId, new_id
from wallet.registry import smart_ids
from wallet.teller import Teller
from wallet.throttle import Throttle
from wallet.vault import Vault
from wallet.work import SYSTEM, Works

Client = httpx.AsyncClient


@pytest.fixture
def resources(
    database: Database, works: Works, teller: Teller, clock: TurnedClock, vault: Vault, redis: Any
) -> Resources:
    return Resources(
        database=database,
        redis=redis,
        works=works,
        teller=teller,
        clock=clock,
        vault=vault,
        throttle=Throttle(redis),
    )


@pytest.fixture
async def client(resources: Resources, tmp_path: Path) -> AsyncIterator[Client]:
    await seed.run(resources, tmp_path)
    transport = httpx.ASGITransport(create_app(resources))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://wallet") as opened:
        yield opened


async def test_all_agencies_together_are_the_first_days_figures(
    client: Client, clock: TurnedClock, tmp_path: Path
) -> None:
    applicants = handed_over = with_cards = 0
    for agency in cambodia.AGENCIES:
        headers = await signed_in(client, clock, tmp_path, f"{agency.id.lower()}.maker")
        shown = (await client.get("/v1/agency/funnel", headers=headers)).json()
        assert shown["agency"]["name_km"] == agency.name_km
        assert sum(shown["by_state"].values()) == shown["applicants"]
        assert sum(part["applicants"] for part in shown["by_bank"]) == shown["applicants"]
        applicants += shown["applicants"]
        handed_over += shown["handed_over"]
        with_cards += shown["handed_over"] > 0

    assert (applicants, handed_over, with_cards) == (1_859, 497, 11)


async def test_all_banks_together_are_the_same_figures(
    client: Client, clock: TurnedClock, tmp_path: Path
) -> None:
    applicants = handed_over = 0
    for bank in ("acleda", "canadia", "wing"):
        headers = await signed_in(client, clock, tmp_path, f"{bank}.clerk1")
        shown = (await client.get("/v1/bank/funnel", headers=headers)).json()
        assert shown["bank"] == bank.upper()
        assert sum(part["applicants"] for part in shown["by_agency"]) == shown["applicants"]
        applicants += shown["applicants"]
        handed_over += shown["handed_over"]

    assert (applicants, handed_over) == (1_859, 497)


async def test_the_list_is_the_officers_own_people_page_by_page_and_each_reads_of_it(
    client: Client, clock: TurnedClock, tmp_path: Path, database: Database
) -> None:
    headers = await signed_in(client, clock, tmp_path, "mop.maker")
    seen: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        query = {"limit": "40", **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/v1/agency/applications", headers=headers, params=query)).json()
        seen += page["items"]
        cursor = page["next"]
        if cursor is None:
            break

    assert len(seen) == len({line["id"] for line in seen}) == 97
    assert {line["agency"] for line in seen} == {"MOP"}
    wanted = {"state": "HANDED_OVER", "limit": "100"}
    handed = await client.get("/v1/agency/applications", headers=headers, params=wanted)
    assert len(handed.json()["items"]) == 29
    looks = await rows_of_all_banks(
        database,
        "select on_behalf_of, seen, count(*) as looks, count(distinct holder_id) as people"
        " from audit where act = 'application.view' group by 1, 2",
    )
    assert [dict(row) for row in looks] == [
        {
            "on_behalf_of": "agency:MOP",
            "seen": "name staff_no application",
            "looks": 97 + 29,
            "people": 97,
        }
    ]


async def test_a_broken_page_request_is_refused(
    client: Client, clock: TurnedClock, tmp_path: Path
) -> None:
    headers = await signed_in(client, clock, tmp_path, "mcs.maker")

    for query, code in (
        ({"cursor": "gibberish"}, "cursor_invalid"),
        ({"cursor": "wqVoZWxsbw"}, "cursor_invalid"),
        ({"state": "LOST"}, "invalid_request"),
        ({"limit": "0"}, "invalid_request"),
        ({"limit": "101"}, "invalid_request"),
    ):
        answer = await client.get("/v1/agency/applications", headers=headers, params=query)
        assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_a_clerk_opens_no_agency_door_and_an_officer_no_banks(
    client: Client, clock: TurnedClock, tmp_path: Path
) -> None:
    clerk = await signed_in(client, clock, tmp_path, "wing.clerk1")
    officer = await signed_in(client, clock, tmp_path, "mcs.maker")

    assert (await client.get("/v1/agency/funnel", headers=clerk)).status_code == 401
    assert (await client.get("/v1/bank/funnel", headers=officer)).status_code == 401
    assert (await client.get("/v1/bank/funnel")).status_code == 401


async def test_a_clerk_freezes_one_of_the_banks_cards_once(
    client: Client, clock: TurnedClock, works: Works, tmp_path: Path
) -> None:
    person = seed.people_with_cards(BankId("WING"))[0]
    card = await works.read(
        SYSTEM, None, lambda w: smart_ids.of_holder(w, seed.holder_id(person.place))
    )
    assert card is not None
    headers = await signed_in(client, clock, tmp_path, "wing.clerk1")
    keyed = {**headers, "idempotency-key": "freeze-1"}
    url, body = f"/v1/bank/smart-ids/{card.id}/freeze", {"reason": "reported lost by phone"}

    first = await client.post(url, headers=keyed, json=body)
    again = await client.post(url, headers=keyed, json=body)
    other = await client.post(url, headers=keyed, json={"reason": "another reason"})
    bare = await client.post(url, headers=headers, json=body)

    assert first.status_code == 200
    shown = first.json()
    assert (shown["payment_state"], shown["identity_state"]) == ("FROZEN", "VALID")
    assert (shown["frozen_by"], shown["expires_on"]) == ("BANK", "2032-12-28")
    assert again.json() == shown
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (bare.status_code, bare.json()["code"]) == (400, "idempotency_key_missing")
    reasons = await works.read(
        SYSTEM,
        None,
        lambda w: w.rows("select reason from audit where act = 'smart_id.freeze'"),
    )
    assert [row["reason"] for row in reasons] == ["reported lost by phone"]


async def test_another_banks_card_is_not_there_to_be_frozen(
    client: Client, clock: TurnedClock, works: Works, tmp_path: Path
) -> None:
    person = seed.people_with_cards(BankId("ACLEDA"))[0]
    card = await works.read(
        SYSTEM, None, lambda w: smart_ids.of_holder(w, seed.holder_id(person.place))
    )
    assert card is not None
    headers = await signed_in(client, clock, tmp_path, "wing.clerk1")

    for smart_id in (card.id, new_id()):
        answer = await client.post(
            f"/v1/bank/smart-ids/{smart_id}/freeze",
            headers={**headers, "idempotency-key": str(smart_id)},
            json={"reason": "reported lost by phone"},
        )
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_one_clerk_freezes_so_many_and_no_more_and_the_alarm_rings(
    client: httpx.AsyncClient, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {}
    for login in ("maker.acleda", "checker.acleda"):
        await desk.enrol(login)
        headers[login] = await desk.session(login)

    async def freeze(login: str) -> int:
        keyed = {**headers[login], "idempotency-key": str(new_id())}
        url, body = f"/v1/bank/smart-ids/{new_id()}/freeze", {"reason": "asked for by nobody"}
        return (await client.post(url, json=body, headers=keyed)).status_code

    most = RATES["freeze.person"].burst
    told = [await freeze("maker.acleda") for _ in range(most + 2)]
    assert told == [404] * most + [429] * 2
    assert "freezes more than 30" in caplog.text
    assert await freeze("checker.acleda") == 404, "somebody else's are their own"
