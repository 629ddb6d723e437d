"""Cards that outlive their number, or the Smart ID they were made with; and the other currency."""

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest

from tests.wallet.cards.counter import Counter, Person
from tests.wallet.cards.test_purchasing import CAFE, SHOP, at, buy
from wallet import exchange, terms
from wallet.cards import rows
from wallet.cards.following import follow
from wallet.cards.funding import Funding, converted, decide_funding
from wallet.cards.purchasing import Purchase, open_tray
from wallet.cards.states import CardState, Freezer
from wallet.clock import TurnedClock
from wallet.exchange import RateSheet
from wallet.identifiers import BankId, CardId, SmartIdId, new_id
from wallet.money import Currency, Money
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.registry import smart_ids
from wallet.registry.states import IdentityState, Party, PaymentState, SmartId
from wallet.terms import Sort
from wallet.work import SYSTEM, Work

BANK = BankId("ACLEDA")


async def replaced(counter: Counter, person: Person, card_id: CardId, **given: Any) -> CardId:
    outcome = await counter.do("card.replace", person, card_id=str(card_id), **given)
    assert isinstance(outcome, Done), outcome
    return CardId(type(card_id)(outcome.answer["card"]["id"]))


async def pays(counter: Counter, card_id: CardId, purchase: Purchase) -> CardId | None:
    """The card that would pay when this one's number is used."""

    async def act(work: Work) -> CardId | None:
        tray = await open_tray(work, counter.issuing, ids=[card_id])
        asked = tray.card(card_id)
        assert asked is not None
        card = tray.paying(asked, purchase)
        return None if tray.decide(card, purchase) else card.id

    return await counter.works.perform(SYSTEM, BANK, act)


class TestReplacing:
    async def test_limits_shop_and_label_survive_and_the_cards_are_linked(
        self, counter: Counter
    ) -> None:
        person = await counter.person()
        old = await counter.card(
            person,
            kind="merchant_locked",
            label="Books",
            per_use_limit_minor=1_000,
            daily_limit_minor=5_000,
            uses_per_day=3,
        )
        await buy(counter, old, at(CAFE))
        new = await replaced(counter, person, old, reason="COMPROMISED")
        was, now = await counter.look(old), await counter.look(new)
        kept = ["kind", "label", "currency", "account_id", "per_use_limit_minor", "lineage"]
        kept += ["daily_limit_minor", "uses_per_day", "locked_merchant", "locked_name"]
        assert [getattr(was, name) for name in kept] == [getattr(now, name) for name in kept]
        assert (was.replaced_by, now.replaces) == (new, old)
        assert (was.state, was.substatus) == (CardState.CLOSED, "COMPROMISED")
        assert await buy(counter, new, at(SHOP)) == [Reason.CARD_MERCHANT_LOCKED]
        assert await buy(counter, new, at(CAFE)) == [None]

    async def test_the_old_number_stops_but_its_subscriptions_go_on(self, counter: Counter) -> None:
        """Visa and Mastercard run account updaters for this; here the chain is the updater."""
        person = await counter.person()
        old = await counter.card(person)
        await buy(counter, old, at(CAFE, recurring=True), at(SHOP))
        middle = await replaced(counter, person, old)
        new = await replaced(counter, person, middle)
        assert await pays(counter, old, at(CAFE, recurring=True)) == new
        assert await pays(counter, old, at(CAFE)) is None
        assert await pays(counter, old, at(SHOP, recurring=True)) is None
        assert await buy(counter, old, at(CAFE)) == [Reason.CARD_REPLACED]
        await counter.freeze(person, new)
        assert await pays(counter, old, at(CAFE, recurring=True)) is None

    async def test_a_replacement_takes_no_place_and_no_fee(self, counter: Counter) -> None:
        person = await counter.person(usd=1_000)
        made = [await counter.card(person) for _ in range(5)]
        prepared = await counter.prepare("card.replace", person, card_id=str(made[0]))
        assert prepared.money is None
        assert isinstance(await counter.authorise("card.replace", person, prepared), Done)
        assert len(await counter.live(person)) == 5

    async def test_two_replacements_at_once_make_one_card(self, counter: Counter) -> None:
        person = await counter.person()
        card_id = await counter.card(person)
        signed = [
            await counter.prepare("card.replace", person, card_id=str(card_id)) for _ in range(4)
        ]
        together = await counter.authorise_all("card.replace", [(person, signed[0])] * 2)
        apart: list[Outcome] = await asyncio.gather(
            *(counter.authorise("card.replace", person, one) for one in signed[2:])
        )
        done = [answer for answer in [*together, *apart] if isinstance(answer, Done)]
        assert len(done) == 1
        assert len(await counter.live(person)) == 1

    async def test_what_the_bank_froze_is_not_escaped_by_a_new_number(
        self, counter: Counter
    ) -> None:
        person, other = await counter.person(), await counter.person()
        card_id = await counter.card(person)
        for who, reason in ((other, Reason.NOT_FOUND), (person, Reason.FORBIDDEN)):
            await counter.freeze(person, card_id, Freezer.BANK)
            with pytest.raises(Refused) as caught:
                await counter.prepare("card.replace", who, card_id=str(card_id))
            assert caught.value.reason is reason
        closed = await counter.card(person)
        await counter.do("card.close", person, card_id=str(closed))
        with pytest.raises(Refused) as caught:
            await counter.prepare("card.replace", person, card_id=str(closed))
        assert caught.value.reason is Reason.CARD_NOT_ACTIVE


class TestAnotherSmartId:
    async def another(self, counter: Counter, person: Person, until: date) -> SmartIdId:
        """The old one is revoked, another becomes valid."""
        new = SmartIdId(new_id())

        async def act(work: Work) -> None:
            await smart_ids.advance(work, [person.holder.smart_id_id], IdentityState.REVOKED)
            fresh = SmartId(
                id=new,
                bank=person.holder.bank,
                holder_id=person.holder.id,
                identity_state=IdentityState.HANDED_OVER,
                payment_state=PaymentState.INACTIVE,
                issued_on=until.replace(year=until.year - 10),
                expires_on=until,
            )
            number = {new: f"911601009{person.holder.smart_id_number[9:]}"}
            sealed = {
                new: smart_ids.SealedNumber(
                    sealed=b"x" * 64, index=number[new].encode(), last_four=number[new][-4:]
                )
            }
            await smart_ids.bring_in(work, [fresh], sealed)
            await smart_ids.advance(work, [new], IdentityState.VALID)

        await counter.works.perform(SYSTEM, person.holder.bank, act)
        return new

    async def test_cards_go_on_under_it_with_all_they_had(self, counter: Counter) -> None:
        person = await counter.person()
        card_id = await counter.card(person, kind="merchant_locked", daily_limit_minor=700)
        await buy(counter, card_id, at(CAFE))
        before = await counter.look(card_id)
        new = await self.another(counter, person, date(2036, 1, 4))
        assert await buy(counter, card_id, at(CAFE)) == [Reason.SMART_ID_NOT_ACTIVE]
        for moved in (1, 0):
            assert moved == await counter.works.perform(
                SYSTEM, BANK, lambda work: follow(work, person.holder.id)
            )
        after = await counter.look(card_id)
        assert (after.smart_id_id, after.last_four) == (new, before.last_four)
        assert after.daily_limit_minor == 700
        assert await buy(counter, card_id, at(CAFE), at(SHOP)) == [
            None,
            Reason.CARD_MERCHANT_LOCKED,
        ]

    async def test_the_change_itself_wants_the_job(self, counter: Counter) -> None:
        person = await counter.person()
        await counter.card(person)
        await self.another(counter, person, date(2036, 1, 4))
        found = await counter.works.read(
            SYSTEM,
            None,
            lambda work: work.value(
                "select count(*) from jobs where name = 'smart_id.changed'"
                " and payload->>'holder_id' = $1",
                str(person.holder.id),
            ),
        )
        assert found == 2

    async def test_cards_on_their_way_count_towards_the_quota(self, counter: Counter) -> None:
        person = await counter.person(usd=10_000)
        for _ in range(5):
            await counter.card(person)
        await self.another(counter, person, date(2036, 1, 4))
        with pytest.raises(Refused) as caught:
            await counter.prepare("card.create", person, currency="USD")
        assert caught.value.reason is Reason.CARD_LIMIT_REACHED

    async def test_a3_6_a_card_that_would_outlive_it_stays_behind(self, counter: Counter) -> None:
        person = await counter.person()
        card_id = await counter.card(person)
        await self.another(counter, person, date(2027, 6, 30))
        await counter.works.perform(SYSTEM, BANK, lambda work: follow(work, person.holder.id))
        assert await buy(counter, card_id, at(CAFE)) == [Reason.SMART_ID_NOT_ACTIVE]

    async def test_its_freeze_and_thaw_reach_cards_that_moved(self, counter: Counter) -> None:
        person = await counter.person()
        card_id = await counter.card(person)
        new = await self.another(counter, person, date(2036, 1, 4))
        await counter.works.perform(SYSTEM, BANK, lambda work: follow(work, person.holder.id))
        for turn, told in (
            (smart_ids.freeze_payment, Reason.SMART_ID_FROZEN),
            (smart_ids.unfreeze_payment, None),
        ):
            await counter.works.perform(
                SYSTEM, BANK, lambda work, turn=turn: turn(work, [new], by=Party.HOLDER)
            )
            assert await buy(counter, card_id, at(CAFE)) == [told]


class TestTheOtherCurrency:
    async def rate(self, counter: Counter, mid: int = 409_850, spread: int = 75) -> None:
        sheet = {"mid_hundredths": mid, "spread_bps": spread}
        await counter.works.perform(
            SYSTEM, BANK, lambda work: terms.establish(work, Sort.RATES, sheet)
        )

    async def test_a3_2_rate_and_fee_are_told_before_and_recorded_after(
        self, counter: Counter
    ) -> None:
        await self.rate(counter)
        person = await counter.person()
        prepared = await counter.prepare("card.create", person, currency="KHR", exchange=True)
        assert "1 USD = 4,098.50 KHR" in prepared.text_en
        assert "0.75%" in prepared.text_km
        assert prepared.facts["spread_bps"] == 75
        outcome = await counter.authorise("card.create", person, prepared)
        assert isinstance(outcome, Done)
        card_id = CardId(type(person.device_id)(outcome.answer["card"]["id"]))
        assert await buy(counter, card_id, at(CAFE)) == [None]

        async def funded(work: Work) -> Funding | Declined:
            card = await rows.by_id(work, card_id)
            assert card is not None
            return decide_funding(
                card, Money.usd(500), (await exchange.rates_of(work)).at(work.now)
            )

        found = await counter.works.read(SYSTEM, BANK, funded)
        assert isinstance(found, Funding)
        assert found.conversion is not None
        # 500 cents at 4,098.50 are 20,492.5 riel, and 0.75 % more are 20,646.19...: both rounded up
        assert found.conversion.gross == Money.khr(20_493)
        assert found.charged == Money.khr(20_647)
        assert found.conversion.fee == Money.khr(154)

    async def test_without_a_rate_it_is_not_promised(self, counter: Counter) -> None:
        person = await counter.person()
        with pytest.raises(Refused) as caught:
            await counter.prepare("card.create", person, currency="KHR", exchange=True)
        assert caught.value.reason is Reason.EXCHANGE_UNAVAILABLE

    @pytest.mark.parametrize("currency", list(Currency))
    @pytest.mark.parametrize("minor", [1, 2, 99, 100, 4_098, 409_850, 10**9])
    @pytest.mark.parametrize("spread", [0, 1, 75, 500])
    def test_nothing_is_paid_short_and_the_parts_add_up(
        self, currency: Currency, minor: int, spread: int
    ) -> None:
        asked = Money(minor, currency)
        found = converted(asked, new_id(), 409_850, spread)
        assert found.conversion is not None
        assert found.charged == found.conversion.gross + found.conversion.fee
        rate = RateSheet(mid_hundredths=409_850, spread_bps=spread)
        worth = found.conversion.gross.minor * (
            10_000 if currency is Currency.USD else rate.mid_hundredths
        )
        cost = minor * (rate.mid_hundredths if currency is Currency.USD else 10_000)
        assert 0 <= worth - cost < (10_000 if currency is Currency.USD else rate.mid_hundredths)
        assert found.conversion.fee.minor * 10_000 <= found.conversion.gross.minor * spread + 10_000


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"merchant": {"id": "SHOP1", "name": "Shop"}}, Reason.INVALID_REQUEST),
        (
            {"kind": "recurring", "merchant": {"id": "SHOP1", "name": "a\u0007b"}},
            Reason.INVALID_REQUEST,
        ),
        ({"kind": "recurring", "merchant": {"id": "SHOP1", "name": " "}}, Reason.INVALID_REQUEST),
    ],
)
async def test_a_merchant_is_named_only_where_a_card_locks(
    counter: Counter, fields: dict[str, object], reason: Reason
) -> None:
    person = await counter.person()
    with pytest.raises(Refused) as caught:
        await counter.prepare("card.create", person, currency="USD", **fields)
    assert caught.value.reason is reason


async def test_a_replaced_cards_month_is_reckoned_anew(
    counter: Counter, clock: TurnedClock
) -> None:
    person = await counter.person()
    old = await counter.card(person)
    clock.advance(timedelta(days=400))
    new = await replaced(counter, person, old, reason="EXPIRED")
    assert (await counter.look(new)).expires_on > (await counter.look(old)).expires_on
