"""The book against a model of a page: whatever is asked in whatever order, both say the same.

After every step: conservation, no floor broken, and a group that changed nothing left every
counter as it was. The long form is `pytest -m long`; a short one always runs.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.conftest import FIRST_MOMENT, url_of
from tests.wallet.ledger.books import assert_books_right, new_account
from wallet.clock import TurnedClock
from wallet.database import Database
from wallet.identifiers import AccountId, BankId, TransferId, new_id
from wallet.ledger.book import Posted, Posting, TransferKind, open_book
from wallet.ledger.statement import balances
from wallet.money import Currency, Money
from wallet.outcomes import Reason
from wallet.work import SYSTEM, Work, Works

BANK = BankId("ACLEDA")
START = (40, 25, 0)


@dataclass
class Hold:
    debit: int
    credit: int
    amount: int
    expires: int
    resolved: Reason | None = None


@dataclass
class Model:
    """Four wallets' worth of truth: what each has, what is held, and every hold's end."""

    posted: list[int] = field(default_factory=lambda: [*START, 0])
    held: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    holds: dict[TransferId, Hold] = field(default_factory=dict)
    clock: int = 0

    def covers(self, debit: int, amount: int) -> bool:
        return debit == 3 or self.posted[debit] - self.held[debit] >= amount

    def move(self, debit: int, credit: int, amount: int) -> str:
        if debit == credit:
            return "account_not_found"
        if not self.covers(debit, amount):
            return "insufficient_funds"
        self.posted[debit] -= amount
        self.posted[credit] += amount
        return "posted"

    def hold(self, name: TransferId, debit: int, credit: int, amount: int, seconds: int) -> str:
        if debit == credit:
            return "account_not_found"
        if not self.covers(debit, amount):
            return "insufficient_funds"
        self.held[debit] += amount
        self.holds[name] = Hold(debit, credit, amount, self.clock + seconds)
        return "posted"

    def resolve(self, name: TransferId, how: str, amount: int) -> str:
        hold = self.holds[name]
        if hold.resolved is not None:
            return hold.resolved.value
        over = self.clock >= hold.expires
        if how == "expire":
            if not over:
                return "hold_not_yet_expired"
        elif over:
            return "hold_expired"
        if how == "capture" and amount > hold.amount:
            return "exceeds_hold"
        self.held[hold.debit] -= hold.amount
        if how == "capture":
            self.posted[hold.debit] -= amount
            self.posted[hold.credit] += amount
        hold.resolved = {
            "capture": Reason.HOLD_ALREADY_CAPTURED,
            "void": Reason.HOLD_ALREADY_VOIDED,
            "expire": Reason.HOLD_EXPIRED,
        }[how]
        return "posted"


class BookMachine(RuleBasedStateMachine):
    """Accounts 0 to 2 have a floor, 3 is the house's."""

    servers: Any
    template: str

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.name = f"model_{new_id().hex}"
        self.clock = TurnedClock(FIRST_MOMENT)
        self.model = Model()
        self.loop.run_until_complete(self._open())

    async def _open(self) -> None:
        admin = await asyncpg.connect(self.servers.database_url)
        await admin.execute(f'create database "{self.name}" template "{self.template}"')
        await admin.close()
        self.database = await Database.connect(url_of(self.servers, self.name), largest=2)
        self.works = Works(self.database, self.clock)

    def teardown(self) -> None:
        async def end() -> None:
            await assert_books_right(self.works)
            await self.database.close()
            admin = await asyncpg.connect(self.servers.database_url)
            await admin.execute(f'drop database "{self.name}" with (force)')
            await admin.close()

        self.loop.run_until_complete(end())
        self.loop.close()

    @initialize()
    def open_accounts(self) -> None:
        async def act() -> list[AccountId]:
            floors = [await new_account(self.works, BANK, Currency.KHR, b) for b in START]
            return [*floors, await new_account(self.works, BANK, Currency.KHR, floor=False)]

        self.accounts = self.loop.run_until_complete(act())
        # The house account starts at nothing; what the wallets start with came from elsewhere.

    places = st.integers(0, 3)
    amounts = st.integers(1, 30)

    @rule(moves=st.lists(st.tuples(places, places, amounts, st.integers(0, 20)), max_size=6))
    def a_group(self, moves: list[tuple[int, int, int, int]]) -> None:
        """Posts and holds in one group; seconds 0 makes a post of it."""

        async def act(work: Work) -> None:
            book = await open_book(work, accounts=self.accounts)
            for debit, credit, amount, seconds in moves:
                posting = Posting(
                    id=TransferId(new_id()),
                    debit=self.accounts[debit],
                    credit=self.accounts[credit],
                    money=Money.khr(amount),
                    kind=TransferKind.TRANSFER,
                )
                if seconds:
                    answer = book.hold(posting, timedelta(seconds=seconds))
                    wanted = self.model.hold(posting.id, debit, credit, amount, seconds)
                else:
                    answer = book.post(posting)
                    wanted = self.model.move(debit, credit, amount)
                assert _said(answer) == wanted
            await book.write()

        self.loop.run_until_complete(self.works.perform(SYSTEM, BANK, act))

    @rule(
        which=st.integers(0, 50),
        how=st.sampled_from(["capture", "void", "expire"]),
        amount=st.integers(1, 30),
    )
    def resolve(self, which: int, how: str, amount: int) -> None:
        if not self.model.holds:
            return
        hold_id = list(self.model.holds)[which % len(self.model.holds)]

        async def act(work: Work) -> None:
            book = await open_book(work, accounts=(), holds=[hold_id])
            transfer = TransferId(new_id())
            match how:
                case "capture":
                    answer = book.capture(transfer, hold_id, amount)
                case "void":
                    answer = book.void(transfer, hold_id)
                case _:
                    answer = book.expire(transfer, hold_id)
            assert _said(answer) == self.model.resolve(hold_id, how, amount)
            await book.write()

        self.loop.run_until_complete(self.works.perform(SYSTEM, BANK, act))

    @rule(seconds=st.integers(1, 8))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds))
        self.model.clock += seconds

    @invariant()
    def both_agree(self) -> None:
        if not hasattr(self, "accounts"):
            return

        async def read(work: Work) -> None:
            found = await balances(work, self.accounts)
            seen = [found[account] for account in self.accounts]
            assert [balance.posted.minor for balance in seen] == self.model.posted
            assert [balance.held.minor for balance in seen] == self.model.held
            assert sum(self.model.posted) == sum(START)

        self.loop.run_until_complete(self.works.read(SYSTEM, BANK, read))


def _said(answer: object) -> str:
    return "posted" if isinstance(answer, Posted) else answer.reason.value  # type: ignore[attr-defined]


def _run(servers: Any, template: str, runs: int, steps: int) -> None:
    class Machine(BookMachine):
        pass

    Machine.servers, Machine.template = servers, template
    case = Machine.TestCase
    case.settings = settings(
        max_examples=runs,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    case().runTest()


def test_the_book_agrees_with_the_model(servers: Any, template_database: str) -> None:
    _run(servers, template_database, runs=12, steps=25)


@pytest.mark.long
def test_the_book_agrees_with_the_model_at_length(servers: Any, template_database: str) -> None:
    _run(servers, template_database, runs=300, steps=50)
