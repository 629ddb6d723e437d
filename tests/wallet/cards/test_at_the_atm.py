"""Story B1: a virtual card asked for at an ATM, claimed in the app, reversed, or never claimed."""

import asyncio
from datetime import timedelta

import pytest

from tests.wallet.cards.counter import PLACE, Counter, Person, card_id_of
from wallet.cards import claim, claims
from wallet.cards.presented import books_for
from wallet.cards.rules import CardRules
from wallet.cards.states import CardState, Substatus
from wallet.clock import TurnedClock
from wallet.identifiers import BankId, Secret, luhn_digit
from wallet.money import Currency
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.registry import smart_ids
from wallet.registry.states import IdentityState
from wallet.work import SYSTEM, Work

TEN_MINUTES = timedelta(minutes=10)


def declined(outcome: Outcome, reason: Reason, screen: str) -> None:
    assert isinstance(outcome, Declined), outcome
    assert outcome.reason is reason
    assert outcome.facts == {"screen": screen}


async def audited_why(counter: Counter) -> list[str]:
    async def query(work: Work) -> list[str]:
        rows = await work.rows("select reason from audit where act = 'card.atm_declined'")
        return [row["reason"] for row in rows]

    return await counter.works.read(SYSTEM, None, query)


async def test_asked_claimed_and_paid_with(counter: Counter) -> None:
    person = await counter.person()
    outcome = await counter.at_atm(counter.request(person))
    card_id = card_id_of(outcome)
    assert isinstance(outcome, Done)
    assert outcome.answer["state"] == "ISSUED_PENDING_CLAIM"
    assert outcome.answer["claim_lifetime_s"] == 600
    assert outcome.secret is None
    card = await counter.look(card_id)
    assert (card.state, card.substatus) == (CardState.ISSUED_PENDING_CLAIM, Substatus.NOT_ACTIVE)
    claimed = await counter.claim(person, card_id)
    assert isinstance(claimed, Done)
    assert claimed.answer["card"]["state"] == "ACTIVE"


async def test_before_its_claim_a_card_can_be_neither_shown_nor_frozen(counter: Counter) -> None:
    person = await counter.person()
    card_id = card_id_of(await counter.at_atm(counter.request(person)))
    with pytest.raises(Refused) as caught:
        await counter.prepare("card.reveal", person, card_id=str(card_id))
    assert caught.value.reason is Reason.CARD_NOT_ACTIVE
    assert isinstance(await counter.freeze(person, card_id), Declined)


async def test_the_app_sees_which_machine_and_how_long(counter: Counter) -> None:
    person, other = await counter.person(), await counter.person()
    card_id = card_id_of(await counter.at_atm(counter.request(person)))
    slip = claims.slip_for(counter.vault, card_id, "https://app.smartid.example/claim/")

    async def look(who: Person, reference: str) -> dict[str, object]:
        return await counter.works.read(
            SYSTEM,
            BankId("ACLEDA"),
            lambda w: claim.look_up(w, counter.issuing, who.holder.id, reference),
        )

    for reference in (slip.reference, slip.reference.lower(), slip.qr_text):
        seen = await look(person, reference)
        assert seen["terminal_name"] == PLACE
        assert seen["claimable"] is True
        assert seen["time_left_s"] == 600
    for who, reference in ((other, slip.reference), (person, "AAAA-AAAA"), (person, "x")):
        with pytest.raises(Refused) as caught:
            await look(who, reference)
        assert caught.value.reason is Reason.NOT_FOUND


async def test_b1_1_a_retry_after_a_timeout_gets_the_same_card(counter: Counter) -> None:
    person = await counter.person()
    request = counter.request(person)
    first, again = await counter.at_atm(request), await counter.at_atm(request)
    assert first == again
    assert len(await counter.all_cards(person)) == 1


async def test_b1_1_ten_retries_at_once_get_the_same_card(counter: Counter) -> None:
    person = await counter.person()
    request = counter.request(person)
    outcomes = await asyncio.gather(*(counter.at_atm(request) for _ in range(10)))
    assert len({str(card_id_of(outcome)) for outcome in outcomes}) == 1
    assert len(await counter.all_cards(person)) == 1


async def test_the_same_terminal_reference_for_something_else_is_refused(
    counter: Counter,
) -> None:
    person, other = await counter.person(), await counter.person()
    await counter.at_atm(counter.request(person, stan="000777"))
    for request in (
        counter.request(other, stan="000777"),
        counter.request(person, stan="000777", currency=Currency.USD),
    ):
        with pytest.raises(Refused) as caught:
            await counter.at_atm(request)
        assert caught.value.reason is Reason.IDEMPOTENCY_KEY_REUSED


async def test_b1_2_reversed_before_the_claim_is_cancelled(counter: Counter) -> None:
    person = await counter.person()
    request = counter.request(person)
    card_id = card_id_of(await counter.at_atm(request))
    reversed_ = await counter.reverse(request)
    assert isinstance(reversed_, Done)
    assert reversed_.answer == {"result": "CANCELLED"}
    assert await counter.reverse(request) == reversed_
    assert await counter.state(card_id) == "REVERSED"
    with pytest.raises(Refused) as caught:
        await counter.claim(person, card_id)
    assert caught.value.reason is Reason.CARD_REVERSED
    declined(await counter.at_atm(request), Reason.CARD_REVERSED, "not_possible_contact_bank")


async def test_b1_2_reversed_after_the_claim_is_accepted_the_card_stays_and_a_case_opens(
    counter: Counter,
) -> None:
    person = await counter.person()
    request = counter.request(person)
    card_id = card_id_of(await counter.at_atm(request))
    await counter.claim(person, card_id)
    outcome = await counter.reverse(request)
    assert isinstance(outcome, Done)
    assert outcome.answer["result"] == "STAYS"
    assert await counter.reverse(request) == outcome
    assert await counter.state(card_id) == "ACTIVE"

    async def query(work: Work) -> tuple[list[str], int]:
        cases = await work.rows("select case_number from audit where case_number is not null")
        told = await work.value(
            "select count(*) from events where body->>'cause' = 'atm_reversal_after_claim'"
        )
        return [row["case_number"] for row in cases], told

    cases, told = await counter.works.read(SYSTEM, None, query)
    assert cases == [outcome.answer["case_number"]]
    assert told == 1


async def test_a_reversal_before_its_request_leaves_a_tombstone(counter: Counter) -> None:
    person = await counter.person()
    request = counter.request(person)
    first = await counter.reverse(request)
    assert isinstance(first, Done)
    assert first.answer == {"result": "NOTHING_TO_REVERSE"}
    late = await counter.at_atm(request)
    declined(late, Reason.CARD_REVERSED, "not_possible_contact_bank")
    assert await counter.at_atm(request) == late
    assert await counter.reverse(request) == first
    assert await counter.all_cards(person) == []


async def test_b1_3_another_banks_card_is_told_to_go_to_its_own_machine(counter: Counter) -> None:
    person = await counter.person(bank="CANADIA")
    outcome = await counter.at_atm(counter.request(person))
    declined(outcome, Reason.ATM_DECLINED, "use_your_own_banks_atm")


def test_b1_3_where_the_rule_allows_it_the_issuers_books_decide() -> None:
    number = "91160200" + "0000042"
    number += luhn_digit(number)
    acleda, canadia = BankId("ACLEDA"), BankId("CANADIA")
    assert books_for(CardRules(), acleda, number) == acleda
    assert books_for(CardRules(serves_other_banks=True), acleda, number) == canadia
    assert books_for(CardRules(serves_other_banks=True), acleda, "4111111111111111") == acleda


async def test_b1_4_5_10_wrong_pin_frozen_unknown_and_quota_look_alike_on_the_screen(
    counter: Counter,
) -> None:
    person, frozen, full = [await counter.person(usd=10_000) for _ in range(3)]
    await counter.freeze_smart_id(frozen)
    for _ in range(5):
        await counter.card(full)
    unknown = "911601009999999"
    unknown += luhn_digit(unknown)
    outcomes = [
        await counter.at_atm(counter.request(person, pin_verified=False)),
        await counter.at_atm(counter.request(frozen)),
        await counter.at_atm(counter.request(full)),
        await counter.at_atm(counter.request(person, number=unknown)),
        await counter.at_atm(counter.request(person, number="4111111111111111")),
    ]
    assert len({str(outcome) for outcome in outcomes}) == 1
    declined(outcomes[0], Reason.ATM_DECLINED, "not_possible_contact_bank")
    why = await audited_why(counter)
    assert [reason.split(" (")[0] for reason in why] == [
        "PIN not verified",
        "smart_id_frozen",
        "card_limit_reached",
        "unknown Smart ID",
        "not a Smart ID number",
    ]


async def test_a_declined_request_is_declined_the_same_on_every_repeat(counter: Counter) -> None:
    person = await counter.person()
    await counter.freeze_smart_id(person)
    request = counter.request(person)
    outcome = await counter.at_atm(request)
    await counter.do("smart_id.unfreeze", person)
    assert await counter.at_atm(request) == outcome
    assert isinstance(await counter.at_atm(counter.request(person)), Done)


@pytest.mark.parametrize("state", [IdentityState.EXPIRED, IdentityState.REVOKED])
async def test_b1_5_an_ended_smart_id_gets_no_card(counter: Counter, state: IdentityState) -> None:
    person = await counter.person()

    async def end(work: Work) -> None:
        await smart_ids.advance(work, [person.holder.smart_id_id], state)

    await counter.works.perform(SYSTEM, person.holder.bank, end)
    outcome = await counter.at_atm(counter.request(person))
    declined(outcome, Reason.ATM_DECLINED, "not_possible_contact_bank")


async def test_b1_6_without_a_paired_phone_no_card_is_made_and_the_screen_says_pair_one(
    counter: Counter,
) -> None:
    person = await counter.person(paired=False)
    outcome = await counter.at_atm(counter.request(person))
    declined(outcome, Reason.PHONE_NOT_PAIRED, "pair_a_phone_first")
    assert await counter.all_cards(person) == []
    wrong_pin = await counter.at_atm(counter.request(person, pin_verified=False))
    declined(wrong_pin, Reason.ATM_DECLINED, "not_possible_contact_bank")


async def test_b1_8_a_local_date_far_from_ours_is_refused(counter: Counter) -> None:
    person = await counter.person()
    today = counter.clock.now().date()
    for days in (-2, 2, 365):
        with pytest.raises(Refused) as caught:
            await counter.at_atm(counter.request(person, local_date=today + timedelta(days=days)))
        assert caught.value.reason is Reason.INVALID_REQUEST
    for days in (-1, 0, 1):
        request = counter.request(person, local_date=today + timedelta(days=days))
        assert isinstance(await counter.at_atm(request), Done)


async def test_b1_10_five_machines_at_once_at_the_edge_of_the_quota_leave_five_cards(
    counter: Counter,
) -> None:
    person = await counter.person(usd=10_000, khr=1_000_000)
    for _ in range(4):
        await counter.card(person)
    requests = [counter.request(person) for _ in range(5)]
    outcomes = await asyncio.gather(*(counter.at_atm(request) for request in requests))
    assert all(isinstance(outcome, Done) for outcome in outcomes)
    live = await counter.live(person)
    assert len(live) == 5
    assert sum(card.state is CardState.ISSUED_PENDING_CLAIM for card in live) == 1


async def test_b1_10_an_app_and_a_machine_at_once_make_no_sixth(counter: Counter) -> None:
    person = await counter.person(usd=10_000, khr=1_000_000)
    for _ in range(4):
        await counter.card(person)
    prepared = await counter.prepare("card.create", person, currency="USD")
    outcomes = await asyncio.gather(
        counter.authorise("card.create", person, prepared),
        counter.at_atm(counter.request(person)),
    )
    assert sum(isinstance(outcome, Done) for outcome in outcomes) == 1
    assert len(await counter.live(person)) == 5


async def test_too_many_requests_a_day_are_declined(counter: Counter, clock: TurnedClock) -> None:
    person = await counter.person()
    for _ in range(10):
        assert isinstance(await counter.at_atm(counter.request(person)), Done)
    declined(
        await counter.at_atm(counter.request(person)),
        Reason.ATM_DECLINED,
        "not_possible_contact_bank",
    )
    clock.advance(timedelta(days=1, seconds=1))
    assert isinstance(await counter.at_atm(counter.request(person)), Done)


async def test_b1_12_whoever_walks_away_and_asks_elsewhere_leaves_no_card_behind(
    counter: Counter,
) -> None:
    person = await counter.person()
    first = card_id_of(await counter.at_atm(counter.request(person)))
    second = card_id_of(await counter.at_atm(counter.request(person)))
    assert [await counter.state(card) for card in (first, second)] == [
        "REVERSED",
        "ISSUED_PENDING_CLAIM",
    ]


async def test_another_phone_typed_at_the_machine_is_declined(counter: Counter) -> None:
    person = await counter.person(phone="+85512345678")
    wrong = counter.request(person, phone=Secret("+85512345679"))
    declined(await counter.at_atm(wrong), Reason.ATM_DECLINED, "not_possible_contact_bank")
    right = counter.request(person, phone=Secret("+85512345678"))
    assert isinstance(await counter.at_atm(right), Done)
