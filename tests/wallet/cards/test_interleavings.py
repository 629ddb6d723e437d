"""Whatever happens in whatever order at once; and what is found in the database afterwards."""

import asyncio
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wallet.cards.counter import ATM, Counter, Person, card_id_of
from wallet.cards import atm, claims
from wallet.cards.atm import AtmCardRequest
from wallet.cards.states import CardState
from wallet.identifiers import BankId, CardId
from wallet.outcomes import Done, Outcome, Refused
from wallet.work import SYSTEM, Work, Works

STEPS = st.sampled_from(["ask", "ask", "reverse", "claim", "wait", "lapse"])
BURSTS = st.lists(st.lists(STEPS, min_size=1, max_size=4), min_size=1, max_size=5)


class _Run:
    """One person, one request, and everything that can happen to it, some of it at once."""

    def __init__(self, counter: Counter, person: Person) -> None:
        self.counter = counter
        self.person = person
        self.request: AtmCardRequest = counter.request(person)
        self.made: set[CardId] = set()
        self.reversals: list[Outcome] = []
        self.claimed = 0

    async def step(self, name: str) -> None:
        card_id = next(iter(self.made), None)
        if name == "ask":
            outcome = await self.counter.at_atm(self.request)
            if isinstance(outcome, Done):
                self.made.add(card_id_of(outcome))
        elif name == "reverse":
            self.reversals.append(await self.counter.reverse(self.request))
        elif name == "wait":
            self.counter.clock.advance(timedelta(minutes=4))
        elif card_id is not None and name == "lapse":
            await self.counter.lapse(card_id)
        elif card_id is not None:
            try:
                claimed = await self.counter.claim(self.person, card_id)
            except Refused:
                return
            self.claimed += isinstance(claimed, Done)

    async def check(self) -> None:
        cards = await self.counter.all_cards(self.person)
        live = await self.counter.live(self.person)
        assert len(cards) <= 1
        assert self.made == {card.id for card in cards}
        assert self.claimed <= 1
        results = {str(outcome) for outcome in self.reversals}
        assert len(results) <= 1, "every repeat of a reversal is answered the same"
        if self.claimed:
            assert [card.state for card in live] == [CardState.ACTIVE]
            assert "CANCELLED" not in str(results)
        elif self.reversals:
            assert live == []
            assert "STAYS" not in str(results)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(bursts=BURSTS)
async def test_any_interleaving_leaves_one_live_card_or_none(
    counter: Counter, bursts: list[list[str]]
) -> None:
    run = _Run(counter, await counter.person())
    for burst in bursts:
        await asyncio.gather(*(run.step(name) for name in burst))
        await run.check()


async def test_number_and_check_value_are_nowhere_in_the_database(
    counter: Counter, works: Works
) -> None:
    person = await counter.person()
    in_app = await counter.card(person)
    request = counter.request(person)

    async def act(work: Work) -> Outcome:
        return await atm.create_at_atm(work, counter.issuing, request)

    outcome, _ = await works.perform_once(
        ATM, BankId("ACLEDA"), "atm.cards", "key-1", b"digest", act
    )
    from_atm = card_id_of(outcome)
    await counter.claim(person, from_atm)
    secrets = [person.holder.smart_id_number]
    for card_id in (in_app, from_atm):
        revealed = await counter.do("card.reveal", person, card_id=str(card_id))
        shown = counter.opened(person, revealed)
        secrets.append(shown["number"])
        await counter.freeze(person, card_id)
    await counter.reverse(request)
    text = await everything_stored(works)
    assert "ISSUED_PENDING_CLAIM" in text
    for secret in secrets:
        for form in (secret, secret.encode().hex(), secret[:6] + secret[6:12]):
            assert form not in text
    assert '"cvv"' not in text
    slip = claims.slip_for(counter.vault, from_atm, "")
    assert slip.qr_text not in text
    assert slip.reference not in text


async def everything_stored(works: Works) -> str:
    """Every row of every table as text."""

    async def query(work: Work) -> str:
        tables = await work.rows(
            "select relname from pg_class where relkind = 'r'"
            " and relnamespace = 'public'::regnamespace and has_table_privilege(oid, 'select')"
        )
        found = []
        for table in tables:
            rows = await work.rows(f'select t::text as line from "{table["relname"]}" t')
            found += [row["line"] for row in rows]
        return "\n".join(found)

    return await works.read(SYSTEM, None, query)
