"""User story B1, and what of A3 happens at a machine, told through a cash machine with faults.

OK: the machine reads the Smart ID, its bank checks the PIN, a card waits in its owner's app within
three seconds, and the machine never learns number or check value. Then each bad case by its number
in the facts.
"""

import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.resources import Resources
from simulators.atm import AtmHost
from simulators.atm_machine import CardKeptError, CashMachine, Fault, PlasticCard, Visit
from tests.wallet.cards.counter import Counter, Person
from wallet.access import atm_hosts
from wallet.cards import claims
from wallet.cards.screens import TEXTS, Screen
from wallet.cards.states import Freezer
from wallet.clock import TurnedClock
from wallet.identifiers import BankId, CardId
from wallet.outcomes import Declined, Done, Reason, Refused
from wallet.work import SYSTEM, Work

PIN = "4821"
SIGNED_IN = {"authorization": f"Bearer {'a' * 43}"}
RIEL = 100_000
FEE = 12_000


@pytest.fixture
def atm(host: AtmHost, clock: TurnedClock) -> CashMachine:
    return CashMachine(host, clock.now)


@pytest.fixture
def card(person: Person) -> PlasticCard:
    return PlasticCard(person.holder.smart_id_number, PIN)


def said(screen: Screen) -> str:
    return f"{TEXTS[screen].km}\n{TEXTS[screen].en}"


async def claim(counter: Counter, person: Person, visit: Visit) -> Any:
    assert visit.answer is not None
    slip = visit.answer.body["claim"]
    return await counter.do(
        "card.claim", person, reference=slip["reference"], number_match=slip["number_match"]
    )


async def states(counter: Counter, person: Person) -> list[str]:
    return [card.standing(counter.clock.now()).value for card in await counter.all_cards(person)]


async def riel(counter: Counter, person: Person) -> int:
    async def read(work: Work) -> int:
        left: int = await work.value(
            "select (credits_posted - debits_posted)::bigint from accounts where id = $1",
            person.holder.khr,
        )
        return left

    return await counter.works.read(SYSTEM, None, read)


async def test_ok_asked_at_the_machine_claimed_in_the_app(
    atm: CashMachine, card: PlasticCard, person: Person, counter: Counter, phone: httpx.AsyncClient
) -> None:
    began = time.perf_counter()
    visit = await atm.virtual_card(card, PIN)
    assert time.perf_counter() - began < 3
    made = visit.card
    assert made is not None
    assert atm.screens == [said(Screen.CLAIM_IN_APP), made["claim"]["number_match"]]
    # the app knows at once that a card waits, and from which machine
    waits = await phone.get(
        f"/v1/mobile/card-claims/{made['claim']['reference']}", headers=SIGNED_IN
    )
    assert waits.json()["terminal_name"] == "Phsar Thmei"
    assert isinstance(await claim(counter, person, visit), Done)
    assert await states(counter, person) == ["ACTIVE"]
    status = (await atm.status(visit)).body
    assert (status["state"], status["last_four"]) == ("ACTIVE", made["last_four"])
    assert status["printed_at"] is not None


async def test_b1_1_answers_lost_on_the_line_are_the_same_card(
    atm: CashMachine, card: PlasticCard, person: Person, counter: Counter
) -> None:
    atm.host.lose_answers = 3
    visit = await atm.virtual_card(card, PIN)
    assert visit.card is not None
    assert (await atm.retry(visit, card, PIN)).body == visit.card
    assert len(await counter.all_cards(person)) == 1


async def test_b1_1_no_answer_at_all_is_taken_back_and_no_card_is_left(
    atm: CashMachine, card: PlasticCard, person: Person, counter: Counter
) -> None:
    atm.host.lose_answers = 6
    visit = await atm.virtual_card(card, PIN)
    assert (visit.answer, visit.card) == (None, None)
    assert visit.reversal is not None
    assert visit.reversal.body == {"result": "CANCELLED"}
    assert await states(counter, person) == ["REVERSED"]
    assert (await atm.retry(visit, card, PIN)).code == "card_reversed"


async def test_b1_2_taken_back_unclaimed_costs_nothing_and_claimed_it_stays_with_a_case(
    atm: CashMachine, card: PlasticCard, person: Person, counter: Counter
) -> None:
    for _ in range(3):
        await counter.card(person, "KHR")
    atm.faults = [Fault.PRINTER_JAMS]
    gone = await atm.virtual_card(card, PIN)
    with pytest.raises(Refused) as caught:
        await claim(counter, person, gone)
    assert caught.value.reason is Reason.CARD_REVERSED
    assert await riel(counter, person) == RIEL, "the fee is the claim's: there is none to give back"
    kept = await atm.virtual_card(card, PIN)
    assert isinstance(await claim(counter, person, kept), Done)
    assert await riel(counter, person) == RIEL - FEE
    late = await atm.take_back(kept)
    assert late.body["result"] == "STAYS"
    assert re.fullmatch(r"VC-[0-9A-F]{10}", late.body["case_number"])
    assert await riel(counter, person) == RIEL - FEE
    assert (await atm.status(kept)).body["state"] == "ACTIVE"


async def test_b1_3_another_banks_card_is_sent_to_its_own_machine(
    atm: CashMachine, counter: Counter
) -> None:
    for bank in ("CANADIA", "WING"):
        other = await counter.person(bank=bank)
        visit = await atm.virtual_card(PlasticCard(other.holder.smart_id_number, PIN), PIN)
        assert visit.answer is not None
        assert (visit.answer.status, visit.answer.code) == (403, "atm_declined")
        assert atm.screens[-1] == said(Screen.OTHER_BANK)
        assert await counter.all_cards(other) == []


async def test_b1_4_the_third_wrong_pin_keeps_the_card(
    atm: CashMachine, card: PlasticCard, person: Person, counter: Counter
) -> None:
    for _ in range(2):
        await atm.virtual_card(card, "0000")
        assert atm.screens[-1] == said(Screen.NOT_POSSIBLE)
    with pytest.raises(CardKeptError):
        await atm.virtual_card(card, "0000")
    with pytest.raises(CardKeptError):
        await atm.virtual_card(card, PIN)
    assert await counter.all_cards(person) == []


async def test_b1_5_a_frozen_smart_id_gets_none_and_unfrozen_it_does(
    atm: CashMachine, card: PlasticCard, person: Person, counter: Counter
) -> None:
    await counter.freeze_smart_id(person)
    assert (await atm.virtual_card(card, PIN)).card is None
    assert atm.screens[-1] == said(Screen.NOT_POSSIBLE)
    await counter.do("smart_id.unfreeze", person)
    assert (await atm.virtual_card(card, PIN)).card is not None


async def test_b1_5_frozen_between_the_slip_and_the_claim(
    atm: CashMachine, card: PlasticCard, person: Person, counter: Counter
) -> None:
    visit = await atm.virtual_card(card, PIN)
    await counter.freeze_smart_id(person)
    with pytest.raises(Refused) as caught:
        await claim(counter, person, visit)
    assert caught.value.reason is Reason.SMART_ID_FROZEN


async def test_b1_6_no_paired_phone_no_card_and_the_way_to_pair_one_there_and_then(
    atm: CashMachine, counter: Counter, phone: httpx.AsyncClient
) -> None:
    alone = await counter.person(paired=False)
    card = PlasticCard(alone.holder.smart_id_number, PIN)
    visit = await atm.virtual_card(card, PIN)
    assert visit.answer is not None
    assert (visit.answer.code, visit.card) == ("phone_not_paired", None)
    assert atm.screens[-1] == said(Screen.PAIR_A_PHONE)
    assert await counter.all_cards(alone) == []
    shown = await phone.post(
        "/v1/mobile/pairings",
        json={"public_key": _base64url(alone.point)},
        headers={"idempotency-key": "pair"},
    )
    code = shown.json()["code"]
    confirmed = await atm.at_the_menu("pairings/confirm", card, PIN, code=code)
    assert confirmed.body["state"] == "CONFIRMED"


def _base64url(point: bytes) -> str:
    import base64

    return base64.urlsafe_b64encode(point).rstrip(b"=").decode()


async def test_b1_7_a_terminal_unknown_or_taken_off_the_list(
    machine: Callable[[str], AtmHost],
    atm: CashMachine,
    card: PlasticCard,
    resources: Resources,
    clock: TurnedClock,
    person: Person,
    counter: Counter,
) -> None:
    stray = CashMachine(machine("ATM99999"), clock.now)
    visit = await stray.virtual_card(card, PIN)
    assert visit.answer is not None
    assert visit.answer.code == "terminal_unknown"
    assert (await atm.virtual_card(card, PIN)).card is not None
    await resources.works.perform(
        SYSTEM, None, lambda work: atm_hosts.remove_terminal(work, BankId("ACLEDA"), "ATM00001")
    )
    visit = await atm.virtual_card(card, PIN)
    assert visit.answer is not None
    assert visit.answer.code == "terminal_unknown"
    assert len(await counter.all_cards(person)) == 1


async def test_b1_7_a_strangers_key_signs_nothing(
    atm: CashMachine, card: PlasticCard, person: Person, counter: Counter
) -> None:
    atm.host.key = Ed25519PrivateKey.generate()
    visit = await atm.virtual_card(card, PIN)
    assert visit.answer is not None
    assert visit.answer.code == "signature_invalid"
    assert await counter.all_cards(person) == []


async def test_b1_8_a_host_or_a_machine_whose_clock_is_wrong(
    atm: CashMachine, card: PlasticCard, person: Person, counter: Counter
) -> None:
    for wrong in (timedelta(minutes=-3), timedelta(minutes=3)):
        atm.host.clock_wrong_by = wrong
        visit = await atm.virtual_card(card, PIN)
        assert visit.answer is not None
        assert visit.answer.code == "signature_stale"
    atm.host.clock_wrong_by = timedelta(seconds=20)
    assert (await atm.virtual_card(card, PIN)).card is not None
    atm.clock_wrong_by = timedelta(days=40)
    visit = await atm.virtual_card(card, PIN)
    assert visit.answer is not None
    assert visit.answer.code == "invalid_request"
    atm.clock_wrong_by = timedelta(hours=-20)
    assert (await atm.virtual_card(card, PIN)).card is not None, "a day either side is served"
    assert (await states(counter, person)).count("ISSUED_PENDING_CLAIM") == 1


async def test_b1_10_quota_and_requests_a_day_look_like_everything_else(
    atm: CashMachine, card: PlasticCard, person: Person, counter: Counter
) -> None:
    for _ in range(10):
        assert (await atm.virtual_card(card, PIN)).card is not None
    assert (await atm.virtual_card(card, PIN)).card is None
    assert atm.screens[-1] == said(Screen.NOT_POSSIBLE)
    assert (await states(counter, person)).count("ISSUED_PENDING_CLAIM") == 1
    rich = await counter.person(khr=RIEL)
    for _ in range(5):
        await counter.card(rich, "KHR")
    assert (await atm.virtual_card(PlasticCard(rich.holder.smart_id_number, PIN), PIN)).card is None
    assert atm.screens[-1] == said(Screen.NOT_POSSIBLE)


async def test_b1_11_the_slip_leads_nobody_but_its_owner_anywhere(
    atm: CashMachine, card: PlasticCard, person: Person, counter: Counter
) -> None:
    visit = await atm.virtual_card(card, PIN)
    assert visit.card is not None
    [slip] = atm.slips
    assert not re.search(r"\d{13,19}", re.sub(r"RRN \d+", "", slip).replace(" ", ""))
    assert card.number not in slip
    assert f"\n{visit.card['claim']['number_match']}\n" not in slip, (
        "two digits: on the screen only"
    )
    finder = await counter.person()
    with pytest.raises(Refused) as caught:
        await claim(counter, finder, visit)
    assert caught.value.reason is Reason.NOT_FOUND
    reference = visit.card["claim"]["reference"]
    right = visit.card["claim"]["number_match"]
    wrong = f"{(int(right) + 1) % 100:02d}"
    for left in (4, 3, 2, 1, 0):
        no = await counter.do("card.claim", person, reference=reference, number_match=wrong)
        assert isinstance(no, Declined)
        assert no.facts == {"tries_left": left}
    assert await states(counter, person) == ["EXPIRED"]


@pytest.mark.parametrize("fault", list(Fault))
async def test_b1_11_12_jammed_walked_away_or_broken_no_card_stays_and_nothing_is_printed(
    atm: CashMachine, card: PlasticCard, person: Person, counter: Counter, fault: Fault
) -> None:
    atm.faults = [fault]
    visit = await atm.virtual_card(card, PIN)
    assert visit.reversal is not None
    assert visit.reversal.body == {"result": "CANCELLED"}
    assert (await atm.status(visit)).body["reversal"] == "CANCELLED"
    assert atm.slips == []
    assert await states(counter, person) == ["REVERSED"]
    assert (await atm.virtual_card(card, PIN)).card is not None, "the next try is a new request"


async def test_b1_12_no_word_from_the_machine_ends_with_the_claims_exact_moment(
    atm: CashMachine, card: PlasticCard, person: Person, counter: Counter, clock: TurnedClock
) -> None:
    visit = await atm.virtual_card(card, PIN)
    clock.advance(timedelta(minutes=10) - timedelta(microseconds=1))
    assert await states(counter, person) == ["ISSUED_PENDING_CLAIM"]
    clock.advance(timedelta(microseconds=1))
    assert await states(counter, person) == ["EXPIRED"]
    with pytest.raises(Refused) as caught:
        await claim(counter, person, visit)
    assert caught.value.reason is Reason.CARD_CLAIM_EXPIRED
    assert (await atm.take_back(visit)).body == {"result": "CANCELLED"}


async def test_a_phone_typed_at_the_machine_must_be_the_one_on_file_and_is_sent_nothing(
    atm: CashMachine, counter: Counter
) -> None:
    known = await counter.person(phone="+85512345678")
    card = PlasticCard(known.holder.smart_id_number, PIN)
    assert (await atm.virtual_card(card, PIN, phone="+85512345679")).card is None
    assert atm.screens[-1] == said(Screen.NOT_POSSIBLE)
    assert (await atm.virtual_card(card, PIN, phone="+85512345678")).card is not None

    async def sent(work: Work) -> int:
        count: int = await work.value("select count(*)::int from jobs where name like '%sms%'")
        return count

    assert await counter.works.read(SYSTEM, None, sent) == 0


# A3, where it meets the machine


async def test_a3_1_the_sixth_card_is_refused_when_five_were_made_before_the_claim(
    atm: CashMachine, card: PlasticCard, person: Person, counter: Counter
) -> None:
    for _ in range(4):
        await counter.card(person, "KHR")
    visit = await atm.virtual_card(card, PIN)
    with pytest.raises(Refused) as caught:
        await counter.card(person, "KHR")
    assert caught.value.reason is Reason.CARD_LIMIT_REACHED
    assert isinstance(await claim(counter, person, visit), Done)
    assert (await states(counter, person)).count("ACTIVE") == 5


async def test_a3_5_a_claimed_card_stops_with_its_smart_id_and_goes_on_with_it(
    atm: CashMachine, card: PlasticCard, person: Person, counter: Counter
) -> None:
    await claim(counter, person, await atm.virtual_card(card, PIN))
    await counter.freeze_smart_id(person)
    assert await states(counter, person) == ["FROZEN"]
    [frozen] = await counter.all_cards(person)
    assert frozen.frozen_now == frozenset({Freezer.SMART_ID})
    await counter.do("smart_id.unfreeze", person)
    assert await states(counter, person) == ["ACTIVE"]


async def test_a3_6_a_card_of_the_machine_does_not_outlive_the_smart_id(
    atm: CashMachine, card: PlasticCard, person: Person, counter: Counter
) -> None:
    visit = await atm.virtual_card(card, PIN)
    assert visit.card is not None
    [made] = await counter.all_cards(person)

    async def until(work: Work) -> Any:
        return await work.value(
            "select expires_on from smart_ids where id = $1", person.holder.smart_id_id
        )

    assert made.expires_on <= await counter.works.read(SYSTEM, None, until)
    assert visit.card["expires_on"] == made.expires_on.isoformat()
    slip = claims.slip_for(counter.vault, CardId(made.id), "x/")
    assert visit.card["claim"]["reference"] == slip.reference
