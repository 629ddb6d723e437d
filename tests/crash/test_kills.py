"""Kill any process of the demo at any moment, start again: nothing is lost, nothing is doubled.

The short form is three kills in one telling, chosen by the day's date; `make crash` runs the rest.
`CRASH_SEED=...` repeats what a failure printed.
"""

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from runtime.embedded import Embedded
from tests.crash.after import faults_of
from tests.crash.harness import Demo, Kind, Moment, Plan, Run, demo_on, run
from wallet.database import CONNECTION_LOST

SEED = os.environ.get("CRASH_SEED") or time.strftime("%Y-%m-%d")
ANY = tuple(Kind)
HARDEST = (Kind.API, Kind.WORKER, Kind.POSTGRES, Kind.DEMO)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    with demo_on(tmp_path / "data") as one:
        yield one


def told_again(demo: Demo, plan: Plan, chance: random.Random) -> Run:
    """Tell it with these kills; everything must be as if none had been."""
    happened = run(demo, plan, chance)
    context = f"seed {SEED}\n{happened.story()}"
    faults = faults_of(demo.data)
    assert not faults, f"{context}\n" + "\n".join(faults)
    assert not happened.fell, f"{context}\n{demo.everything_told()[-6000:]}"
    print(f"{len(happened.kills)} kills in one telling")
    return happened


def test_a_few_kills_lose_nothing_and_double_nothing(demo: Demo) -> None:
    """D5."""
    chance = random.Random(SEED)
    kinds = [chance.choice(HARDEST), *chance.sample([kind for kind in ANY if kind != Kind.DEMO], 2)]
    told_again(demo, [(kind, chance.uniform(5.0, 14.0)) for kind in kinds], chance)


@pytest.mark.crash
@pytest.mark.long
@pytest.mark.parametrize("part", range(5))
def test_forty_kills_of_anything_at_any_moment(demo: Demo, part: int) -> None:
    chance = random.Random(f"{SEED} {part}")
    kinds = chance.sample(ANY, len(ANY))[: len(ANY) - 1]
    told_again(demo, [(kind, chance.uniform(0.3, 15.0)) for kind in kinds], chance)


@pytest.mark.crash
@pytest.mark.long
@pytest.mark.parametrize("kind", ANY)
def test_one_kind_again_and_again(demo: Demo, kind: Kind) -> None:
    chance = random.Random(f"{SEED} {kind}")
    told_again(demo, [(kind, chance.uniform(4.0, 14.0)) for _ in range(5)], chance)


# --- at named points -----------------------------------------------------------------------------


class Books:
    """A look into the running demo's database, between two kills."""

    def __init__(self, demo: Demo) -> None:
        self._file = demo.data / "servers.json"
        self._loop = asyncio.new_event_loop()
        self._connection: Any = None
        self.holds = False

    def hold(self, sql: str) -> None:
        """Lock what `sql` finds, once there is something to be found."""
        self.value("select 1")
        if self._connection is None:
            return
        self._run(self._connection.execute("begin"))
        found = self._run(self._connection.execute(sql))
        self.holds = found not in (None, "SELECT 0")
        if not self.holds:
            self.let_go()

    def let_go(self) -> None:
        if self._connection is not None:
            self._run(self._connection.execute("rollback"))

    def value(self, sql: str) -> Any:
        """The first value, or None while there is no database to ask."""
        return self._run(self._ask(sql))

    def _run(self, asked: Any) -> Any:
        try:
            return self._loop.run_until_complete(asked)
        except (*CONNECTION_LOST, asyncpg.UndefinedTableError, msgspec.DecodeError):
            self._connection = None
            return None

    async def _ask(self, sql: str) -> Any:
        if self._connection is None or self._connection.is_closed():
            url = msgspec.json.decode(self._file.read_bytes())["database_url"]
            self._connection = await asyncpg.connect(url, timeout=5)
        return await self._connection.fetchval(sql)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._loop.close()


@pytest.fixture
def books(demo: Demo) -> Iterator[Books]:
    opened = Books(demo)
    yield opened
    opened.close()


def becomes(books: Books, sql: str) -> Moment:
    return lambda demo: bool(books.value(sql))


def intent(books: Books, kind: str, state: str) -> Moment:
    return becomes(
        books, f"select exists (select from intents where kind = '{kind}' and state = '{state}')"
    )


@pytest.mark.crash
@pytest.mark.long
def test_the_worker_dies_while_a_salary_run_is_being_paid(demo: Demo, books: Books) -> None:
    """One bank's treasury is held fast, so that the run is surely half paid when it happens."""

    def half_paid(_: Demo) -> bool:
        if not books.holds:
            books.hold("select from accounts where kind = 'treasury' and bank = 'WING' for update")
        return bool(books.value(_HALF_PAID))

    def let_go(_: Demo) -> bool:
        books.let_go()
        return True

    plan: Plan = [(Kind.WORKER, half_paid), (Kind.WORKER, let_go)]
    told_again(demo, plan, random.Random(SEED))


_HALF_PAID = """
select count(distinct l.state) = 2 from salary_lines l join salary_runs r on r.id = l.run_id
where r.state = 'PAYING'
"""


@pytest.mark.crash
@pytest.mark.long
def test_the_api_dies_between_asking_and_authorising(demo: Demo, books: Books) -> None:
    plan: Plan = [
        (Kind.API, intent(books, "card.create", "PENDING")),
        (Kind.API_PARENT, intent(books, "card.claim", "PENDING")),
        (Kind.API, intent(books, "qr.pay", "PENDING")),
    ]
    told_again(demo, plan, random.Random(SEED))


@pytest.mark.crash
@pytest.mark.long
def test_a_top_up_meets_the_death_of_either_side(demo: Demo, books: Books) -> None:
    """The operator dies as it is asked, the worker while it waits for an answer, then again."""
    sent = becomes(books, "select exists (select from topups where state = 'SENT')")
    plan: Plan = [
        (Kind.TELCO, intent(books, "topup.buy", "DONE")),
        (Kind.WORKER, sent),
        (Kind.TELCO, 3.0),
        (Kind.WORKER, 4.0),
    ]
    told_again(demo, plan, random.Random(SEED))


@pytest.mark.crash
@pytest.mark.long
def test_the_demo_dies_right_after_authorising(demo: Demo, books: Books) -> None:
    plan: Plan = [
        (Kind.DEMO, intent(books, "totp.confirm", "DONE")),
        (Kind.DEMO, intent(books, "card.create", "DONE")),
        (Kind.DEMO, intent(books, "topup.buy", "DONE")),
        (Kind.DEMO, intent(books, "qr.pay", "DONE")),
    ]
    told_again(demo, plan, random.Random(SEED))


@pytest.mark.crash
@pytest.mark.long
@pytest.mark.parametrize("half", [0, 1], ids=["morning", "afternoon"])
def test_the_demo_dies_right_after_what_is_not_an_intent(
    demo: Demo, books: Books, half: int
) -> None:
    """A phone paired, a file sent and approved, an ATM's card, a case: each answer is lost once."""
    moments = _ANSWERED[:3] if half == 0 else _ANSWERED[3:]
    plan: Plan = [(Kind.DEMO, becomes(books, f"select exists ({sql})")) for sql in moments]
    told_again(demo, plan, random.Random(SEED))


_ANSWERED = (
    "select from devices",
    "select from salary_runs",
    "select from salary_runs where checker is not null",
    "select from atm_card_requests",
    "select from disputes",
    "select from refunds where state = 'PAID' having count(*) = 2",
)


# --- the checks themselves -----------------------------------------------------------------------


@pytest.mark.crash
@pytest.mark.long
def test_what_is_lost_or_doubled_would_be_noticed(demo: Demo) -> None:
    """A right world is made wrong by hand: a check that cannot fail proves nothing."""
    told_again(demo, [], random.Random(SEED))
    with Embedded.open(demo.data) as servers:
        asyncio.run(_spoil(servers.database_url))
    with closing(sqlite3.connect(demo.data / "simulator-telco.sqlite")) as operator:
        operator.execute(_DELIVER_AGAIN)
        operator.commit()
    noticed = "\n".join(faults_of(demo.data))
    for fault in ("doubled Counter({('", "'untold': 1", "SUCCEEDED: delivered", "WRONG", "wallet"):
        assert fault in noticed


async def _spoil(url: str) -> None:
    connection = await asyncpg.connect(url)
    for sql in _SPOIL:
        await connection.execute(sql)
    await connection.close()


_SPOIL = (
    "delete from inbox where id = (select max(id) from inbox)",
    """
    insert into transfers (id, bank, phase, kind, debit_account_id, credit_account_id,
                           amount_minor, currency, reference, at)
    select gen_random_uuid(), bank, phase, kind, debit_account_id, credit_account_id,
           amount_minor, currency, reference, at
    from transfers where kind = 'salary' limit 1
    """,
    """
    update accounts set credits_posted = credits_posted + 1
    where id = (select max(id) from accounts where holder_id is not null and currency = 'KHR')
    """,
)
_DELIVER_AGAIN = """
insert into deliveries (ref, number, amount_minor)
select ref, number, amount_minor from deliveries limit 1
"""
