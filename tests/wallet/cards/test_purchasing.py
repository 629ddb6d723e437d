"""Stories A3 and A7 where a shop is paid: what a card lets happen, what an approval leaves."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.phones import warm
from tests.wallet.cards.counter import Counter, Person
from wallet.cards import changing, numbers
from wallet.cards.purchasing import (
    Merchant,
    Presented,
    Purchase,
    number_index,
    open_tray,
)
from wallet.cards.states import CardState, Freezer
from wallet.clock import TurnedClock
from wallet.identifiers import BankId, CardId, Secret, new_id
from wallet.money import Money
from wallet.outcomes import Done, Reason
from wallet.registry import holders, smart_ids
from wallet.registry.holders import HolderStatus
from wallet.registry.leaving import leave
from wallet.registry.states import IdentityState, Party
from wallet.work import SYSTEM, Work

CAFE = Merchant(id="KH000000000CAFE", name="Kafé Ânkor")
SHOP = Merchant(id="KH000000000SHOP", name="Phsar Online")
FIVE = Money.usd(500)


def at(merchant: Merchant, money: Money = FIVE, *, recurring: bool = False) -> Purchase:
    return Purchase(money=money, merchant=merchant, recurring=recurring)


async def buy(
    counter: Counter,
    card_id: CardId,
    *purchases: Purchase,
    presented: Presented | None = None,
    thinking_s: float = 0.0,
) -> list[Reason | None]:
    """What each purchase of one group is told; the approved ones are marked."""

    async def act(work: Work) -> list[Reason | None]:
        tray = await open_tray(work, counter.issuing, ids=[card_id])
        told: list[Reason | None] = []
        for purchase in purchases:
            asked = tray.card(card_id)
            assert asked is not None
            card = tray.paying(asked, purchase)
            no = tray.decide(card, purchase, presented)
            told.append(no.reason if no else None)
            if no is None:
                tray.approve(card, purchase, new_id())
        await asyncio.sleep(thinking_s)
        tray.write()
        return told

    return await counter.works.perform(SYSTEM, BankId("ACLEDA"), act)


async def steps(counter: Counter, card_id: CardId) -> Sequence[str]:
    history = await counter.works.read(SYSTEM, None, lambda w: changing.history_of(w, card_id))
    return [str(step["act"]) for step in history]


class TestKinds:
    async def test_an_open_card_pays_anybody_any_number_of_times(self, counter: Counter) -> None:
        card_id = await counter.card(await counter.person())
        assert await buy(counter, card_id, at(CAFE), at(SHOP), at(CAFE)) == [None] * 3

    async def test_a_single_use_card_closes_with_its_first_approval_even_within_a_group(
        self, counter: Counter
    ) -> None:
        card_id = await counter.card(await counter.person(), kind="single_use")
        told = await buy(counter, card_id, at(CAFE), at(CAFE))
        assert told == [None, Reason.CARD_SPENT]
        card = await counter.look(card_id)
        assert card.state is CardState.CLOSED
        assert card.spent_by is not None
        assert await buy(counter, card_id, at(CAFE)) == [Reason.CARD_SPENT]
        assert (await steps(counter, card_id))[-1] == "card.spent"

    async def test_a_single_use_card_raced_by_two_shops_is_paid_once(
        self, counter: Counter
    ) -> None:
        card_id = await counter.card(await counter.person(), kind="single_use")
        await warm(counter.works)
        told = await asyncio.gather(
            *(buy(counter, card_id, at(CAFE), thinking_s=0.05) for _ in range(6))
        )
        assert sorted(str(answer) for [answer] in told).count("None") == 1

    async def test_an_account_check_of_nothing_does_not_use_a_card_up(
        self, counter: Counter
    ) -> None:
        card_id = await counter.card(await counter.person(), kind="single_use")
        assert await buy(counter, card_id, at(CAFE, Money.usd(0)), at(CAFE)) == [None, None]

    async def test_a_locked_card_takes_the_merchant_of_its_first_approval(
        self, counter: Counter
    ) -> None:
        card_id = await counter.card(await counter.person(), kind="merchant_locked")
        told = await buy(counter, card_id, at(CAFE), at(SHOP), at(CAFE))
        assert told == [None, Reason.CARD_MERCHANT_LOCKED, None]
        assert await buy(counter, card_id, at(SHOP)) == [Reason.CARD_MERCHANT_LOCKED]
        view = (await counter.look(card_id)).view(counter.clock.now())
        assert view["merchant"] == CAFE.name

    async def test_a_card_locked_to_a_named_merchant_pays_nobody_else_from_the_first(
        self, counter: Counter
    ) -> None:
        card_id = await counter.card(
            await counter.person(),
            kind="merchant_locked",
            merchant={"id": SHOP.id, "name": SHOP.name},
        )
        told = await buy(counter, card_id, at(CAFE), at(SHOP))
        assert told == [Reason.CARD_MERCHANT_LOCKED, None]

    async def test_a_subscription_card_pays_agreed_charges_of_one_merchant(
        self, counter: Counter
    ) -> None:
        card_id = await counter.card(await counter.person(), kind="recurring")
        told = await buy(
            counter,
            card_id,
            at(CAFE),
            at(CAFE, recurring=True),
            at(SHOP, recurring=True),
            at(CAFE, recurring=True),
        )
        assert told == [
            Reason.CARD_RECURRING_ONLY,
            None,
            Reason.CARD_MERCHANT_LOCKED,
            None,
        ]

    async def test_the_other_currency_only_where_the_holder_signed_for_it(
        self, counter: Counter
    ) -> None:
        person = await counter.person()
        plain = await counter.card(person, currency="KHR")
        assert await buy(counter, plain, at(CAFE)) == [Reason.CARD_CURRENCY_DIFFERS]
        assert await buy(counter, plain, at(CAFE, Money.khr(5_000))) == [None]


class TestStates:
    async def test_each_state_has_its_own_reason(self, counter: Counter) -> None:
        person = await counter.person()
        frozen, closed = await counter.card(person), await counter.card(person)
        await counter.freeze(person, frozen)
        await counter.do("card.close", person, card_id=str(closed))
        waiting = await counter.at_atm(counter.request(person))
        assert isinstance(waiting, Done)
        unclaimed = CardId(UUID(waiting.answer["card_id"]))
        assert await buy(counter, frozen, at(CAFE)) == [Reason.CARD_FROZEN]
        assert await buy(counter, closed, at(CAFE)) == [Reason.CARD_CLOSED]
        assert await buy(counter, unclaimed, at(CAFE)) == [Reason.CARD_UNCLAIMED]

    async def test_an_expired_card_is_expired_before_any_job_says_so(
        self, counter: Counter, clock: TurnedClock
    ) -> None:
        card_id = await counter.card(await counter.person())
        clock.advance(timedelta(days=3 * 365))
        assert await buy(counter, card_id, at(CAFE)) == [Reason.CARD_EXPIRED]

    @pytest.mark.parametrize(
        ("party", "turn", "reason"),
        [
            (Party.HOLDER, smart_ids.freeze_payment, Reason.SMART_ID_FROZEN),
            (Party.BANK, smart_ids.freeze_payment, Reason.SMART_ID_FROZEN),
            (Party.BANK, smart_ids.block, Reason.SMART_ID_NOT_ACTIVE),
        ],
    )
    async def test_what_stops_the_smart_id_stops_its_cards(
        self, counter: Counter, party: Party, turn: Any, reason: Reason
    ) -> None:
        person = await counter.person()
        card_id = await counter.card(person)
        await counter.works.perform(
            SYSTEM,
            person.holder.bank,
            lambda work: turn(work, [person.holder.smart_id_id], by=party),
        )
        assert await buy(counter, card_id, at(CAFE)) == [reason]

    @pytest.mark.parametrize("end", [IdentityState.EXPIRED, IdentityState.REVOKED])
    async def test_a_smart_id_that_ended_ends_its_cards_payments(
        self, counter: Counter, end: IdentityState
    ) -> None:
        person = await counter.person()
        card_id = await counter.card(person)
        await counter.works.perform(
            SYSTEM,
            person.holder.bank,
            lambda work: smart_ids.advance(work, [person.holder.smart_id_id], end),
        )
        assert await buy(counter, card_id, at(CAFE)) == [Reason.SMART_ID_NOT_ACTIVE]

    @pytest.mark.parametrize(
        ("to", "reason"),
        [
            (HolderStatus.LEFT, Reason.SMART_ID_NOT_ACTIVE),
            (HolderStatus.RETIRED, Reason.SMART_ID_NOT_ACTIVE),
            (HolderStatus.DECEASED, Reason.SMART_ID_FROZEN),
        ],
    )
    async def test_a3_5_whoever_leaves_the_service_has_no_paying_cards(
        self, counter: Counter, to: HolderStatus, reason: Reason
    ) -> None:
        person = await counter.person()
        card_id = await counter.card(person)
        for _ in range(2):  # a report sent twice changes nothing more
            await counter.works.perform(
                SYSTEM, person.holder.bank, lambda work: leave(work, [person.holder.id], to)
            )
        assert await buy(counter, card_id, at(CAFE)) == [reason]

    async def test_a_mistaken_report_of_death_is_undone_by_the_bank(self, counter: Counter) -> None:
        person = await counter.person()
        card_id = await counter.card(person)

        async def mistaken(work: Work) -> None:
            await leave(work, [person.holder.id], HolderStatus.DECEASED)
            await holders.advance(work, [person.holder.id], HolderStatus.ACTIVE)
            smart_id_id = person.holder.smart_id_id
            await smart_ids.unfreeze_payment(work, [smart_id_id], by=Party.BANK)

        await counter.works.perform(SYSTEM, person.holder.bank, mistaken)
        assert await buy(counter, card_id, at(CAFE)) == [None]

    async def test_a7_1_a_freeze_racing_purchases_is_before_or_after_each(
        self, counter: Counter
    ) -> None:
        person = await counter.person()
        card_id = await counter.card(person)
        both = await asyncio.gather(
            *(buy(counter, card_id, at(CAFE)) for _ in range(5)),
            counter.freeze_smart_id(person),
            *(buy(counter, card_id, at(CAFE)) for _ in range(5)),
        )
        assert {str(answer[0]) for answer in both if isinstance(answer, list)} <= {
            "None",
            Reason.SMART_ID_FROZEN.value,
        }
        assert await buy(counter, card_id, at(CAFE)) == [Reason.SMART_ID_FROZEN]

    async def test_a_card_of_another_bank_is_not_there(self, counter: Counter) -> None:
        card_id = await counter.card(await counter.person())

        async def act(work: Work) -> object:
            return (await open_tray(work, counter.issuing, ids=[card_id])).card(card_id)

        assert await counter.works.perform(SYSTEM, BankId("WING"), act) is None


class TestDetails:
    async def shown(self, counter: Counter, person: Person, card_id: CardId) -> Presented:
        outcome = await counter.do("card.reveal", person, card_id=str(card_id))
        seen = counter.opened(person, outcome)
        return Presented(
            number=Secret(seen["number"]), expiry=seen["expires"], cvv=Secret(seen["cvv"])
        )

    def wrong(self, right: Presented, **given: Any) -> Presented:
        assert right.cvv is not None
        other = Secret(f"{(int(right.cvv.reveal()) + 500) % 1000:03d}")
        fields = {"number": right.number, "expiry": right.expiry, "cvv": other, **given}
        return Presented(**fields)

    async def test_a_card_is_found_by_its_number_and_paid_with_its_details(
        self, counter: Counter
    ) -> None:
        person = await counter.person()
        card_id = await counter.card(person)
        right = await self.shown(counter, person, card_id)
        index = number_index(counter.vault, right.number)

        async def act(work: Work) -> CardId | None:
            tray = await open_tray(work, counter.issuing, indexes=[index, b"\0" * 32])
            assert tray.by_index(b"\0" * 32) is None
            card = tray.by_index(index)
            assert card is not None
            assert tray.decide(card, at(CAFE), right) is None
            return card.id

        assert await counter.works.perform(SYSTEM, BankId("ACLEDA"), act) == card_id

    async def test_three_wrong_codes_lock_the_code_until_the_card_is_shown_again(
        self, counter: Counter
    ) -> None:
        person = await counter.person()
        card_id = await counter.card(person)
        right = await self.shown(counter, person, card_id)
        told = [
            await buy(counter, card_id, at(CAFE), presented=self.wrong(right)) for _ in range(4)
        ]
        assert told == [[Reason.CARD_DETAILS_WRONG]] * 3 + [[Reason.CARD_DETAILS_LOCKED]]
        assert await buy(counter, card_id, at(CAFE), presented=right) == [
            Reason.CARD_DETAILS_LOCKED
        ]
        again = await self.shown(counter, person, card_id)
        assert await buy(counter, card_id, at(CAFE), presented=again) == [None]
        assert (await steps(counter, card_id)).count("card.cvv_locked") == 1

    async def test_tries_within_one_group_are_counted_one_by_one(self, counter: Counter) -> None:
        person = await counter.person()
        card_id = await counter.card(person)
        right = await self.shown(counter, person, card_id)
        told = await buy(counter, card_id, *[at(CAFE)] * 5, presented=self.wrong(right))
        assert told == [Reason.CARD_DETAILS_WRONG] * 3 + [Reason.CARD_DETAILS_LOCKED] * 2

    async def test_a_right_code_forgets_the_wrong_ones(self, counter: Counter) -> None:
        person = await counter.person()
        card_id = await counter.card(person)
        right = await self.shown(counter, person, card_id)
        for presented in (self.wrong(right), self.wrong(right), right, self.wrong(right)):
            await buy(counter, card_id, at(CAFE), presented=presented)
        assert (await counter.look(card_id)).cvv_failures == 1

    async def test_a_wrong_expiry_is_a_wrong_try(self, counter: Counter) -> None:
        person = await counter.person()
        card_id = await counter.card(person)
        right = await self.shown(counter, person, card_id)
        given = Presented(number=right.number, expiry="02/28", cvv=right.cvv)
        assert await buy(counter, card_id, at(CAFE), presented=given) == [Reason.CARD_DETAILS_WRONG]
        assert (await counter.look(card_id)).cvv_failures == 1

    async def test_the_code_holds_for_its_step_and_one_more(
        self, counter: Counter, clock: TurnedClock
    ) -> None:
        person = await counter.person()
        card_id = await counter.card(person)
        right = await self.shown(counter, person, card_id)
        assert counter.issuing.rules.cvv_step <= timedelta(minutes=10)
        clock.advance(counter.issuing.rules.cvv_step)
        assert await buy(counter, card_id, at(CAFE), presented=right) == [None]
        clock.advance(counter.issuing.rules.cvv_step)
        assert await buy(counter, card_id, at(CAFE), presented=right) == [Reason.CARD_DETAILS_WRONG]

    async def test_guessing_at_a_frozen_card_counts_nothing_and_learns_nothing(
        self, counter: Counter
    ) -> None:
        person = await counter.person()
        card_id = await counter.card(person)
        right = await self.shown(counter, person, card_id)
        await counter.freeze(person, card_id, Freezer.HOLDER)
        told = [
            await buy(counter, card_id, at(CAFE), presented=one)
            for one in (right, self.wrong(right))
        ]
        assert told == [[Reason.CARD_FROZEN]] * 2
        assert (await counter.look(card_id)).cvv_failures == 0
        assert numbers.printed_expiry((await counter.look(card_id)).expires_on) == right.expiry
