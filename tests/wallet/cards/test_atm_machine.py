"""One ATM card whatever happens: Hypothesis drives the real acts over a real database.

A person stands at two machines with one phone. Requests, retries, reversals, claims, confirmations,
expiry and crashes come in any order, some of them at once on connections of their own. A model
remembers what was promised to whom; after every step the tables agree with it. The long form is
`pytest -m long`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec import Struct, field

from tests.conftest import FIRST_MOMENT, url_of
from tests.phones import warm
from tests.wallet.cards.counter import ATM, Counter, Person, card_id_of
from wallet.access.intents import Prepared
from wallet.cards import atm, claims, proof, undo
from wallet.cards.atm import AtmCardRequest
from wallet.cards.rules import CardRules
from wallet.cards.states import CardState
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.identifiers import BankId, CardId, new_id
from wallet.outcomes import Declined, Done, Outcome, Reason, Refused
from wallet.vault import Vault
from wallet.work import SYSTEM, Work, Works

ACLEDA = BankId("ACLEDA")
MONEY = 100_000
FREE = 3
FEE = 12_000
"""The fourth card's, in riel: by the programme's own fee sheet."""
MACHINES = st.sampled_from([0, 1])
SELDOM = st.sampled_from([False, False, False, True])
STEPS = st.sampled_from(["ask", "ask", "reverse", "claim", "claim", "lapse", "confirm"])


class Crashed(Exception):
    """The process died before its commit."""


class Said(Struct):
    """What was promised about one machine's request: none of it may be taken back."""

    request: AtmCardRequest
    cards: set[CardId] = field(default_factory=set)
    declined: set[Reason] = field(default_factory=set)
    reversals: set[str] = field(default_factory=set)
    printed: set[str] = field(default_factory=set)
    claims: int = 0


class AtmMachine(RuleBasedStateMachine):
    """The rules; `loop`, `works`, `clock` and `vault` are set by whoever runs it."""

    loop: asyncio.AbstractEventLoop
    works: Works
    clock: TurnedClock
    vault: Vault

    def run(self, doing: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(doing)

    @initialize()
    def somebody_comes(self) -> None:
        self.counter = Counter(self.works, self.vault, self.clock, CardRules())
        self.person: Person = self.run(self.counter.person(khr=MONEY))
        self.own = [self.run(self.counter.card(self.person, "KHR")) for _ in range(FREE)]
        self.said = [Said(self._request(place)) for place in (0, 1)]

    def _request(self, place: int) -> AtmCardRequest:
        stan = new_id().hex[-6:]
        digits = f"{int(stan, 16) % 1_000_000:06d}"
        return self.counter.request(self.person, stan=digits, idempotency_key=str(new_id()))

    # one act at a time, whole or cut off

    @rule(place=MACHINES, crash=SELDOM, lost=SELDOM)
    def ask(self, place: int, crash: bool, lost: bool) -> None:
        self.run(self._ask(self.said[place], crash=crash, lost=lost))

    @rule(place=MACHINES, crash=SELDOM)
    def reverse(self, place: int, crash: bool) -> None:
        self.run(self._reverse(self.said[place], crash=crash))

    @rule(place=MACHINES, crash=SELDOM)
    def claim(self, place: int, crash: bool) -> None:
        self.run(self._claim(self.said[place], crash=crash))

    @rule(place=MACHINES, crash=SELDOM)
    def confirm(self, place: int, crash: bool) -> None:
        self.run(self._confirm(self.said[place], crash=crash))

    @rule(place=MACHINES)
    def lapse(self, place: int) -> None:
        self.run(self._lapse(self.said[place]))

    @rule(minutes=st.sampled_from([1, 1, 4, 10]))
    def time_goes_by(self, minutes: int) -> None:
        self.clock.advance(timedelta(minutes=minutes))

    @rule(place=MACHINES)
    def the_slip_is_thrown_away(self, place: int) -> None:
        """The next request of this machine is another one."""
        self.run(self._agree())
        if not self._live_of(self.said[place]):
            self.said[place] = Said(self._request(place))

    # several at once, each on a connection of its own

    @rule(steps=st.lists(st.tuples(STEPS, MACHINES), min_size=2, max_size=5))
    def at_once(self, steps: list[tuple[str, int]]) -> None:
        async def all_of_them() -> None:
            acts: dict[str, Callable[[Said], Awaitable[None]]] = {
                "ask": self._ask,
                "reverse": self._reverse,
                "claim": self._claim,
                "lapse": self._lapse,
                "confirm": self._confirm,
            }
            await asyncio.gather(*(acts[name](self.said[place]) for name, place in steps))

        self.run(all_of_them())

    # the acts, and what they promise

    async def _act(self, act: Callable[[Work], Awaitable[Outcome]], crash: bool) -> Outcome | None:
        """The outcome; None where the process died before its commit or the act was refused."""

        async def doing(work: Work) -> Outcome:
            outcome = await act(work)
            if crash:
                await work.value("select 1")  # what was deferred is sent, and still not committed
                raise Crashed
            return outcome

        try:
            return await self.works.perform(ATM, ACLEDA, doing)
        except (Crashed, Refused):
            return None

    async def _ask(self, said: Said, *, crash: bool = False, lost: bool = False) -> None:
        gone = bool(said.reversals - {"STAYS"})
        outcome = await self._act(
            lambda work: atm.create_at_atm(work, self.counter.issuing, said.request), crash
        )
        assert not (gone and isinstance(outcome, Done)), "taken back, it is not given again"
        if lost:
            return  # it took effect, and nobody at the machine has heard of it
        if isinstance(outcome, Done):
            said.cards.add(card_id_of(outcome))
        elif isinstance(outcome, Declined):
            said.declined.add(outcome.reason)

    async def _reverse(self, said: Said, *, crash: bool = False) -> None:
        outcome = await self._act(
            lambda work: undo.reverse(work, said.request.key, "printer_failed"), crash
        )
        if isinstance(outcome, Done):
            said.reversals.add(outcome.answer["result"])
        else:
            assert crash, "a reversal is always accepted"

    async def _confirm(self, said: Said, *, crash: bool = False) -> None:
        outcome = await self._act(lambda work: atm.confirm_printed(work, said.request.key), crash)
        if isinstance(outcome, Done):
            said.printed.add(outcome.answer["printed_at"])

    async def _lapse(self, said: Said) -> None:
        for card_id in list(said.cards):
            await self.counter.lapse(card_id)

    async def _claim(self, said: Said, *, crash: bool = False) -> None:
        for card_id in list(said.cards):
            try:
                outcome = await (
                    self._claim_cut_off(card_id)
                    if crash
                    else self.counter.claim(self.person, card_id)
                )
            except (Refused, Crashed):
                continue
            said.claims += isinstance(outcome, Done)

    async def _claim_cut_off(self, card_id: CardId) -> Outcome:
        slip = claims.slip_for(self.vault, card_id, "")
        prepared: Prepared = await self.counter.prepare(
            "card.claim", self.person, reference=slip.reference, number_match=slip.match
        )
        kept = self.counter.works
        try:
            self.counter.works = _Dying(kept)  # type: ignore[assignment]
            return await self.counter.authorise("card.claim", self.person, prepared)
        finally:
            self.counter.works = kept

    # what must hold

    @invariant()
    def the_tables_agree(self) -> None:
        if hasattr(self, "said"):
            self.run(self._agree())

    async def _agree(self) -> None:
        cards = {card.id: card for card in await self.counter.all_cards(self.person)}
        self.cards = cards
        moment = self.clock.now()
        waiting = [c for c in cards.values() if c.state is CardState.ISSUED_PENDING_CLAIM]
        assert sum(card.live(moment) for card in waiting) <= 1, "one card waits, or none"
        for said in self.said:
            self._agrees(said)
        await self._fees_agree(len(cards))

    def _agrees(self, said: Said) -> None:
        assert len(said.cards) <= 1, "one request, one card"
        assert len(said.reversals) <= 1, "every repeat of a reversal is answered the same"
        assert len(said.printed) <= 1
        assert said.claims <= 1
        card = next((self.cards[card_id] for card_id in said.cards), None)
        if said.claims:
            assert card is not None
            assert card.state is CardState.ACTIVE, "claimed, it stays"
            assert said.reversals <= {"STAYS"}
        elif card is not None:
            assert card.state is not CardState.ACTIVE, "nobody else claims it"
            if said.reversals:
                assert said.reversals == {"CANCELLED"}
                assert not card.live(self.clock.now())
        else:
            assert "STAYS" not in said.reversals

    async def _fees_agree(self, made: int) -> None:
        """The wallet has paid for what was claimed, and for nothing that was taken back."""

        async def read(work: Work) -> tuple[int, int, int, int]:
            paid, left = await self._paid(work)
            claimed = await work.value(
                "select count(*)::int from card_changes h join virtual_cards c on c.id = h.card_id"
                " where c.holder_id = $1 and c.channel = 'atm' and h.cause = 'claimed'",
                self.person.holder.id,
            )
            cases = await work.value(
                "select count(*)::int from atm_card_cases where holder_id = $1",
                self.person.holder.id,
            )
            return paid, left, claimed, cases

        paid, left, claimed, cases = await self.works.read(SYSTEM, None, read)
        assert left == MONEY - paid * FEE
        assert paid == claimed, "a fee a claimed card, and none for a card nobody claimed"
        assert cases <= claimed

    async def _paid(self, work: Work) -> tuple[int, int]:
        row = await work.row(
            "select count(t.id)::int as paid,"
            " (select (credits_posted - debits_posted)::bigint from accounts where id = $1) as left"
            " from transfers t where t.debit_account_id = $1",
            self.person.holder.khr,
        )
        assert row is not None
        return row["paid"], row["left"]

    def _live_of(self, said: Said) -> bool:
        return any(self.cards[card].live(self.clock.now()) for card in said.cards)

    def teardown(self) -> None:
        if hasattr(self, "said"):
            self.run(self._proved())

    async def _proved(self) -> None:
        async def read(work: Work) -> list[str]:
            found = []
            for check in proof.CHECKS:
                found += [row["difference"] for row in await work.rows(check.sql)]
            return found

        assert await self.works.read(SYSTEM, None, read) == []


class _Dying:
    """Works whose process dies right before each commit."""

    def __init__(self, works: Works) -> None:
        self._works = works

    async def perform(self, actor: Any, bank: Any, act: Callable[[Work], Awaitable[Any]]) -> Any:
        async def doing(work: Work) -> Any:
            await act(work)
            await work.value("select 1")
            raise Crashed

        return await self._works.perform(actor, bank, doing)


def _run(servers: Any, template: str, vault: Vault, runs: int, steps: int) -> None:
    loop, name = asyncio.new_event_loop(), f"atm_{new_id().hex}"
    clock = TurnedClock(FIRST_MOMENT)

    async def opened() -> Database:
        admin = await asyncpg.connect(servers.database_url)
        await admin.execute(f'create database "{name}" template "{template}"')
        await admin.close()
        return await Database.connect(url_of(servers, name), largest=6)

    database = loop.run_until_complete(opened())

    class Machine(AtmMachine):
        pass

    Machine.loop, Machine.clock, Machine.vault = loop, clock, vault
    Machine.works = Works(database, clock)
    case = Machine.TestCase
    case.settings = settings(
        max_examples=runs,
        stateful_step_count=steps,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],  # a race does not come back to be shrunk
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    try:
        case().runTest()
    finally:
        loop.run_until_complete(database.close())
        loop.close()


def test_any_interleaving_leaves_one_live_card_or_none(
    servers: Any, template_database: str, vault: Vault
) -> None:
    _run(servers, template_database, vault, runs=40, steps=25)


async def test_eight_reversals_at_once_after_the_claim_open_one_case(counter: Counter) -> None:
    await warm(counter.works)
    person = await counter.person(khr=MONEY)
    request = counter.request(person)
    await counter.claim(person, card_id_of(await counter.at_atm(request)))
    outcomes = await asyncio.gather(*(counter.reverse(request) for _ in range(8)))
    assert len({str(outcome) for outcome in outcomes}) == 1
    assert "STAYS" in str(outcomes[0])
    assert await _cases(counter) == 1


async def test_a_claim_racing_a_reversal_is_either_one_or_the_other(counter: Counter) -> None:
    await warm(counter.works)
    ends = set()
    for place in range(20):
        person = await counter.person(khr=MONEY)
        for _ in range(FREE):
            await counter.card(person, "KHR")
        request = counter.request(person)
        card_id = card_id_of(await counter.at_atm(request))
        slip = claims.slip_for(counter.vault, card_id, "")
        prepared = await counter.prepare(
            "card.claim", person, reference=slip.reference, number_match=slip.match
        )
        tries = [counter.authorise("card.claim", person, prepared) for _ in range(2)]
        tries.insert(place % 3, counter.reverse(request))
        outcomes = await asyncio.gather(*tries)
        reversal = outcomes.pop(place % 3)
        assert isinstance(reversal, Done)
        claimed = sum(isinstance(outcome, Done) for outcome in outcomes)
        end = (reversal.answer["result"], claimed, await counter.state(card_id))
        assert end in {("CANCELLED", 0, "REVERSED"), ("STAYS", 1, "ACTIVE")}
        assert await _riel(counter, person) == MONEY - claimed * FEE
        ends.add(end)
    assert await _cases(counter) == await _claimed(counter)
    assert len(ends) == 2, "both may happen: the race is one"


async def _count(counter: Counter, sql: str, *arguments: Any) -> int:
    async def read(work: Work) -> int:
        found: int = await work.value(sql, *arguments)
        return found

    return await counter.works.read(SYSTEM, None, read)


async def _cases(counter: Counter) -> int:
    return await _count(counter, "select count(*)::int from atm_card_cases")


async def _claimed(counter: Counter) -> int:
    return await _count(counter, "select count(*)::int from card_changes where cause = 'claimed'")


async def _riel(counter: Counter, person: Person) -> int:
    return await _count(
        counter,
        "select (credits_posted - debits_posted)::bigint from accounts where id = $1",
        person.holder.khr,
    )


@pytest.mark.long
def test_any_interleaving_leaves_one_live_card_or_none_at_length(
    servers: Any, template_database: str, vault: Vault
) -> None:
    _run(servers, template_database, vault, runs=250, steps=40)
