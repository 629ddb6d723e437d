"""Stories A3 and A7: a virtual card made, shown, frozen and closed in the app."""

import asyncio
from datetime import date, timedelta

import pytest
from joserfc.errors import JoseError

from tests import world
from tests.wallet.cards.counter import Counter, Person
from wallet.cards import changing, numbers
from wallet.cards.control import expire_due
from wallet.cards.states import MAY_BECOME, CardState, Freezer
from wallet.clock import TurnedClock
from wallet.identifiers import BankId, CardId, Secret, luhn_valid, new_id
from wallet.ledger.statement import balances
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, Reason, Refused
from wallet.registry import smart_ids
from wallet.registry.states import IdentityState, Party
from wallet.work import SYSTEM, Work


async def available(counter: Counter, person: Person, currency: Currency) -> int:
    account = person.holder.usd if currency is Currency.USD else person.holder.khr

    async def query(work: Work) -> int:
        return (await balances(work, [account]))[account].available.minor

    return await counter.works.read(SYSTEM, None, query)


async def test_a_card_is_usable_at_once_and_valid_two_years(counter: Counter) -> None:
    person = await counter.person()
    prepared = await counter.prepare("card.create", person, currency="USD", label="  Netflix ")
    assert "Create card" in prepared.text_en
    assert "បង្កើតកាត" in prepared.text_km
    assert prepared.money is None
    outcome = await counter.authorise("card.create", person, prepared)
    assert isinstance(outcome, Done)
    card = outcome.answer["card"]
    assert card["state"] == "ACTIVE"
    assert card["label"] == "Netflix"
    assert card["expires_on"] == "2028-01-31"
    assert outcome.secret is None


async def test_a3_1_the_sixth_card_is_refused_when_asked_and_declined_when_signed_late(
    counter: Counter,
) -> None:
    person = await counter.person(usd=10_000)
    late = await counter.prepare("card.create", person, currency="USD")
    for _ in range(5):
        await counter.card(person)
    with pytest.raises(Refused) as caught:
        await counter.prepare("card.create", person, currency="KHR")
    assert caught.value.reason is Reason.CARD_LIMIT_REACHED
    outcome = await counter.authorise("card.create", person, late)
    assert isinstance(outcome, Declined)
    assert outcome.reason is Reason.CARD_LIMIT_REACHED
    assert len(await counter.live(person)) == 5


async def test_five_at_once_at_the_edge_of_the_quota_make_one_card(counter: Counter) -> None:
    person = await counter.person(usd=10_000)
    for _ in range(4):
        await counter.card(person)
    prepared = [await counter.prepare("card.create", person, currency="USD") for _ in range(5)]
    outcomes = await asyncio.gather(
        *(counter.authorise("card.create", person, one) for one in prepared)
    )
    assert sum(isinstance(outcome, Done) for outcome in outcomes) == 1
    assert len(await counter.live(person)) == 5
    assert await available(counter, person, Currency.USD) == 10_000 - 2 * 300


async def test_five_in_one_group_at_the_edge_of_the_quota_make_one_card(counter: Counter) -> None:
    person = await counter.person(usd=10_000)
    for _ in range(4):
        await counter.card(person)
    prepared = [await counter.prepare("card.create", person, currency="USD") for _ in range(5)]
    answers = await counter.authorise_all("card.create", [(person, one) for one in prepared])
    assert [isinstance(answer, Done) for answer in answers] == [True, False, False, False, False]
    assert await available(counter, person, Currency.USD) == 10_000 - 2 * 300


async def test_a_closed_card_makes_room_for_another(counter: Counter) -> None:
    person = await counter.person(usd=10_000)
    made = [await counter.card(person) for _ in range(5)]
    assert isinstance(await counter.do("card.close", person, card_id=str(made[0])), Done)
    await counter.card(person)
    assert len(await counter.live(person)) == 5


async def test_the_fourth_card_costs_what_was_shown_and_signed(counter: Counter) -> None:
    person = await counter.person(usd=1_000)
    for _ in range(3):
        await counter.card(person)
    assert await available(counter, person, Currency.USD) == 1_000
    prepared = await counter.prepare("card.create", person, currency="USD")
    assert prepared.money is not None
    assert "3.00 USD" in prepared.text_en
    assert isinstance(await counter.authorise("card.create", person, prepared), Done)
    assert await available(counter, person, Currency.USD) == 700


async def test_a_fee_that_appeared_after_signing_is_not_taken(counter: Counter) -> None:
    person = await counter.person(usd=1_000)
    for _ in range(2):
        await counter.card(person)
    free = await counter.prepare("card.create", person, currency="USD")
    await counter.card(person)
    outcome = await counter.authorise("card.create", person, free)
    assert isinstance(outcome, Declined)
    assert outcome.reason is Reason.CONFLICT
    assert await available(counter, person, Currency.USD) == 1_000
    assert len(await counter.live(person)) == 3


async def test_without_money_for_the_fee_there_is_no_card(counter: Counter) -> None:
    person = await counter.person()
    for _ in range(3):
        await counter.card(person)
    outcome = await counter.do("card.create", person, currency="USD")
    assert isinstance(outcome, Declined)
    assert outcome.reason is Reason.INSUFFICIENT_FUNDS
    assert len(await counter.live(person)) == 3


async def test_a_neighbour_without_money_costs_nobody_else_a_card(counter: Counter) -> None:
    poor, rich = await counter.person(), await counter.person(usd=1_000)
    for person in (poor, rich):
        for _ in range(3):
            await counter.card(person)
    signed = [
        (person, await counter.prepare("card.create", person, currency="USD"))
        for person in (poor, rich)
    ]
    answers = await counter.authorise_all("card.create", signed)
    assert isinstance(answers[0], Declined)
    assert isinstance(answers[1], Done)


@pytest.mark.parametrize("state", [IdentityState.EXPIRED, IdentityState.REVOKED])
async def test_a3_5_an_expired_or_revoked_smart_ids_cards_stop(
    counter: Counter, state: IdentityState
) -> None:
    person = await counter.person()
    card_id = await counter.card(person)
    waiting = await counter.prepare("card.create", person, currency="USD")

    async def end(work: Work) -> None:
        await smart_ids.advance(work, [person.holder.smart_id_id], state)

    await counter.works.perform(SYSTEM, person.holder.bank, end)
    assert await counter.state(card_id) == "FROZEN"
    outcome = await counter.authorise("card.create", person, waiting)
    assert isinstance(outcome, Declined)
    assert outcome.reason is Reason.SMART_ID_NOT_ACTIVE
    with pytest.raises(Refused) as caught:
        await counter.prepare("card.create", person, currency="USD")
    assert caught.value.reason is Reason.SMART_ID_NOT_ACTIVE


async def test_a3_5_a_frozen_smart_id_gets_no_new_card(counter: Counter) -> None:
    person = await counter.person()
    waiting = await counter.prepare("card.create", person, currency="USD")
    await counter.freeze_smart_id(person)
    outcome = await counter.authorise("card.create", person, waiting)
    assert isinstance(outcome, Declined)
    assert outcome.reason is Reason.SMART_ID_FROZEN


@pytest.mark.parametrize(
    ("smart_id_ends", "expected"),
    [
        (date(2030, 1, 5), date(2028, 1, 31)),
        (date(2028, 1, 31), date(2028, 1, 31)),
        (date(2028, 1, 30), date(2027, 12, 31)),
        (date(2026, 3, 1), date(2026, 2, 28)),
        (date(2026, 1, 30), None),
    ],
)
def test_a3_6_no_card_outlives_its_smart_id(smart_id_ends: date, expected: date | None) -> None:
    assert numbers.expiry_for(date(2026, 1, 12), 2, smart_id_ends) == expected


async def test_a_card_ends_with_its_printed_month(counter: Counter, clock: TurnedClock) -> None:
    person = await counter.person()
    card_id = await counter.card(person)
    clock.advance(date(2028, 2, 1) - date(2026, 1, 12) - timedelta(hours=10))
    assert await counter.state(card_id) == "ACTIVE"
    clock.advance(timedelta(hours=1))
    assert await counter.state(card_id) == "EXPIRED"
    done = await counter.works.perform(SYSTEM, BankId("ACLEDA"), lambda w: expire_due(w, 10))
    assert done == 1
    assert (await counter.look(card_id)).state is CardState.EXPIRED


async def test_somebody_without_a_wallet_in_the_currency_is_told(counter: Counter) -> None:
    person = await counter.person()

    async def none(work: Work) -> None:
        await work.execute("update accounts set kind = 'closed_wallet' where id = $1", account)

    account = person.holder.usd
    await counter.works.perform(SYSTEM, person.holder.bank, none)
    with pytest.raises(Refused) as caught:
        await counter.prepare("card.create", person, currency="USD")
    assert caught.value.reason is Reason.WALLET_CURRENCY_MISSING


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"label": "a\u0000b"}, Reason.INVALID_REQUEST),
        ({"daily_limit_minor": 500_001}, Reason.AMOUNT_OUT_OF_RANGE),
        ({"uses_per_day": 31}, Reason.INVALID_REQUEST),
    ],
)
async def test_a_wish_beyond_the_product_is_refused(
    counter: Counter, fields: dict[str, object], reason: Reason
) -> None:
    person = await counter.person()
    with pytest.raises(Refused) as caught:
        await counter.prepare("card.create", person, currency="USD", **fields)
    assert caught.value.reason is reason


class TestShowing:
    async def test_number_expiry_and_check_value_reach_the_signing_phone(
        self, counter: Counter, clock: TurnedClock
    ) -> None:
        person = await counter.person()
        card_id = await counter.card(person)
        outcome = await counter.do("card.reveal", person, card_id=str(card_id))
        shown = counter.opened(person, outcome)
        assert shown["number"].startswith("91160110")
        assert luhn_valid(shown["number"])
        assert shown["number"][-4:] == (await counter.look(card_id)).last_four
        assert shown["expires"] == "01/28"
        assert len(shown["cvv"]) == 3
        assert shown["shown_for_s"] == 60
        rules = counter.issuing.rules
        given = (
            counter.issuing,
            BankId("ACLEDA"),
            Secret(shown["number"]),
            date(2028, 1, 31),
        )
        for later, right in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
            moment = clock.now() + later * rules.cvv_step
            assert right is numbers.check_cvv(*given, moment, shown["cvv"])

    async def test_no_other_phone_can_read_it(self, counter: Counter) -> None:
        person, other = await counter.person(), await counter.person()
        card_id = await counter.card(person)
        outcome = await counter.do("card.reveal", person, card_id=str(card_id))
        with pytest.raises(JoseError):
            counter.opened(other, outcome)

    async def test_somebody_elses_card_is_not_found(self, counter: Counter) -> None:
        person, other = await counter.person(), await counter.person()
        card_id = await counter.card(person)
        for kind in ("card.reveal", "card.unfreeze", "card.close"):
            with pytest.raises(Refused) as caught:
                await counter.prepare(kind, other, card_id=str(card_id))
            assert caught.value.reason is Reason.NOT_FOUND
            prepared = await counter.prepare(kind, person, card_id=str(card_id))
            with pytest.raises(Refused) as caught:
                await counter.authorise(kind, other, prepared)
            assert caught.value.reason is Reason.NOT_FOUND

    async def test_a_frozen_card_is_not_shown_even_when_signed_before(
        self, counter: Counter
    ) -> None:
        person = await counter.person()
        card_id = await counter.card(person)
        signed = await counter.prepare("card.reveal", person, card_id=str(card_id))
        await counter.freeze(person, card_id)
        outcome = await counter.authorise("card.reveal", person, signed)
        assert isinstance(outcome, Declined)
        assert outcome.reason is Reason.CARD_NOT_ACTIVE

    async def test_showing_is_bounded_per_hour_in_groups_too(
        self, counter: Counter, clock: TurnedClock
    ) -> None:
        person = await counter.person()
        card_id = await counter.card(person)
        signed = [
            (person, await counter.prepare("card.reveal", person, card_id=str(card_id)))
            for _ in range(12)
        ]
        answers = await counter.authorise_all("card.reveal", signed)
        assert sum(isinstance(answer, Done) for answer in answers) == 10
        with pytest.raises(Refused) as caught:
            await counter.prepare("card.reveal", person, card_id=str(card_id))
        assert caught.value.reason is Reason.RATE_LIMITED
        clock.advance(timedelta(hours=1))
        assert isinstance(await counter.do("card.reveal", person, card_id=str(card_id)), Done)

    async def test_every_showing_stands_in_the_holders_feed_and_the_history(
        self, counter: Counter
    ) -> None:
        person = await counter.person()
        card_id = await counter.card(person)
        await counter.do("card.reveal", person, card_id=str(card_id))

        async def query(work: Work) -> tuple[int, int, int]:
            return (
                await work.value("select count(*) from events where kind = 'card.revealed'"),
                await work.value("select count(*) from card_changes where act = 'card.reveal'"),
                await work.value("select count(*) from audit where act = 'card.reveal'"),
            )

        assert await counter.works.read(SYSTEM, None, query) == (1, 1, 1)


class TestFreezing:
    async def test_a7_a_frozen_card_comes_back_only_by_a_signed_act(self, counter: Counter) -> None:
        person = await counter.person()
        card_id = await counter.card(person)
        assert isinstance(await counter.freeze(person, card_id), Done)
        assert isinstance(await counter.freeze(person, card_id), Done)
        card = await counter.look(card_id)
        assert card.state is CardState.FROZEN
        assert card.frozen_by == {Freezer.HOLDER}
        assert isinstance(await counter.do("card.unfreeze", person, card_id=str(card_id)), Done)
        assert await counter.state(card_id) == "ACTIVE"

    async def test_what_the_bank_froze_its_holder_cannot_lift(self, counter: Counter) -> None:
        person = await counter.person()
        card_id = await counter.card(person)
        await counter.freeze(person, card_id)
        await counter.freeze(person, card_id, Freezer.BANK)
        assert isinstance(await counter.do("card.unfreeze", person, card_id=str(card_id)), Done)
        assert await counter.state(card_id) == "FROZEN"
        with pytest.raises(Refused) as caught:
            await counter.prepare("card.unfreeze", person, card_id=str(card_id))
        assert caught.value.reason is Reason.FORBIDDEN

    async def test_freezing_the_smart_id_stops_its_cards_and_brings_back_only_its_own(
        self, counter: Counter
    ) -> None:
        person = await counter.person()
        own, free = await counter.card(person), await counter.card(person)
        await counter.freeze(person, own)
        assert isinstance(await counter.freeze_smart_id(person), Done)
        assert [await counter.state(card_id) for card_id in (own, free)] == ["FROZEN", "FROZEN"]
        view = (await counter.look(own)).view(counter.clock.now())
        assert view["frozen_by"] == ["HOLDER", "SMART_ID"]
        with pytest.raises(Refused) as caught:
            await counter.prepare("card.unfreeze", person, card_id=str(free))
        assert caught.value.reason is Reason.SMART_ID_FROZEN
        assert isinstance(await counter.do("smart_id.unfreeze", person), Done)
        assert [await counter.state(card_id) for card_id in (own, free)] == ["FROZEN", "ACTIVE"]

    async def test_a_banks_freeze_of_the_smart_id_stops_cards_and_stays_with_the_bank(
        self, counter: Counter
    ) -> None:
        person = await counter.person()
        card_id = await counter.card(person)

        async def freeze(work: Work) -> None:
            await smart_ids.freeze_payment(work, [person.holder.smart_id_id], by=Party.BANK)

        await counter.works.perform(SYSTEM, person.holder.bank, freeze)
        assert await counter.state(card_id) == "FROZEN"
        with pytest.raises(Refused) as caught:
            await counter.prepare("smart_id.unfreeze", person)
        assert caught.value.reason is Reason.FORBIDDEN

    async def test_salary_lands_on_a_frozen_smart_id(self, counter: Counter) -> None:
        person = await counter.person()
        await counter.freeze_smart_id(person)
        await world.fund(counter.works, "ACLEDA", person.holder.khr, Money.khr(1_309_477))
        assert await available(counter, person, Currency.KHR) == 1_309_477

    async def test_a_closed_card_stays_closed(self, counter: Counter) -> None:
        person = await counter.person()
        card_id = await counter.card(person)
        outcome = await counter.do("card.close", person, card_id=str(card_id), reason="LOST")
        assert isinstance(outcome, Done)
        assert outcome.answer["card"]["substatus"] == "LOST"
        for kind in ("card.close", "card.unfreeze", "card.reveal"):
            with pytest.raises(Refused) as caught:
                await counter.prepare(kind, person, card_id=str(card_id))
            assert caught.value.reason is Reason.CARD_NOT_ACTIVE
        frozen = await counter.freeze(person, card_id)
        assert isinstance(frozen, Declined)

    async def test_freezing_an_unknown_card_is_not_found(self, counter: Counter) -> None:
        person = await counter.person()
        with pytest.raises(Refused) as caught:
            await counter.freeze(person, CardId(new_id()))
        assert caught.value.reason is Reason.NOT_FOUND


async def test_numbers_that_are_taken_are_drawn_again(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter([7, 7, 7, 8])
    monkeypatch.setattr("secrets.randbelow", lambda _: next(drawn))
    person = await counter.person()
    first, second = await counter.card(person), await counter.card(person)
    assert (await counter.look(first)).last_four != (await counter.look(second)).last_four


WALKED = [
    (None, "REQUESTED", None, "app", "holder"),
    ("REQUESTED", "ACTIVE", None, "app", "holder"),
    ("ACTIVE", "FROZEN", "END_USER_REQUEST", "holder", "system"),  # the test's own hand
    ("FROZEN", "ACTIVE", None, "holder", "holder"),
    ("ACTIVE", "CLOSED", "COMPROMISED", "holder", "holder"),
]
"""From, to, why in Lithic's names, at whose wish, by whose hand."""


async def test_every_step_of_a_card_is_in_its_history_and_the_audit(counter: Counter) -> None:
    person = await counter.person()
    card_id = await counter.card(person)
    await counter.freeze(person, card_id)
    await counter.do("card.unfreeze", person, card_id=str(card_id))
    await counter.do("card.close", person, card_id=str(card_id), reason="COMPROMISED")
    history = await counter.works.read(SYSTEM, None, lambda w: changing.history_of(w, card_id))
    fields = ("from_state", "to_state", "substatus", "cause", "actor_kind")
    assert [tuple(step[name] for name in fields) for step in history] == WALKED

    async def query(work: Work) -> tuple[int, int]:
        return (
            await work.value("select count(*) from audit where subject = $1", str(card_id)),
            await work.value("select count(*) from events where kind = 'card.changed'"),
        )

    assert await counter.works.read(SYSTEM, None, query) == (4, 4)


def test_the_state_table_is_closed() -> None:
    assert set(MAY_BECOME) == set(CardState)
    ends = (CardState.CLOSED, CardState.REVERSED, CardState.EXPIRED)
    assert not any(MAY_BECOME[state] for state in ends)
