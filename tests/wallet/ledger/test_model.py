"""The book against a model of a page: whatever is asked in whatever order, both say the same.

After every step Blnk's six invariants: money is conserved, posted and pending; no counter is
negative; every counter is the sum of its transfers; no wallet is overdrawn, holds counted; what
accounts hold is the open holds; and a group that changed nothing left every byte as it was. The
long form is `pytest -m long` (2,000 runs of 50 steps); a short one always runs.
"""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from runtime.embedded import Embedded
from tests.conftest import FIRST_MOMENT, url_of
from tests.wallet.ledger.books import assert_books_right, fingerprint, new_account
from tests.wallet.ledger.model import START, Model, Request
from tests.wallet.ledger.table import BALANCING, told, transfer_id
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.identifiers import AccountId, BankId, new_id
from wallet.ledger.book import Book, Posted, Posting, Reversal, TransferKind, forced_ids, open_book
from wallet.ledger.chains import Step, decide
from wallet.money import Currency, Money
from wallet.outcomes import Declined
from wallet.work import SYSTEM, Work, Works

BANK = BankId("ACLEDA")
HOUSE = (3, 4)

places = st.sampled_from([0, 0, 1, 1, 2, 3, 4])
amounts = st.sampled_from([-1, 0, 1, 2, 3, 5, 8, 13, 21, 30])
seconds = st.integers(1, 20)
which = st.integers(0, 99)
requests = st.one_of(
    st.tuples(st.just("post"), places, places, amounts),
    st.tuples(st.just("hold"), places, places, amounts, seconds),
    st.tuples(st.just("most"), places, places, amounts, st.sampled_from(list(BALANCING))),
    st.tuples(st.just("capture"), which, amounts),
    st.tuples(st.sampled_from(["void", "expire"]), which),
    st.tuples(st.just("close"), st.integers(0, 3), places),
    st.tuples(st.just("force"), places, places, amounts),
    st.tuples(st.just("clear"), which, amounts),
    st.tuples(st.just("reverse"), which, amounts, st.booleans()),
    st.tuples(st.just("forestall"), places, places, which, amounts),
    st.tuples(st.just("again"), which, st.booleans()),
)


class Ground:
    """One database and its loop for all runs of one test; emptied between them."""

    def __init__(self, servers: Embedded, template: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.servers, self.template, self.name = servers, template, f"model_{new_id().hex}"
        self.loop.run_until_complete(self._open())

    async def _open(self) -> None:
        await self._admin(f'create database "{self.name}" template "{self.template}"')
        self.database = await Database.connect(url_of(self.servers, self.name), largest=2)

    async def _admin(self, sql: str, database: str | None = None) -> None:
        servers = self.servers
        url = url_of(servers, database) if database else servers.database_url
        admin = await asyncpg.connect(url)
        await admin.execute(sql)
        await admin.close()

    async def empty(self) -> None:
        tables = "accounts, transfers, open_holds, reversals, shortfalls, audit"
        # The append-only tables refuse this to everybody but the owner, who says so first.
        await self._admin(
            f"set session_replication_role = replica; truncate {tables} cascade", database=self.name
        )

    async def close(self) -> None:
        await self.database.close()
        await self._admin(f'drop database "{self.name}" with (force)')


class BookMachine(RuleBasedStateMachine):
    """Accounts 0 to 2 have a floor, 3 is the house's, 4 is suspense."""

    ground: Ground

    def __init__(self) -> None:
        super().__init__()
        self.clock = TurnedClock(FIRST_MOMENT)
        self.works = Works(self.ground.database, self.clock)
        self.model = Model()
        self.asked: list[Request] = []
        self.accounts: list[AccountId] = []

    def run(self, coroutine: Any) -> Any:
        return self.ground.loop.run_until_complete(coroutine)

    def teardown(self) -> None:
        self.run(assert_books_right(self.works))

    @initialize()
    def open_accounts(self) -> None:
        async def act() -> None:
            await self.ground.empty()
            for place, balance in START.items():
                floor = place not in HOUSE
                account = await new_account(self.works, BANK, Currency.KHR, balance, floor=floor)
                self.accounts.append(account)
            self.seen = await fingerprint(self.works)

        self.run(act())

    @rule(steps=st.lists(st.tuples(requests, st.booleans()), min_size=1, max_size=6))
    def a_group(self, steps: list[tuple[Request, bool]]) -> None:
        """A group of requests, some of them chained, each about what was asked before it."""
        named: list[tuple[Request, bool]] = []
        for request, linked in steps:
            named.append((self._named(request), linked))
            self.asked.append(named[-1][0])

        async def act(work: Work) -> list[Posted | Declined]:
            book = await self._open(work, [request for request, _ in named])
            answers = decide(
                book,
                [Step(lambda r=request: self._ask(book, r), linked) for request, linked in named],
            )
            await book.write()
            return answers

        answers = self.run(self.works.perform(SYSTEM, BANK, act))
        wanted = self.model.decide(named)
        for (request, _), answer, want in zip(named, answers, wanted, strict=True):
            assert list(told(answer))[: len(want.split())] == want.split(), request
        left = self.run(fingerprint(self.works))
        changed = any(isinstance(a, Posted) and not a.repeated for a in answers)
        assert changed or left == self.seen, "a rejection left something behind"
        self.seen = left

    @rule(seconds=st.integers(1, 8))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds))
        self.model.clock += seconds

    @invariant()
    def both_agree(self) -> None:
        if not self.accounts:
            return
        rows = self.run(self.works.read(SYSTEM, BANK, lambda work: work.rows(_STANDING)))
        seen = {row["id"]: row for row in rows}
        for place, account in enumerate(self.accounts):
            row = seen[account]
            posted = row["credits_posted"] - row["debits_posted"]
            assert posted == self.model.posted[place]
            assert row["debits_pending"] == row["held"] == self.model.held[place]
            assert row["credits_pending"] == row["promised"] == self.model.promised[place]
            assert row["closed"] is (place in self.model.closed)
            assert (row["debits_posted"], row["credits_posted"]) == (row["out"], row["into"])
            assert not row["has_floor"] or posted >= row["debits_pending"]
        assert all(row[counter] >= 0 for row in rows for counter in COUNTERS)
        for kind in ("posted", "pending"):
            assert sum(row[f"debits_{kind}"] - row[f"credits_{kind}"] for row in rows) == 0
        assert sum(self.model.posted.values()) == sum(START.values())

    def _named(self, request: Request) -> Request:
        """A request with an id of its own, and the ids it is about."""
        verb, *more = request
        name = f"x{len(self.asked)}"
        earlier = [before[1] for before in self.asked] or ["nothing"]
        match verb, more:
            case "again", [place, other]:
                before = self.asked[place % len(self.asked)] if self.asked else None
                if before is None:
                    return ("post", name, 0, 1, 1)
                # The same request again, or one that differs in its amount or length.
                other = other and before[0] != "close" and type(before[-1]) is int
                return (*before[:-1], 7 if other else before[-1])
            case (("capture" | "void" | "expire" | "clear" | "reverse"), [place, *rest]):
                return (verb, name, earlier[place % len(earlier)], *rest)
            case "forestall", [debit, credit, place, amount]:
                by = earlier[place % len(earlier)] if place % 3 == 0 else f"by-{name}"
                return (verb, name, debit, credit, by, amount)
        return (verb, name, *more)

    async def _open(self, work: Work, asked: list[Request]) -> Book:
        return await open_book(
            work,
            accounts=self.accounts,
            ids=[i for request in asked for i in forced_ids(transfer_id(request[1]))],
            holds=[
                transfer_id(request[2])
                for request in asked
                if request[0] in ("capture", "void", "expire", "clear")
            ],
            originals=[transfer_id(request[2]) for request in asked if request[0] == "reverse"],
            exact=[
                self.accounts[place]
                for place in HOUSE
                if any(request[0] in ("close", "most") for request in asked)
            ],
        )

    def _ask(self, book: Book, request: Request) -> Posted | Declined:
        match request:
            case ["post", name, debit, credit, amount]:
                return book.post(self._posting(name, debit, credit, amount))
            case ["hold", name, debit, credit, amount, lasts]:
                posting = self._posting(name, debit, credit, amount)
                return book.hold(posting, timedelta(seconds=lasts))
            case ["most", name, debit, credit, amount, side]:
                return book.post(self._posting(name, debit, credit, amount, side))
            case ["capture", name, hold, amount]:
                return book.capture(transfer_id(name), transfer_id(hold), amount)
            case ["void", name, hold]:
                return book.void(transfer_id(name), transfer_id(hold))
            case ["expire", name, hold]:
                return book.expire(transfer_id(name), transfer_id(hold))
            case ["close", name, account, against]:
                places = self.accounts[account], self.accounts[against]
                return book.close(transfer_id(name), *places)
            case ["force", name, debit, credit, amount]:
                posting = self._posting(name, debit, credit, amount)
                return book.force(posting, self.accounts[4])
            case ["clear", name, hold, amount]:
                ids = transfer_id(name), transfer_id(hold)
                return book.force_capture(*ids, amount, self.accounts[4])
            case ["forestall", name, debit, credit, by, amount]:
                posting = self._posting(name, debit, credit, amount)
                return book.forestall(posting, transfer_id(by))
            case ["reverse", name, original, amount, forced]:
                reversal = Reversal(
                    id=transfer_id(name),
                    original_id=transfer_id(original),
                    money=Money.khr(amount),
                )
                return book.reverse(reversal, self.accounts[4] if forced else None)
        raise AssertionError(request)

    def _posting(
        self, name: str, debit: int, credit: int, amount: int, side: str | None = None
    ) -> Posting:
        return Posting(
            id=transfer_id(name),
            debit=self.accounts[debit],
            credit=self.accounts[credit],
            money=Money.khr(amount),
            kind=TransferKind.TRANSFER,
            balancing=BALANCING[side] if side else None,
        )


COUNTERS = ("debits_pending", "debits_posted", "credits_pending", "credits_posted")

_STANDING = """
select a.id, a.has_floor, a.closed_at is not null as closed,
       a.debits_pending, a.debits_posted, a.credits_pending, a.credits_posted,
       coalesce(sum(t.amount_minor) filter (where o.id is not null and t.debit_account_id = a.id),
                0) as held,
       coalesce(sum(t.amount_minor) filter (where o.id is not null and t.credit_account_id = a.id),
                0) as promised,
       coalesce(sum(t.amount_minor) filter (where t.phase in ('posted', 'capture')
                                              and t.debit_account_id = a.id), 0) as out,
       coalesce(sum(t.amount_minor) filter (where t.phase in ('posted', 'capture')
                                              and t.credit_account_id = a.id), 0) as into
from accounts a
left join transfers t on a.id in (t.debit_account_id, t.credit_account_id)
left join open_holds o on o.id = t.id
group by a.id
"""


@pytest.fixture
def ground(servers: Embedded, template_database: str) -> Iterator[Ground]:
    made = Ground(servers, template_database)
    yield made
    made.loop.run_until_complete(made.close())
    made.loop.close()


def _run(ground: Ground, runs: int, steps: int) -> None:
    class Machine(BookMachine):
        pass

    Machine.ground = ground
    case = Machine.TestCase
    case.settings = settings(
        max_examples=runs,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    case().runTest()


def test_the_book_agrees_with_the_model(ground: Ground) -> None:
    """D1, D4."""
    _run(ground, runs=15, steps=25)


@pytest.mark.long
def test_the_book_agrees_with_the_model_at_length(ground: Ground) -> None:
    _run(ground, runs=2000, steps=50)
