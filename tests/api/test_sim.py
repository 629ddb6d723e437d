"""The imagined network's door, and what its messages look like at the phones' and support's."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.resources import Policy, Resources
from notifications.delivery import deliver_next
from runtime.settings import SettingsError, read
from tests.api.signed_in import SignedIn
from tests.desk import Desk
from tests.wallet.authorisations.till import RATE
from tests.wallet.cards.counter import Counter, Person
from tests.wallet.limits.steps import put_in_force
from wallet import terms
from wallet.authorisations import serving
from wallet.authorisations.messages import Message
from wallet.cards import numbers
from wallet.cards.rules import CardRules
from wallet.clock import TurnedClock
from wallet.identifiers import CardId, HolderId
from wallet.outcomes import Outcome
from wallet.work import SYSTEM, Work

CAFE = {"id": "KH000000000CAFE", "name": "Kafé Ânkor", "mcc": "5814"}
BOOKS = {"id": "TH000000000SHOP", "name": "Bangkok Books", "mcc": "5942", "country": "TH"}


VERBS = (
    "authorise",
    "financial",
    "increment",
    "advise",
    "inquire",
    "reverse",
    "expire",
    "clear",
    "force",
    "return",
    "return-reversal",
    "tokenise",
    "faults",
    "clock/advance",
)


class Shop:
    """A holder with a riel card, a shop, an agent: all over HTTP."""

    def __init__(self, client: httpx.AsyncClient, signed_in: SignedIn, person: Person) -> None:
        self.client = client
        self.signed_in = signed_in
        self.person = person
        self.card_id: CardId

    async def say(self, verb: str, **body: Any) -> httpx.Response:
        return await self.client.post(f"/v1/sim/{verb}", json={"bank": "ACLEDA", **body})

    async def buy(self, minor: int, **body: Any) -> dict[str, Any]:
        first = {"card": {"id": str(self.card_id)}, "merchant": CAFE, "amount_minor": minor}
        answer = await self.say("authorise", **{**first, **body})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def mine(self, path: str) -> Any:
        headers = self.signed_in.headers(self.person.holder)
        answer = await self.client.get(f"/v1/mobile{path}", headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def counter(resources: Resources, clock: TurnedClock) -> Counter:
    return Counter(resources.works, resources.vault, clock, CardRules())


@pytest.fixture
async def shop(
    resources: Resources,
    dialled: Callable[[Litestar], httpx.AsyncClient],
    clock: TurnedClock,
    counter: Counter,
) -> Shop:
    app = create_app(replace(resources, policy=Policy(host="wallet.smartid.test", simulation=True)))
    person = await counter.person(khr=100_000, language="en")
    opened = Shop(dialled(app), SignedIn(app, clock), person)
    opened.card_id = await counter.card(person, "KHR")
    return opened


async def test_without_the_setting_the_door_does_not_exist(client: httpx.AsyncClient) -> None:
    for verb in VERBS:
        assert (await client.post(f"/v1/sim/{verb}", json={})).status_code == 404
    document = (await client.get("/openapi.json")).json()
    assert not [path for path in document["paths"] if path.startswith("/v1/sim")]


def test_production_refuses_to_start_with_it() -> None:
    production = {
        "SMARTID_ENV": "production",
        "DATABASE_URL": "postgresql://db/smartid",
        "REDIS_URL": "redis://cache",
        "SMARTID_ALLOW_PLAIN_SERVERS": "1",
        "SMARTID_ALLOW_SOFTWARE_KEYS": "1",
    }
    assert not read(environ=production).simulation
    with pytest.raises(SettingsError, match="SMARTID_SIMULATION"):
        read(environ={**production, "SMARTID_SIMULATION": "on"})
    assert read(environ={"SMARTID_SIMULATION": "on"}).simulation


async def test_a_purchase_from_the_shop_to_the_phone_and_the_agent(
    shop: Shop, desk: Desk, clock: TurnedClock
) -> None:
    bought = await shop.buy(30_000, key="T1|1")
    assert bought["approved"]
    cleared = await shop.say("clear", original="T1|1", amount_minor=25_000)
    assert cleared.json()["answer"]["status"] == "SETTLED"
    [listed] = (await shop.mine("/purchases"))["items"]
    assert (listed["status"], listed["merchant"]) == ("SETTLED", "Kafé Ânkor")
    assert listed["cardholder"]["amount_minor"] == 25_000
    whole = await shop.mine(f"/purchases/{listed['id']}")
    told = [(event["kind"], event["hold"]["amount_minor"]) for event in whole["events"]]
    assert told == [("AUTHORIZATION", 30_000), ("CLEARING", 0)]
    assert whole["events"][1]["settlement"]["amount_minor"] == 25_000

    await desk.enrol("dara")
    agent = await desk.session("dara")
    found = await shop.client.get("/v1/support/purchases", params={"key": "T1|1"}, headers=agent)
    [seen] = found.json()["items"]
    timeline = await shop.client.get(f"/v1/support/purchases/{seen['id']}", headers=agent)
    assert [step["decision"] for step in timeline.json()["steps"]] == ["approved", "approved"]
    assert timeline.json()["cases"] == []
    holder_id = shop.person.holder.id
    of_holder = await shop.client.get(f"/v1/support/holders/{holder_id}/purchases", headers=agent)
    assert [one["id"] for one in of_holder.json()["items"]] == [seen["id"]]
    # a case is on the agents' list
    await shop.say("force", card={"id": str(shop.card_id)}, merchant=CAFE, amount_minor=90_000)
    cases = (await shop.client.get("/v1/support/purchase-cases", headers=agent)).json()["items"]
    assert [(c["cause"], c["short"]["amount_minor"]) for c in cases] == [("FORCE_POST", 15_000)]


async def test_a_decline_is_told_at_once_with_the_next_step(
    shop: Shop, counter: Counter, resources: Resources
) -> None:
    await counter.freeze(shop.person, shop.card_id)
    declined = await shop.buy(1_000)
    assert (declined["approved"], declined["reason"]) == (False, "card_frozen")

    woken: list[HolderId] = []

    async def wake(holder_ids: Any) -> None:
        woken.extend(holder_ids)

    while await deliver_next(resources.works, wake):
        pass
    assert shop.person.holder.id in woken
    entries = (await shop.mine("/inbox"))["items"]
    assert entries[0]["kind"] == "purchase.declined"
    assert "Unfreeze it in the app" in entries[0]["text"]
    [listed] = (await shop.mine("/purchases"))["items"]
    assert listed["status"] == "DECLINED"
    assert listed["declined"]["next_step"] == "unfreeze_card"
    assert "ដោះបង្កក" in listed["declined"]["km"]


async def test_another_holder_sees_nothing_of_it(shop: Shop, counter: Counter) -> None:
    bought = await shop.buy(1_000)
    other = await counter.person()
    headers = shop.signed_in.headers(other.holder)
    path = f"/v1/mobile/purchases/{bought['answer']['authorisation_id']}"
    assert (await shop.client.get(path, headers=headers)).status_code == 404
    listed = await shop.client.get("/v1/mobile/purchases", headers=headers)
    assert listed.json()["items"] == []


async def test_the_number_and_the_check_value_of_the_card_are_taken_and_never_told(
    shop: Shop, resources: Resources, clock: TurnedClock
) -> None:
    async def look(work: Work) -> tuple[str, Any]:
        row = await work.row(
            "select number_sealed, expires_on from virtual_cards where id = $1", shop.card_id
        )
        assert row is not None
        number = await resources.vault.unseal(
            work, row["number_sealed"], "virtual_cards", "number_sealed", shop.card_id
        )
        return number.reveal().decode(), row["expires_on"]

    number, expires_on = await resources.works.read(SYSTEM, shop.person.holder.bank, look)
    expiry = numbers.printed_expiry(expires_on)
    wrong = {"number": number, "expiry": expiry, "cvv": "000"}
    right = {"number": number, "expiry": expiry}
    told = [await shop.buy(1_000, card=right), await shop.buy(1_000, card=wrong)]
    assert [one["reason"] for one in told] == [None, "card_details_wrong"]
    assert number not in str(told)
    bad = await shop.say("authorise", card={"number": number[:-1] + "x"}, amount_minor=1)
    assert bad.status_code == 400
    assert number[:-1] not in bad.text


async def test_faults_of_the_wire_change_nothing_but_the_wire(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def plant(**faults: int) -> None:
        assert (await shop.client.post("/v1/sim/faults", json=faults)).status_code == 200

    async def held() -> int:
        accounts = await shop.mine("/accounts")
        return int(next(a["held"]["amount_minor"] for a in accounts if a["currency"] == "KHR"))

    handed_in: list[str] = []
    hand_in = serving.Desk.ask

    async def counted(desk: serving.Desk, message: Message) -> Outcome:
        handed_in.append(message.key)
        return await hand_in(desk, message)

    monkeypatch.setattr(serving.Desk, "ask", counted)
    await plant(duplicate=1)
    assert (await shop.buy(10_000, key="T1|1"))["approved"]
    assert handed_in == ["T1|1", "T1|1"], "it truly came twice"
    assert await held() == 10_000
    await plant(late=1)
    late = await shop.buy(10_000, key="T1|2")
    assert late["reason"] == "answer_too_late"
    assert await held() == 10_000
    await plant(lost_answer=1)
    body = {"card": {"id": str(shop.card_id)}, "merchant": CAFE, "amount_minor": 5_000}
    lost = await shop.say("authorise", key="T1|3", **body)
    assert lost.status_code == 503
    assert await held() == 15_000
    assert (await shop.buy(5_000, key="T1|3"))["approved"]
    assert await held() == 15_000
    assert (await shop.say("reverse", original="T1|3")).json()["approved"]
    assert await held() == 10_000


async def test_the_same_message_is_answered_with_the_same_bytes(shop: Shop) -> None:
    body = {"card": {"id": str(shop.card_id)}, "merchant": CAFE, "amount_minor": 5_000}
    first = await shop.say("authorise", key="T1|9", **body)
    again = await shop.say("authorise", key="T1|9", **body)
    assert first.content == again.content
    other = await shop.say("authorise", key="T1|9", **{**body, "amount_minor": 5_001})
    assert other.json()["reason"] == "message_differs"


async def test_the_clock_is_advanced_and_what_runs_out_is_released(shop: Shop) -> None:
    await shop.buy(10_000, hold_days=1)
    answer = await shop.client.post("/v1/sim/clock/advance", json={"seconds": 86_400})
    assert answer.json()["expired"] == 1
    [listed] = (await shop.mine("/purchases"))["items"]
    assert (listed["status"], listed["hold"]["amount_minor"]) == ("EXPIRED", 0)


async def test_a_purchase_out_of_pattern_waits_on_the_phone(shop: Shop) -> None:
    declined = await shop.buy(10_000, merchant=BOOKS)
    assert declined["reason"] == "purchase_unconfirmed"
    [question] = (await shop.mine("/purchase-questions"))["items"]
    assert question["challenge_id"] == declined["facts"]["challenge_id"]
    assert (question["merchant"], question["rule"]) == ("Bangkok Books", "first_foreign")


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("authorise", {"amount_minor": 1, "merchant": CAFE}, "card"),
        ("authorise", {"card": {"id": "01920000-0000-7000-8000-000000000000"}}, "amount_minor"),
        ("reverse", {}, "original"),
        ("clear", {"original": "T1|1"}, "amount_minor"),
        ("force", {"amount_minor": 1}, "card"),
    ],
)
async def test_what_is_missing_is_named(
    shop: Shop, verb: str, body: dict[str, Any], field: str
) -> None:
    answer = await shop.say(verb, **body)
    assert answer.status_code == 400
    assert field in answer.json()["fields"]


async def test_a_dispute_may_name_the_purchase(shop: Shop) -> None:
    bought = await shop.buy(30_000, key="T2|1")
    await shop.say("clear", original="T2|1", amount_minor=30_000)
    headers = {**shop.signed_in.headers(shop.person.holder), "idempotency-key": "dispute-1"}
    body = {
        "transaction_id": bought["answer"]["authorisation_id"],
        "reason": "GOODS_NOT_RECEIVED",
        "statement": "Nothing came.",
    }
    opened = await shop.client.post("/v1/mobile/disputes", headers=headers, json=body)
    assert opened.status_code == 201, opened.text


async def test_the_verbs_one_by_one(shop: Shop) -> None:
    """Everything a network may say, through HTTP; the figures are those of the rooms' own tests."""

    async def said(verb: str, **body: Any) -> tuple[str, int, int]:
        answer = await shop.say(verb, **body)
        assert answer.status_code == 200, answer.text
        told = answer.json()["answer"]
        return told["status"], told["open_minor"], told["available_minor"]

    card = {"card": {"id": str(shop.card_id)}, "merchant": CAFE}
    of = {"original": "T|1"}
    assert await said("inquire", **card) == ("SETTLED", 0, 100_000)
    assert await said("authorise", key="T|1", amount_minor=10_000, **card) == (
        "PENDING",
        10_000,
        90_000,
    )
    assert await said("increment", amount_minor=5_000, **of) == ("PENDING", 15_000, 85_000)
    assert await said("advise", amount_minor=12_000, **of) == ("PENDING", 12_000, 88_000)
    assert await said("clear", amount_minor=4_000, final=False, **of) == ("PENDING", 8_000, 88_000)
    assert await said("reverse", amount_minor=6_000, **of) == ("PENDING", 2_000, 94_000)
    assert await said("expire", **of) == ("SETTLED", 0, 96_000)
    assert await said("return", amount_minor=4_000, **of) == ("SETTLED", 0, 100_000)
    assert await said("return-reversal", amount_minor=1_000, **of) == ("SETTLED", 0, 99_000)
    assert await said("force", amount_minor=9_000, **card) == ("SETTLED", 0, 90_000)
    assert await said("financial", amount_minor=10_000, **card) == ("SETTLED", 0, 80_000)
    document = (await shop.client.get("/openapi.json")).json()
    listed = {path for path in document["paths"] if path.startswith("/v1/sim")}
    assert listed in (set(), {f"/v1/sim/{verb}" for verb in VERBS})


async def test_a_token_follows_its_card_and_a_lost_answer_makes_no_second(
    shop: Shop, counter: Counter, clock: TurnedClock
) -> None:
    card = {"bank": "ACLEDA", "card_id": str(shop.card_id)}

    async def tokens() -> tuple[int, list[str]]:
        answer = await shop.client.post("/v1/sim/tokenise", json=card)
        if answer.status_code != 200:
            return answer.status_code, []
        return 200, [token["state"] for token in answer.json()["items"]]

    assert await tokens() == (200, [])
    wish = {"card_id": str(shop.card_id), "wallet": "apple", "device_name": "iPhone"}
    await counter.do("card.tokenise", shop.person, **wish)
    await shop.client.post("/v1/sim/faults", json={"lost_answer": 1})
    assert await tokens() == (409, [])
    clock.advance(timedelta(minutes=1))
    assert await tokens() == (200, ["ACTIVE"])
    await counter.freeze(shop.person, shop.card_id)
    assert await tokens() == (200, ["SUSPENDED"])
    await counter.do("card.close", shop.person, card_id=str(shop.card_id))
    assert await tokens() == (200, ["DELETED"])


async def test_every_answer_tells_what_is_left(shop: Shop, counter: Counter) -> None:
    own = {"daily_limit_minor": 30_000, "uses_per_day": 5}
    shop.card_id = await counter.card(shop.person, "KHR", **own)

    def left(answer: dict[str, Any]) -> tuple[int, int]:
        told = answer["answer"] or answer["facts"]
        return told["limit_left_minor"], told["limit_left_count"]

    first = await shop.buy(10_000, key="T|1")
    assert (first["approved"], left(first)) == (True, (20_000, 4))
    over = await shop.buy(25_000)
    assert (over["reason"], left(over)) == ("limit_exceeded", (20_000, 4))
    more = await shop.say("increment", original="T|1", amount_minor=5_000)
    assert left(more.json()) == (15_000, 4)
    card = {"card": {"id": str(shop.card_id)}, "merchant": CAFE}
    taken = await shop.say("financial", amount_minor=5_000, **card)
    assert left(taken.json()) == (10_000, 3)
    assert left((await shop.say("inquire", **card)).json()) == (10_000, 3)
    await shop.say("reverse", original="T|1")
    assert left((await shop.say("inquire", **card)).json()) == (25_000, 4)
    await counter.freeze(shop.person, shop.card_id)
    frozen = await shop.buy(1_000)
    assert (frozen["reason"], left(frozen)) == ("card_frozen", (25_000, 4))


async def test_each_event_has_its_four_amounts(
    shop: Shop, counter: Counter, resources: Resources, clock: TurnedClock
) -> None:
    """The holder's, what is held, the shop's in its own currency, and what is settled."""
    await put_in_force(resources.works, clock, terms.Sort.RATES, RATE)
    shop.card_id = await counter.card(shop.person, "KHR", exchange=True)
    local = {"local_minor": 18_050, "local_currency": "THB"}
    bought = await shop.buy(500, currency="USD", key="T|1", **local)
    assert bought["approved"], bought
    await shop.say("clear", original="T|1", amount_minor=400, currency="USD")
    path = f"/purchases/{bought['answer']['authorisation_id']}"
    found = [
        (
            event["cardholder"]["display"],
            event["hold"]["display"],
            (event["merchant_minor"], event["merchant_currency"]),
            event["settlement"]["display"],
        )
        for event in (await shop.mine(path))["events"]
    ]
    # 5 and 4 dollars at 4,100 and one in a hundred on top, each rounded up once
    assert found == [
        ("20,705 KHR", "20,705 KHR", (18_050, "THB"), "5.00 USD"),
        ("16,564 KHR", "0 KHR", (400, "USD"), "4.00 USD"),
    ]
