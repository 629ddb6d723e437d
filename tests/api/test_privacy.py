"""Who looked at my data, and what each bank holds: through the doors, as app and clerk ask."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.resources import Resources
from tests import world
from tests.api.signed_in import SignedIn
from tests.desk import Desk
from tests.world import WorldHolder
from wallet.clock import TurnedClock
from wallet.disclosure import SECTIONS, hash_of
from wallet.identifiers import BankId, HolderId, new_id
from wallet.work import SYSTEM, Actor, ActorKind, Work, Works

PHONE = "+85512345678"


class Street:
    """Holders of two banks with the app open, and the desk."""

    def __init__(
        self, app: Litestar, client: httpx.AsyncClient, desk: Desk, clock: TurnedClock
    ) -> None:
        self.client, self.desk, self.clock = client, desk, clock
        self.signed_in = SignedIn(app, clock)

    async def get(self, holder: WorldHolder, path: str, **query: Any) -> Any:
        answer = await self.client.get(
            f"/v1/mobile/privacy{path}", headers=self.signed_in.headers(holder), params=query
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def export(self, login: str, holder_id: HolderId) -> httpx.Response:
        self.clock.advance(timedelta(seconds=30))  # a time code is good once
        headers = await self.desk.session(login)
        return await self.client.get(f"/v1/bank/people/{holder_id}/export", headers=headers)


@pytest.fixture
async def street(
    resources: Resources,
    dialled: Callable[[Litestar], httpx.AsyncClient],
    desk: Desk,
    clock: TurnedClock,
) -> Street:
    app = create_app(resources)
    return Street(app, dialled(app), desk, clock)


async def looked(
    works: Works, holder: WorldHolder, times: int, *, kind: ActorKind, bank: str | None = None
) -> None:
    """Somebody looks `times` times, each in a Work of its own."""
    actor = Actor(kind=kind, id="somebody", bank=None if bank is None else BankId(bank))

    async def act(work: Work) -> None:
        work.note("support.found", "staff_no", holder_id=holder.id, seen=["name", "staff_no"])

    for _ in range(times):
        await works.perform(actor, actor.bank, act)


async def test_every_look_is_in_the_holders_feed_page_by_page_and_no_other_holders(
    street: Street, works: Works
) -> None:
    holder = await world.holder(works)
    other = await world.holder(works, bank="WING")
    await looked(works, holder, 4, kind=ActorKind.SUPPORT)
    await looked(works, other, 3, kind=ActorKind.BANK_CLERK, bank="WING")
    # A foreign bank's look is noted under that bank, and still the holder's to see.
    await looked(works, holder, 1, kind=ActorKind.ATM_HOST, bank="WING")
    page = await street.get(holder, "/looks", limit=2)
    seen = page["items"]
    while page["next"]:
        page = await street.get(holder, "/looks", limit=2, cursor=page["next"])
        seen += page["items"]
    assert [look["who"] for look in seen] == ["atm_host", *["support"] * 4]
    assert [look["id"] for look in seen] == sorted((look["id"] for look in seen), reverse=True)
    assert seen[0]["on_behalf_of"] == "bank:WING"
    assert seen[0]["seen"] == ["name", "staff_no"]
    assert len((await street.get(other, "/looks"))["items"]) == 3


async def test_an_act_that_showed_nothing_is_no_look(street: Street, works: Works) -> None:
    holder = await world.holder(works)

    async def act(work: Work) -> None:
        work.note("smart_id.freeze", "x", holder_id=holder.id)

    await works.perform(SYSTEM, holder.bank, act)
    assert (await street.get(holder, "/looks"))["items"] == []


async def test_the_export_says_what_each_bank_holds_and_its_manifest_holds(
    street: Street, works: Works, resources: Resources
) -> None:
    holder = await world.holder(works, khr=5_000, vault=resources.vault, phone=PHONE)
    await world.holder(works, bank="WING")
    made = await street.get(holder, "/export")
    assert made["holder_id"] == str(holder.id)
    banks = {bank["bank"]: bank for bank in made["banks"]}
    assert set(banks) == {"ACLEDA", "CANADIA", "WING"}
    own = banks["ACLEDA"]
    assert own["sections"]["identity"][0]["name_latin"] == holder.name_latin
    assert {row["number"] for row in own["sections"]["accounts"]} == {
        holder.khr_number,
        holder.usd_number,
    }
    assert own["sections"]["smart_ids"][0]["last_four"] == holder.smart_id_number[-4:]
    for bank in made["banks"]:
        assert list(bank["sections"]) == [one["name"] for one in bank["manifest"]] == list(SECTIONS)
        for one in bank["manifest"]:
            rows = bank["sections"][one["name"]]
            assert (one["rows"], one["sha256"]) == (len(rows), hash_of(rows))
    assert not any(
        rows for bank in ("WING", "CANADIA") for rows in banks[bank]["sections"].values()
    )
    told = str(made)
    assert holder.smart_id_number not in told
    assert PHONE not in told
    assert "sealed" not in told


async def test_a_clerk_gives_out_their_own_banks_people_and_the_person_sees_it(
    street: Street, works: Works
) -> None:
    holder = await world.holder(works)
    for login in ("checker.acleda", "checker.wing"):
        await street.desk.enrol(login)
    answer = await street.export("checker.acleda", holder.id)
    assert answer.status_code == 200, answer.text
    assert answer.json()["sections"]["identity"][0]["staff_no"] == holder.staff_no
    refused = await street.export("checker.wing", holder.id)
    assert refused.status_code == 404
    nobody = await street.export("checker.wing", HolderId(new_id()))
    assert (nobody.status_code, nobody.json()["code"]) == (404, refused.json()["code"])
    [look] = (await street.get(holder, "/looks"))["items"]
    assert (look["what"], look["who"], look["on_behalf_of"]) == (
        "bank.export",
        "bank_clerk",
        "bank:ACLEDA",
    )
    assert "identity" in look["seen"]
