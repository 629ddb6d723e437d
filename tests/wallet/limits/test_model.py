"""Limits against a model that adds up its whole history: whatever is done, both say the same.

The long form is `pytest -m long`; a short one always runs.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from msgspec import Struct

from tests import world
from tests.conftest import FIRST_MOMENT, url_of
from tests.wallet.ledger.books import assert_books_right
from tests.wallet.limits.steps import Act, act, assert_counters_right, limit, resolve, said
from wallet.clock import PHNOM_PENH, TurnedClock
from wallet.database import Database
from wallet.identifiers import BankId, new_id
from wallet.ledger.book import TransferKind
from wallet.limits import Rule, Window
from wallet.limits.expiring import release_due
from wallet.money import Currency, Money
from wallet.work import Works

KHR, USD = Currency.KHR, Currency.USD
QR, TOPUP = TransferKind.QR_PAYMENT, TransferKind.TOPUP
RULES = (
    Rule(window=Window.PAYMENT, currency=KHR, most_minor=70, kind=QR),
    Rule(window=Window.DAY, currency=KHR, most_minor=100),
    Rule(window=Window.DAY, currency=KHR, both=True, most_minor=150),
    Rule(window=Window.DAY, currency=USD, most_minor=3, most_count=2),
    Rule(window=Window.MONTH, currency=KHR, both=True, most_count=6, kind=TOPUP),
    Rule(window=Window.MONTH, currency=KHR, most_minor=220),
)
RATE = 4_000  # a cent is 40 riel


class Taken(Struct):
    """What the model remembers of an act that was allowed."""

    act: Act
    at: datetime
    counts: bool = True


class Model:
    def __init__(self) -> None:
        self.history: list[Taken] = []

    def decide(self, wanted: Act, now: datetime) -> str:
        for one in RULES:
            if not one.both and wanted.money.currency is not one.currency:
                continue
            if one.kind not in (None, wanted.kind):
                continue
            amount, uses = self.used(one, now)
            if one.window is Window.PAYMENT:
                amount = 0
            if one.most_minor is not None and amount + riel_or_own(one, wanted) > one.most_minor:
                return "limit_exceeded"
            if one.most_count is not None and uses >= one.most_count:
                return "limit_exceeded"
        self.history.append(Taken(wanted, now))
        return "posted"

    def used(self, rule: Rule, now: datetime) -> tuple[int, int]:
        theirs = [
            taken
            for taken in self.history
            if taken.counts
            and (rule.both or taken.act.money.currency is rule.currency)
            and rule.kind in (None, taken.act.kind)
            and window(rule, taken.at) == window(rule, now)
        ]
        return sum(riel_or_own(rule, taken.act) for taken in theirs), len(theirs)


def window(rule: Rule, moment: datetime) -> tuple[int, ...]:
    local = moment.astimezone(PHNOM_PENH)
    month = local.year, local.month
    return month if rule.window is Window.MONTH else (*month, local.day)


def riel_or_own(rule: Rule, one: Act) -> int:
    minor = one.money.minor
    return minor if one.money.currency is rule.currency else minor * RATE // 100


WISH = st.tuples(
    st.sampled_from([QR, TOPUP]),
    st.one_of(
        st.integers(1, 80).map(Money.khr),
        st.integers(1, 3).map(Money.usd),
    ),
)


class LimitsMachine(RuleBasedStateMachine):
    """One holder under every sort of limit; a fresh one each run, in one database for all."""

    loop: asyncio.AbstractEventLoop
    works: Works
    clock: TurnedClock

    @initialize()
    def meet(self) -> None:
        self.model = Model()
        self.holder = self.run(world.holder(self.works, khr=10_000_000, usd=1_000_00))

    def run(self, what: Any) -> Any:
        return self.loop.run_until_complete(what)

    @rule(wishes=st.lists(WISH, min_size=1, max_size=4))
    def spend(self, wishes: list[tuple[TransferKind, Money]]) -> None:
        hold_for = timedelta(hours=30)
        acts = [
            Act(
                holder=self.holder,
                money=money,
                kind=kind,
                hold_for=hold_for if kind is TOPUP else None,
            )
            for kind, money in wishes
        ]
        expected = [self.model.decide(one, self.clock.now()) for one in acts]
        assert said(self.run(act(self.works, *acts))) == expected

    @rule(place=st.integers(0, 30))
    def repeat(self, place: int) -> None:
        if self.model.history:
            again = self.model.history[place % len(self.model.history)].act
            assert said(self.run(act(self.works, again))) == ["posted"]

    @rule(place=st.integers(0, 30))
    def void(self, place: int) -> None:
        held = [taken for taken in self.model.history if taken.act.hold_for and taken.counts]
        if held:
            taken = held[place % len(held)]
            answer = self.run(resolve(self.works, taken.act, taken.at))
            if said([answer]) == ["posted"]:
                taken.counts = False
            else:
                assert said([answer]) == ["hold_expired"]

    @rule(hours=st.sampled_from([1, 7, 15, 24, 24 * 9]))
    def pass_time(self, hours: int) -> None:
        self.clock.advance(timedelta(hours=hours))

    @rule()
    def expire(self) -> None:
        while self.run(release_due(self.works, self.holder.bank)):
            pass
        for taken in self.model.history:
            held = taken.act.hold_for
            if held and taken.at + held <= self.clock.now():
                taken.counts = False

    def teardown(self) -> None:
        self.run(assert_counters_right(self.works))


def _run(servers: Any, template: str, runs: int, steps: int) -> None:
    loop, name = asyncio.new_event_loop(), f"limits_{new_id().hex}"
    clock = TurnedClock(FIRST_MOMENT)

    async def opened() -> Database:
        admin = await asyncpg.connect(servers.database_url)
        await admin.execute(f'create database "{name}" template "{template}"')
        await admin.close()
        return await Database.connect(url_of(servers, name), largest=2)

    database = loop.run_until_complete(opened())
    works = Works(database, clock)
    loop.run_until_complete(limit(works, clock, *RULES, riel_per_dollar=RATE))

    class Machine(LimitsMachine):
        pass

    Machine.loop, Machine.works, Machine.clock = loop, works, clock
    case = Machine.TestCase
    case.settings = settings(
        max_examples=runs,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    try:
        case().runTest()
        while loop.run_until_complete(release_due(works, BankId("ACLEDA"))):
            pass
        loop.run_until_complete(assert_books_right(works))
    finally:
        loop.run_until_complete(database.close())
        loop.close()


def test_limits_agree_with_a_model_that_adds_up_its_history(
    servers: Any, template_database: str
) -> None:
    _run(servers, template_database, runs=25, steps=20)


@pytest.mark.long
def test_limits_agree_with_a_model_that_adds_up_its_history_at_length(
    servers: Any, template_database: str
) -> None:
    _run(servers, template_database, runs=400, steps=50)
