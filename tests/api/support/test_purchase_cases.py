"""Cases of purchases closed through the support door: by one, or by two where money stands in."""

from datetime import timedelta
from typing import Any

import pytest

from tests.api.support.office import Office, told
from tests.wallet.authorisations.till import NO_QUESTIONS, Till
from tests.wallet.cards.counter import Person
from wallet.authorisations.messages import Kind
from wallet.clock import TurnedClock
from wallet.teller import Teller
from wallet.vault import Vault
from wallet.work import SYSTEM, Work, Works


@pytest.fixture
async def till(works: Works, teller: Teller, vault: Vault, clock: TurnedClock) -> Till:
    return await Till(works, teller, vault, clock, NO_QUESTIONS).open(khr=50_000)


async def listed(office: Office, **query: Any) -> list[dict[str, Any]]:
    answer = await office.get("dara", "/purchase-cases", **query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def test_every_forced_post_is_a_case_on_the_list_and_is_closed_by_one_with_a_reason(
    office: Office, till: Till
) -> None:
    for minor in (10_000, 20_000):
        await till.done(till.message(Kind.FORCE_POST, minor))
    cases = await listed(office)
    assert [(c["cause"], c["beyond"]["amount_minor"], c["state"]) for c in cases] == [
        ("FORCE_POST", 20_000, "OPEN"),
        ("FORCE_POST", 10_000, "OPEN"),
    ]
    path = f"/purchase-cases/{cases[0]['id']}/close"
    body = {"finding": "CHARGE_IS_RIGHT", "why": "A toll road. Card 9116 1000 0000 0000."}
    closed = await office.post("dara", path, body, key="once")
    assert (closed.status_code, closed.json()["state"]) == (200, "CLOSED"), closed.text
    assert (await office.post("dara", path, body, key="once")).json() == closed.json()
    assert told(await office.post("dara", path, body)) == (409, "illegal_transition")
    [seen] = [c for c in await listed(office) if c["state"] == "CLOSED"]
    assert seen["finding"] == "CHARGE_IS_RIGHT"
    assert "1000 0000" not in seen["why"]
    assert [c["beyond"]["amount_minor"] for c in await listed(office, open=True)] == [10_000]
    timeline = await office.get("dara", f"/purchases/{seen['authorisation_id']}")
    assert timeline.json()["cases"][0]["finding"] == "CHARGE_IS_RIGHT"
    assert (await office.post("dara", path, {**body, "finding": "WHATEVER"})).status_code == 400
    gone = path.replace(seen["id"], "01920000-0000-7000-8000-000000000000")
    assert (await office.post("dara", gone, body)).status_code == 404


async def test_where_suspense_stands_in_it_takes_two(office: Office, till: Till) -> None:
    await till.done(till.message(Kind.FORCE_POST, 80_000))
    [case] = await listed(office)
    assert case["short"]["amount_minor"] == 30_000
    close, approve = (f"/purchase-cases/{case['id']}/{act}" for act in ("close", "approve"))
    body = {"finding": "SHOP_ERRED", "why": "Charged twice over."}
    early = await office.post("bopha", approve, {"totp": "000000"})
    assert told(early) == (409, "illegal_transition")
    assert (await office.post("bopha", close, body)).json()["state"] == "REQUESTED"

    async def agree(login: str) -> Any:
        office.clock.advance(timedelta(seconds=30))
        return await office.post(login, approve, {"totp": office.counter.desk.code()})

    assert told(await agree("bopha")) == (403, "four_eyes")
    assert (await agree("dara")).status_code == 403
    [waiting] = await listed(office)
    assert waiting["state"] == "REQUESTED"

    # nobody agreed within the day: it is open again, and asked for anew by somebody else
    office.clock.advance(timedelta(hours=24))
    for login in ("dara", "bopha"):
        await office.sign_in(login)
    assert (await agree("bopha")).status_code != 200
    assert [c["state"] for c in await listed(office)] == ["OPEN"]
    assert (await office.post("dara", close, body)).json()["state"] == "REQUESTED"
    agreed = await agree("bopha")
    assert (agreed.status_code, agreed.json()["state"]) == (200, "CLOSED"), agreed.text
    assert await till.balance() == (0, 0)
    await till.prove()


async def test_a_bank_stops_one_card_and_a_supervisor_lets_it_go_on(
    office: Office, till: Till
) -> None:
    person: Person = till.person
    other = await till.cards.card(person, "KHR")
    path, why = f"/cards/{till.card_id}", {"reason": "tested by a bot"}
    frozen = await office.post("dara", f"{path}/freeze", why)
    assert frozen.json()["card"]["frozen_by"] == ["BANK"], frozen.text
    assert (await office.post("dara", f"{path}/freeze", why)).status_code == 200
    bought = till.message(Kind.AUTHORIZATION, 1_000)
    assert await till.said(bought) == "card_frozen"
    assert await till.cards.state(other) == "ACTIVE"
    assert (await till.told("card.changed"))[-1]["cause"] == "bank"
    # its holder cannot lift it, and an agent alone neither
    with pytest.raises(Exception, match="forbidden"):
        await till.cards.prepare("card.unfreeze", person, card_id=str(till.card_id))
    assert (await office.post("dara", f"{path}/unfreeze", why)).status_code == 403
    await till.freeze()
    held = await office.post("bopha", f"{path}/unfreeze", why)
    assert held.json()["card"]["frozen_by"] == ["HOLDER"], held.text
    await till.cards.do("card.unfreeze", person, card_id=str(till.card_id))
    assert await till.said(till.message(Kind.AUTHORIZATION, 1_000)) == "ok"
    noted = await audit(till, str(till.card_id))
    assert noted == [("card.freeze", "tested by a bot"), ("card.unfreeze", "tested by a bot")]
    gone = "/cards/01920000-0000-7000-8000-000000000000/freeze"
    assert (await office.post("dara", gone, why)).status_code == 404


async def audit(till: Till, subject: str) -> list[tuple[str, str]]:
    async def read(work: Work) -> list[tuple[str, str]]:
        rows = await work.rows(
            "select act, reason from audit where subject = $1 and actor_kind = 'support'"
            " order by seq",
            subject,
        )
        return [(row["act"], row["reason"]) for row in rows]

    return await till.works.read(SYSTEM, None, read)
