"""Story B1 through the doors: a machine asks, the phone claims, and nobody sees a number."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx

from api.resources import Resources
from simulators.atm import AtmAnswer, AtmHost
from tests.wallet.cards.counter import Counter, Person
from tests.wallet.cards.test_at_rest import everything_stored
from wallet.cards.screens import TEXTS, Screen
from wallet.clock import TurnedClock, day_of
from wallet.identifiers import CardId
from wallet.outcomes import Done

SIGNED_IN = {"authorization": f"Bearer {'a' * 43}"}
PLACE = "Phsar Thmei"


def asked(person: Person, clock: TurnedClock, **changed: Any) -> dict[str, Any]:
    return {
        "smart_id_number": person.holder.smart_id_number,
        "pin_verified": True,
        "rrn": "601209000017",
        "stan": "000017",
        "local_date": day_of(clock.now()).isoformat(),
        **changed,
    }


def taken_back(clock: TurnedClock, cause: str = "printer_failed") -> dict[str, Any]:
    return {
        "rrn": "601209000017",
        "stan": "000017",
        "local_date": day_of(clock.now()).isoformat(),
        "cause": cause,
    }


def shown(screen: Screen) -> dict[str, str]:
    text = TEXTS[screen]
    return {"screen": screen.value, "screen_en": text.en, "screen_km": text.km}


async def ask(host: AtmHost, body: dict[str, Any], key: str = "key-1") -> AtmAnswer:
    return await host.post("/v1/atm/cards", body, key=key)


async def test_asked_at_the_machine_claimed_in_the_app(
    host: AtmHost, phone: httpx.AsyncClient, person: Person, counter: Counter, clock: TurnedClock
) -> None:
    answer = await ask(host, asked(person, clock))
    assert answer.status == 201
    slip = answer.body["claim"]
    assert slip["lifetime_s"] == 600
    assert slip["qr_png"].startswith("data:image/png;base64,")
    assert "<svg" in slip["qr_svg"]

    for reference in (slip["reference"], slip["qr_text"].rsplit("/", 1)[1]):
        seen = await phone.get(f"/v1/mobile/card-claims/{reference}", headers=SIGNED_IN)
        assert seen.status_code == 200, seen.text
        assert seen.json()["terminal_name"] == PLACE
        assert seen.json()["claimable"] is True

    card_id = CardId(answer.body["card_id"])
    claimed = await counter.do(
        "card.claim",
        person,
        reference=slip["reference"],
        number_match=slip["number_match"],
    )
    assert isinstance(claimed, Done)
    shown = await phone.get(f"/v1/mobile/cards/{card_id}", headers=SIGNED_IN)
    assert shown.json()["state"] == "ACTIVE"
    assert shown.json()["last_four"] == answer.body["last_four"]
    listed = await phone.get("/v1/mobile/cards", headers=SIGNED_IN)
    assert [card["id"] for card in listed.json()["items"]] == [str(card_id)]
    status = await host.get("/v1/atm/cards/key-1")
    assert status.body["state"] == "ACTIVE"


async def test_b1_1_a_lost_answer_is_asked_for_again_and_is_the_same_card(
    host: AtmHost, person: Person, counter: Counter, clock: TurnedClock
) -> None:
    host.lose_answers = 2
    first = await ask(host, asked(person, clock))
    assert first.status == 201
    assert (await ask(host, asked(person, clock))).body == first.body
    assert (await ask(host, asked(person, clock), key="another-key")).body == first.body
    assert len(await counter.all_cards(person)) == 1


async def test_the_same_key_with_another_body_is_refused(
    host: AtmHost, person: Person, clock: TurnedClock
) -> None:
    await ask(host, asked(person, clock))
    answer = await ask(host, asked(person, clock, currency="USD"))
    assert (answer.status, answer.code) == (422, "idempotency_key_reused")


async def test_the_same_key_for_another_reference_of_the_machine_is_refused(
    host: AtmHost, person: Person, counter: Counter, clock: TurnedClock
) -> None:
    await ask(host, asked(person, clock))
    answer = await ask(host, asked(person, clock, stan="000018"))
    assert (answer.status, answer.code) == (422, "idempotency_key_reused")
    # nor behind a tombstone, where the request would only fill in its key
    back = {**taken_back(clock), "stan": "000019"}
    await host.post("/v1/atm/cards/reverse", back, key="back-1")
    answer = await ask(host, asked(person, clock, stan="000019"))
    assert (answer.status, answer.code) == (422, "idempotency_key_reused")
    assert len(await counter.all_cards(person)) == 1


async def test_two_machines_may_use_the_same_key_and_numbers(
    machine: Callable[[str], AtmHost], person: Person, clock: TurnedClock
) -> None:
    first = await ask(machine("ATM00001"), asked(person, clock))
    second = await ask(machine("ATM00002"), asked(person, clock))
    assert first.status == second.status == 201
    assert first.body["card_id"] != second.body["card_id"]


async def test_b1_7_an_unlisted_terminal_is_refused(
    machine: Callable[[str], AtmHost], person: Person, clock: TurnedClock
) -> None:
    answer = await ask(machine("ATM99999"), asked(person, clock))
    assert (answer.status, answer.code) == (403, "terminal_unknown")


async def test_b1_9_a_replayed_signed_request_has_no_second_effect(
    host: AtmHost, person: Person, counter: Counter, clock: TurnedClock
) -> None:
    import msgspec

    body = msgspec.json.encode(asked(person, clock))
    request = host.signed("POST", "/v1/atm/cards", body, key="key-1")
    assert (await host.send(request)).status == 201
    assert (await host.send(request)).code == "signature_replayed"
    assert len(await counter.all_cards(person)) == 1


async def test_declines_say_nothing_to_a_thief_and_a_paired_phone_is_asked_for(
    host: AtmHost, person: Person, counter: Counter, clock: TurnedClock
) -> None:
    wrong_pin = await ask(host, asked(person, clock, pin_verified=False))
    assert (wrong_pin.status, wrong_pin.code) == (403, "atm_declined")
    assert wrong_pin.body["facts"] == shown(Screen.NOT_POSSIBLE)
    unpaired = await counter.person(paired=False)
    body = asked(unpaired, clock, rrn="601209000018", stan="000018")
    without = await ask(host, body, key="key-2")
    assert (without.status, without.code) == (409, "phone_not_paired")
    assert without.body["facts"] == shown(Screen.PAIR_A_PHONE)
    other = await counter.person(bank="WING")
    body = asked(other, clock, rrn="601209000019", stan="000019")
    elsewhere = await ask(host, body, key="key-3")
    assert elsewhere.body["facts"] == shown(Screen.OTHER_BANK)
    status = await host.get("/v1/atm/cards/key-3")
    assert status.body["declined"] == "atm_declined"


async def test_b1_12_reversed_before_the_claim_and_again(
    host: AtmHost, person: Person, counter: Counter, clock: TurnedClock
) -> None:
    await ask(host, asked(person, clock))
    for key in ("back-1", "back-1", "back-2"):
        answer = await host.post("/v1/atm/cards/reverse", taken_back(clock), key=key)
        assert (answer.status, answer.body) == (200, {"result": "CANCELLED"})
    status = await host.get("/v1/atm/cards/key-1")
    assert (status.body["state"], status.body["reversal"]) == ("REVERSED", "CANCELLED")
    assert await counter.live(person) == []


async def test_a_reversal_that_overtakes_its_request(
    host: AtmHost, person: Person, counter: Counter, clock: TurnedClock
) -> None:
    answer = await host.post("/v1/atm/cards/reverse", taken_back(clock), key="back-1")
    assert answer.body == {"result": "NOTHING_TO_REVERSE"}
    late = await ask(host, asked(person, clock))
    assert (late.status, late.code) == (410, "card_reversed")
    assert await counter.all_cards(person) == []


async def test_a_status_of_nothing_is_not_found(host: AtmHost) -> None:
    answer = await host.get("/v1/atm/cards/never-sent")
    assert (answer.status, answer.code) == (404, "not_found")


async def test_a_body_with_a_field_too_many_or_misshapen_is_refused(
    host: AtmHost, person: Person, clock: TurnedClock
) -> None:
    for place, changed in enumerate(
        ({"cvv": "123"}, {"stan": "17"}, {"rrn": "x"}, {"smart_id_number": "9116"})
    ):
        answer = await ask(host, asked(person, clock, **changed), key=f"key-{place}")
        assert (answer.status, answer.code) == (400, "invalid_request"), changed


async def test_b1_11_no_answer_and_no_row_holds_a_number(
    host: AtmHost,
    phone: httpx.AsyncClient,
    person: Person,
    counter: Counter,
    clock: TurnedClock,
    resources: Resources,
) -> None:
    answer = await ask(host, asked(person, clock))
    slip = answer.body["claim"]
    await counter.do(
        "card.claim", person, reference=slip["reference"], number_match=slip["number_match"]
    )
    card_id = answer.body["card_id"]
    shown = counter.opened(person, await counter.do("card.reveal", person, card_id=card_id))
    said = [str(answer.body)]
    for path in ("cards", f"cards/{card_id}", f"card-claims/{slip['reference']}", "smart-id"):
        said.append((await phone.get(f"/v1/mobile/{path}", headers=SIGNED_IN)).text)
    stored = await everything_stored(resources.works)
    for number in (shown["number"], person.holder.smart_id_number):
        for text in (*said, stored):
            assert number not in text
            assert number.encode().hex() not in text
    assert slip["qr_text"].rsplit("/", 1)[1] not in stored


class TestPhone:
    async def test_freezes_a_card_and_the_smart_id_at_once(
        self, phone: httpx.AsyncClient, person: Person, counter: Counter
    ) -> None:
        card_id = await counter.card(person, "KHR")
        path = f"/v1/mobile/cards/{card_id}/freeze"
        assert (await phone.post(path, headers=SIGNED_IN)).json()["code"] == (
            "idempotency_key_missing"
        )
        for _ in range(2):
            answer = await phone.post(path, headers={**SIGNED_IN, "idempotency-key": "f-1"})
            assert answer.status_code == 200, answer.text
            assert answer.json()["card"]["frozen_by"] == ["HOLDER"]
        answer = await phone.post(
            "/v1/mobile/smart-id/freeze", headers={**SIGNED_IN, "idempotency-key": "f-2"}
        )
        assert answer.json()["smart_id"]["payment_state"] == "FROZEN"
        assert answer.json()["smart_id"]["identity_state"] == "VALID"
        shown = await phone.get(f"/v1/mobile/cards/{card_id}", headers=SIGNED_IN)
        assert shown.json()["frozen_by"] == ["HOLDER", "SMART_ID"]
        smart_id = await phone.get("/v1/mobile/smart-id", headers=SIGNED_IN)
        assert smart_id.json()["last_four"] == person.holder.smart_id_number[-4:]

    async def test_sees_and_freezes_nobody_elses(
        self, phone: httpx.AsyncClient, counter: Counter
    ) -> None:
        other = await counter.person()
        card_id = await counter.card(other, "KHR")
        headers = {**SIGNED_IN, "idempotency-key": "f-1"}
        for answer in (
            await phone.get(f"/v1/mobile/cards/{card_id}", headers=SIGNED_IN),
            await phone.post(f"/v1/mobile/cards/{card_id}/freeze", headers=headers),
            await phone.get("/v1/mobile/card-claims/AAAA-AAAA", headers=SIGNED_IN),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert await counter.state(card_id) == "ACTIVE"

    async def test_reads_its_cards_page_by_page(
        self, phone: httpx.AsyncClient, person: Person, counter: Counter, clock: TurnedClock
    ) -> None:
        made = []
        for _ in range(3):
            made.append(str(await counter.card(person, "KHR")))
            clock.advance(timedelta(minutes=1))
        seen: list[str] = []
        url: str | None = "/v1/mobile/cards?limit=2"
        while url:
            page = (await phone.get(url, headers=SIGNED_IN)).json()
            seen += [card["id"] for card in page["items"]]
            url = f"/v1/mobile/cards?limit=2&cursor={page['next']}" if page["next"] else None
        assert seen == made[::-1]
        broken = await phone.get("/v1/mobile/cards?cursor=x", headers=SIGNED_IN)
        assert broken.json()["code"] == "cursor_invalid"
