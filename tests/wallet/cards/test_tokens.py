"""A card in a phone's wallet: made, suspended and deleted with its card, whatever the wire does."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from runtime.token_service import HttpTokenService
from simulators.token_service import TokenBooks, TokenServer
from tests.wallet.cards.counter import Counter, Person
from wallet.cards import tokenising, tokens
from wallet.cards.following import follow
from wallet.cards.token_service import Order, TokenState
from wallet.cards.tokenising import TokenDesk
from wallet.clock import TurnedClock
from wallet.identifiers import BankId, CardId
from wallet.jobs import Again
from wallet.outcomes import Done, Reason, Refused
from wallet.work import SYSTEM

BANK = BankId("ACLEDA")


class Wallets:
    """The token service's server, our adapter to it, and the job run by hand."""

    def __init__(self, counter: Counter, clock: TurnedClock, server: TokenServer) -> None:
        self.counter = counter
        self.clock = clock
        self.server = server
        self.service = HttpTokenService(server.url, answer_s=0.3)
        self.desk = TokenDesk(works=counter.works, vault=counter.vault, service=self.service)

    async def add(self, person: Person, card_id: CardId, **given: Any) -> UUID:
        fields = {"card_id": str(card_id), "wallet": "apple", "device_name": "ទូរស័ព្ទ Sok"}
        outcome = await self.counter.do("card.tokenise", person, **{**fields, **given})
        assert isinstance(outcome, Done), outcome
        return UUID(outcome.answer["token_id"])

    async def settle(self, card_id: CardId) -> None:
        await tokenising.settle(self.desk, BANK, card_id)

    async def settle_at_last(self, card_id: CardId) -> int:
        """As the worker would: again and again; answers how often it had to come back."""
        for times in range(20):
            try:
                await self.settle(card_id)
            except Again:
                self.clock.advance(timedelta(seconds=31))
            else:
                return times
        raise AssertionError("never settled")

    async def ours(self, card_id: CardId) -> list[str]:
        found = await self.counter.works.read(
            SYSTEM, None, lambda work: tokens.of_card(work, card_id)
        )
        return [token.state.value for token in found]

    def theirs(self) -> list[str]:
        return [kept.state for kept in self.server.books.every()]

    async def wanted(self, card_id: CardId) -> int:
        """Jobs waiting for this card's tokens."""
        found: int = await self.counter.works.read(
            SYSTEM,
            None,
            lambda work: work.value(
                "select count(*) from jobs where name = 'card.tokens' and payload->>'card_id' = $1",
                str(card_id),
            ),
        )
        return found


@pytest.fixture
async def wallets(counter: Counter, clock: TurnedClock) -> AsyncIterator[Wallets]:
    async with TokenServer(TokenBooks()) as server:
        wallets = Wallets(counter, clock, server)
        yield wallets
        await wallets.service.close()


async def test_a_token_is_asked_for_active_suspended_and_deleted_with_its_card(
    wallets: Wallets, counter: Counter
) -> None:
    person = await counter.person()
    card_id = await counter.card(person)
    await wallets.add(person, card_id)
    assert await wallets.ours(card_id) == ["REQUESTED"]
    await wallets.settle(card_id)
    assert (await wallets.ours(card_id), wallets.theirs()) == (["ACTIVE"], ["ACTIVE"])
    before = await wallets.wanted(card_id)
    await counter.freeze(person, card_id)
    assert await wallets.wanted(card_id) == before + 1
    await wallets.settle(card_id)
    assert (await wallets.ours(card_id), wallets.theirs()) == (["SUSPENDED"], ["SUSPENDED"])
    await counter.do("card.unfreeze", person, card_id=str(card_id))
    await wallets.settle(card_id)
    assert wallets.theirs() == ["ACTIVE"]
    await counter.do("card.close", person, card_id=str(card_id))
    await wallets.settle(card_id)
    assert (await wallets.ours(card_id), wallets.theirs()) == (["DELETED"], ["DELETED"])


async def test_the_smart_ids_freeze_suspends_the_tokens_of_all_its_cards(
    wallets: Wallets, counter: Counter
) -> None:
    person = await counter.person()
    card_id = await counter.card(person)
    await wallets.add(person, card_id)
    await wallets.settle(card_id)
    before = await wallets.wanted(card_id)
    await counter.freeze_smart_id(person)
    await counter.works.perform(SYSTEM, BANK, lambda work: follow(work, person.holder.id))
    assert await wallets.wanted(card_id) == before + 1
    await wallets.settle(card_id)
    assert wallets.theirs() == ["SUSPENDED"]


@pytest.mark.parametrize("fault", ["lost", "deaf", "down"])
async def test_an_answer_that_is_lost_makes_no_second_token(
    wallets: Wallets, counter: Counter, fault: Any
) -> None:
    person = await counter.person()
    card_id = await counter.card(person)
    await wallets.add(person, card_id)
    wallets.server.faults.append(fault)
    with pytest.raises(Again):
        await wallets.settle(card_id)
    assert await wallets.ours(card_id) == ["REQUESTED"]
    with pytest.raises(Again):
        await wallets.settle(card_id)
    wallets.clock.advance(timedelta(seconds=31))
    await wallets.settle(card_id)
    assert (await wallets.ours(card_id), wallets.theirs()) == (["ACTIVE"], ["ACTIVE"])
    orders = wallets.server.books.every()[0].orders
    assert orders == 1, "what a lost answer had done is looked up, not ordered again"


async def test_a_card_frozen_while_its_token_is_being_made_ends_suspended(
    wallets: Wallets, counter: Counter
) -> None:
    person = await counter.person()
    card_id = await counter.card(person)
    await wallets.add(person, card_id)
    wallets.server.faults.append("lost")
    with pytest.raises(Again):
        await wallets.settle(card_id)
    await counter.freeze(person, card_id)
    await wallets.settle_at_last(card_id)
    assert (await wallets.ours(card_id), wallets.theirs()) == (["SUSPENDED"], ["SUSPENDED"])


async def test_many_changes_and_many_workers_leave_the_token_where_the_card_is(
    wallets: Wallets, counter: Counter
) -> None:
    person = await counter.person()
    card_id = await counter.card(person)
    await wallets.add(person, card_id)
    wallets.server.faults.extend(["lost", "down", "deaf", "lost"])

    async def worker() -> None:
        for _ in range(4):
            try:
                await wallets.settle(card_id)
            except Again:
                await asyncio.sleep(0.01)

    async def holder() -> None:
        for _ in range(3):
            await counter.freeze(person, card_id)
            await counter.do("card.unfreeze", person, card_id=str(card_id))
        await counter.freeze(person, card_id)

    await asyncio.gather(worker(), holder(), worker())
    await wallets.settle_at_last(card_id)
    assert (await wallets.ours(card_id), wallets.theirs()) == (["SUSPENDED"], ["SUSPENDED"])


async def test_an_older_order_that_comes_late_changes_nothing(
    wallets: Wallets, counter: Counter
) -> None:
    person = await counter.person()
    card_id = await counter.card(person)
    token_id = await wallets.add(person, card_id)
    await wallets.settle(card_id)
    kept = wallets.server.books.find(str(token_id))
    assert kept is not None
    late = Order(
        ref=token_id,
        version=kept.version,
        state=TokenState.DELETED,
        wallet="apple",
        last_four=kept.last_four,
        expires_on=(await counter.look(card_id)).expires_on,
    )
    await wallets.service.order(late)
    assert wallets.theirs() == ["ACTIVE"]


async def test_one_phone_is_given_up_and_the_card_goes_on(
    wallets: Wallets, counter: Counter
) -> None:
    person, other = await counter.person(), await counter.person()
    card_id = await counter.card(person)
    first = await wallets.add(person, card_id)
    await wallets.add(person, card_id, wallet="google")
    await wallets.settle(card_id)
    with pytest.raises(Refused) as caught:
        await counter.works.perform(
            SYSTEM, BANK, lambda work: tokens.give_up(work, other.holder.id, first)
        )
    assert caught.value.reason is Reason.NOT_FOUND
    for _ in range(2):
        outcome = await counter.works.perform(
            SYSTEM, BANK, lambda work: tokens.give_up(work, person.holder.id, first)
        )
        assert isinstance(outcome, Done)
    await wallets.settle(card_id)
    assert wallets.theirs() == ["DELETED", "ACTIVE"]
    assert await counter.state(card_id) == "ACTIVE"


async def test_given_up_before_the_service_heard_of_it_it_never_does(
    wallets: Wallets, counter: Counter
) -> None:
    person = await counter.person()
    card_id = await counter.card(person)
    token_id = await wallets.add(person, card_id)
    await counter.works.perform(
        SYSTEM, BANK, lambda work: tokens.give_up(work, person.holder.id, token_id)
    )
    await wallets.settle(card_id)
    assert (await wallets.ours(card_id), wallets.theirs()) == (["DELETED"], [])


async def test_a_frozen_card_and_a_sixth_phone_are_refused(
    wallets: Wallets, counter: Counter
) -> None:
    person = await counter.person()
    card_id = await counter.card(person)
    for _ in range(5):
        await wallets.add(person, card_id)
    with pytest.raises(Refused) as caught:
        await wallets.add(person, card_id)
    assert caught.value.reason is Reason.TOKEN_LIMIT_REACHED
    await counter.freeze(person, card_id)
    with pytest.raises(Refused) as caught:
        await wallets.add(person, card_id)
    assert caught.value.reason is Reason.CARD_FROZEN


async def test_idle_tokens_are_taken_up_again(wallets: Wallets, counter: Counter) -> None:
    person = await counter.person()
    card_id = await counter.card(person)
    await wallets.add(person, card_id)
    assert await tokenising.resume(counter.works, BANK) == 0
    wallets.clock.advance(timedelta(minutes=6))
    assert await tokenising.resume(counter.works, BANK) == 1


async def test_the_number_reaches_the_service_once_and_stays_in_no_table(
    wallets: Wallets, counter: Counter
) -> None:
    person = await counter.person()
    card_id = await counter.card(person)
    await wallets.add(person, card_id)
    outcome = await counter.do("card.reveal", person, card_id=str(card_id))
    number = counter.opened(person, outcome)["number"]
    await wallets.settle(card_id)
    kept = wallets.server.books.every()[0]
    assert kept.last_four == number[-4:]
    assert number not in repr(kept)

    async def everywhere(work: Any) -> list[str]:
        tables = ("card_tokens", "jobs", "events", "audit", "card_changes")
        return [
            str(await work.value(f"select string_agg(t::text, '|') from {table} t"))
            for table in tables
        ]

    assert not any(number in text for text in await counter.works.read(SYSTEM, None, everywhere))
