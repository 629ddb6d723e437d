"""Business days: closed while payments go on, whole or not at all, and balanced."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from tests.wallet.ledger.paths import BANK, TIGHT, Path, new_path, post
from tests.wallet.ledger.test_statement import AN_HOUR, proved
from wallet.clock import TurnedClock, day_of, midnight_of
from wallet.identifiers import BankId
from wallet.ledger import days, month
from wallet.ledger.days import BusinessDay, DayState
from wallet.ledger.proof import prove
from wallet.ledger.statement import balance_at
from wallet.outcomes import Reason, Refused
from wallet.work import SYSTEM, Work, Works

MONDAY = date(2026, 1, 12)


@pytest.fixture
async def path(works: Works, clock: TurnedClock) -> Path:
    made = await new_path(works, clock)
    await days.open_first(works, BANK)
    return made


async def close(works: Works, day: date = MONDAY) -> BusinessDay:
    return await days.close(works, BANK, day, spacing=TIGHT)


def turn_to(clock: TurnedClock, moment: datetime) -> None:
    clock.advance(moment - clock.now())


async def test_a_day_closes_with_debits_equal_to_credits_and_the_next_one_opens(
    path: Path, works: Works, clock: TurnedClock
) -> None:
    await path.move(1_000)
    await path.move(-300)
    turn_to(clock, midnight_of(MONDAY + timedelta(days=1)))
    await path.move(50, after_s=0)
    closed = await close(works)
    assert (closed.state, closed.entries, closed.late_entries) == (DayState.CLOSED, 2, 0)
    lines = await works.read(SYSTEM, BANK, lambda w: days.trial_balance(w, MONDAY))
    stood = {line.kind: (line.debits_posted, line.credits_posted) for line in lines}
    assert stood == {"wallet": (300, 1_000), "suspense": (1_000, 300)}
    nxt = await works.read(SYSTEM, BANK, days.unclosed)
    assert nxt is not None
    assert (nxt.day, nxt.state) == (MONDAY + timedelta(days=1), DayState.OPEN)
    turn_to(clock, midnight_of(MONDAY + timedelta(days=2)))
    second = await close(works, nxt.day)
    assert second.entries == 1
    lines = await works.read(SYSTEM, BANK, lambda w: days.trial_balance(w, nxt.day))
    by_kind = {line.kind: (line.day_debits, line.day_credits) for line in lines}
    assert by_kind == {"wallet": (0, 50), "suspense": (50, 0)}
    await proved(works)


async def test_a_day_that_is_not_over_or_not_there_is_refused(path: Path, works: Works) -> None:
    with pytest.raises(Refused) as refused:
        await close(works)
    assert refused.value.reason is Reason.BUSINESS_DAY_NOT_OVER
    with pytest.raises(Refused) as refused:
        await close(works, date(2026, 1, 1))
    assert refused.value.reason is Reason.NOT_FOUND
    with pytest.raises(Refused) as refused:
        await works.read(SYSTEM, BANK, lambda w: days.trial_balance(w, MONDAY))
    assert refused.value.reason is Reason.BUSINESS_DAY_NOT_CLOSED


async def test_closing_again_and_from_several_workers_at_once_is_closing_once(
    path: Path, works: Works, clock: TurnedClock
) -> None:
    await path.move(1_000)
    turn_to(clock, midnight_of(MONDAY + timedelta(days=1)))
    answers = await asyncio.gather(*(close(works) for _ in range(4)))
    answers.append(await close(works))
    finished = [answer for answer in answers if answer.state is DayState.CLOSED]
    assert finished
    assert len({(one.cut_seq, one.closed_at) for one in finished}) == 1
    rows = await works.read(
        SYSTEM, BANK, lambda w: w.value("select count(*) from business_days where bank = $1", BANK)
    )
    assert rows == 2
    with pytest.raises(asyncpg.PostgresError, match="is closed"):
        await works.perform(
            SYSTEM,
            BANK,
            lambda w: w.execute("update business_days set entries = 9 where day = $1", MONDAY),
        )


async def test_an_entry_of_before_midnight_that_comes_late_belongs_to_the_next_day(
    path: Path, works: Works, clock: TurnedClock
) -> None:
    """Its transaction is still running at midnight: the close waits for nobody's lock, answers
    that it is not final yet, and the entry is booked on the day after. Somebody else's payment of
    after midnight is what it comes too late for: its own wallet has no other entry there."""
    await path.move(1_000)
    other = await new_path(works, clock)
    turn_to(clock, midnight_of(MONDAY + timedelta(days=1)) - timedelta(seconds=1))
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slow(work: Work) -> None:
        began.set()
        await go_on.wait()
        await post(work, path, 7)

    late = asyncio.create_task(works.perform(SYSTEM, BANK, slow))
    await began.wait()
    clock.advance(timedelta(seconds=2))
    await other.move(50, after_s=0)
    waiting = await close(works)
    assert (waiting.state, waiting.difference) == (DayState.CLOSING, None)
    go_on.set()
    await late
    closed = await close(works)
    assert (closed.state, closed.entries) == (DayState.CLOSED, 1)
    # What a reader saw at midnight is what the closed day says, and the month's border too.
    just_before = midnight_of(MONDAY + timedelta(days=1)) - timedelta(microseconds=1)
    found = await works.read(SYSTEM, BANK, lambda w: balance_at(w, path.wallet, just_before))
    assert found is not None
    assert found.posted.minor == 1_000
    turn_to(clock, midnight_of(MONDAY + timedelta(days=2)))
    second = await close(works, MONDAY + timedelta(days=1))
    assert (second.entries, second.late_entries) == (2, 1)
    await proved(works)


async def test_a_day_closes_while_payments_go_on(
    path: Path, works: Works, clock: TurnedClock
) -> None:
    """No payment waits for the close, and the frozen balance is of the cut, not of the end."""
    await path.move(100_000)
    for _ in range(30):
        await path.move(-1)
    turn_to(clock, midnight_of(MONDAY + timedelta(days=1)))
    stop = asyncio.Event()

    async def pay() -> int:
        paid = 0
        while not stop.is_set():
            await path.move(-1, after_s=0.001)
            paid += 1
        return paid

    paying = [asyncio.create_task(pay()) for _ in range(3)]
    await asyncio.sleep(0.2)
    while (closed := await close(works)).state is not DayState.CLOSED:
        assert closed.difference is None
    stop.set()
    paid = sum(await asyncio.gather(*paying))
    assert paid > 10, "nothing was paid while the day was closed"
    assert closed.entries == 31
    lines = await works.read(SYSTEM, BANK, lambda w: days.trial_balance(w, MONDAY))
    assert {one.kind: one.debits_posted for one in lines}["wallet"] == 30
    await proved(works)


async def test_a_bank_whose_books_differ_does_not_close_until_they_are_right(
    path: Path, works: Works, clock: TurnedClock, database_url: str
) -> None:
    await path.move(1_000)
    turn_to(clock, midnight_of(MONDAY + timedelta(days=1)))
    admin = await asyncpg.connect(database_url)
    tamper = "update accounts set credits_posted = credits_posted + $2 where id = $1"
    await admin.execute(tamper, path.wallet, 5)
    stuck = await close(works)
    assert stuck.state is DayState.CLOSING
    assert stuck.difference == (
        "KHR wallet: the journal says 0/0/0/1000, the accounts stand at 0/0/0/1005"
    )
    frozen = "select (select count(*) from trial_balances) + (select count(*) from"
    assert await admin.fetchval(f"{frozen} balance_checkpoints)") == 0
    await admin.execute(tamper, path.wallet, -5)
    await admin.close()
    assert (await close(works)).state is DayState.CLOSED


@pytest.mark.parametrize("statement", ["insert into trial_balances", "insert into business_days"])
async def test_a_close_killed_half_way_left_nothing_and_is_done_again(
    path: Path, works: Works, clock: TurnedClock, database_url: str, statement: str
) -> None:
    """The connection dies at the statement: after it nothing of the close is there."""
    for _ in range(40):
        await path.move(10)
    turn_to(clock, midnight_of(MONDAY + timedelta(days=1)))
    table = statement.rpartition(" ")[2]
    admin = await asyncpg.connect(database_url)
    await admin.execute(
        "create function die() returns trigger language plpgsql as "
        "$$ begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$"
    )
    await admin.execute(
        f"create trigger die before insert on {table} for each row execute function die()"
    )
    with pytest.raises((Refused, asyncpg.PostgresError, OSError)):
        await close(works)
    left = "select count(*) from trial_balances union all select count(*) from balance_checkpoints"
    assert [row[0] for row in await admin.fetch(left)] == [0, 0]
    await admin.execute(f"drop trigger die on {table}")
    await admin.close()
    assert (await close(works)).state is DayState.CLOSED
    await proved(works)


async def test_days_missed_are_closed_one_after_the_other_each_with_its_own(
    path: Path, works: Works, clock: TurnedClock
) -> None:
    for _ in range(4):
        await path.move(10)
        clock.advance(timedelta(days=1))
    for step in range(4):
        closed = await close(works, MONDAY + timedelta(days=step))
        assert (closed.state, closed.entries) == (DayState.CLOSED, 1)
    await proved(works)


async def test_a_day_settles_on_the_next_working_day(
    path: Path, works: Works, clock: TurnedClock
) -> None:
    """Monday to Friday without public holidays; a wallet's day is every calendar day."""

    async def declare(work: Work) -> None:
        await work.execute("insert into public_holidays values ('2026-01-19', 'a holiday')")

    await works.perform(SYSTEM, None, declare)
    settles = {}
    for step in range(6):
        day = MONDAY + timedelta(days=step)
        turn_to(clock, midnight_of(day + timedelta(days=1)))
        settles[day.isoformat()] = (await close(works, day)).settles_on.isoformat()
    assert settles["2026-01-12"] == "2026-01-13"
    assert settles["2026-01-15"] == "2026-01-16"
    assert settles["2026-01-16"] == "2026-01-20", "Friday, a weekend and a holiday before"
    assert settles["2026-01-17"] == "2026-01-20"


async def test_the_close_is_a_job_of_the_day_s_midnight(
    path: Path, works: Works, clock: TurnedClock
) -> None:
    (row,) = await works.read(
        SYSTEM, BANK, lambda w: w.rows("select name, payload, run_at from jobs")
    )
    midnight = datetime(2026, 1, 12, 17, 0, tzinfo=UTC)
    assert tuple(row) == (
        days.CLOSE_JOB,
        {"bank": BANK, "day": "2026-01-12"},
        midnight + timedelta(seconds=10),
    )


async def test_a_tampered_trial_balance_is_found(
    path: Path, works: Works, clock: TurnedClock, database_url: str
) -> None:
    await path.move(1_000)
    turn_to(clock, midnight_of(MONDAY + timedelta(days=1)))
    await close(works)
    admin = await asyncpg.connect(database_url)
    await admin.execute("set session_replication_role = replica")
    await admin.execute(
        "update trial_balances set credits_posted = credits_posted - 1, day_credits = 0"
        " where kind = 'wallet'"
    )
    await admin.close()
    wrong = [f.check for f in await prove(works, days.CHECKS) if not f.right]
    assert len(wrong) == 3


async def test_month_borders_are_phnom_penh_midnights(
    path: Path, works: Works, clock: TurnedClock
) -> None:
    """17:00 in UTC: 23:59:59 of 31 January there, and 00:00:00 of 1 February."""
    border = datetime(2026, 1, 31, 17, 0, tzinfo=UTC)
    await path.move(1_000)
    turn_to(clock, border - timedelta(microseconds=1))
    await path.move(-1, after_s=0)
    turn_to(clock, border)
    await path.move(-10, after_s=0)
    clock.advance(AN_HOUR)
    january, february = [
        await works.read(SYSTEM, BANK, lambda w, m=m: month.of_wallet(w, path.wallet, m, most=50))
        for m in ("2026-01", "2026-02")
    ]
    assert [one.entry.amount_minor for one in january.lines] == [1_000, -1]
    assert (january.opening.minor, january.closing.minor, january.final) == (0, 999, False)
    assert (february.opening.minor, february.closing.minor) == (999, 989)
    assert [line.booked_on for line in february.lines] == [date(2026, 2, 1)]
    assert day_of(february.until) == date(2026, 2, 1)


async def test_an_empty_month_and_bad_months(path: Path, works: Works, clock: TurnedClock) -> None:
    """The wallet was opened in January 2026; its statements start there, whatever is in them."""
    await path.move(1_000)
    turn_to(clock, datetime(2026, 3, 3, tzinfo=UTC))

    async def read(asked: str, bank: str = BANK, most: int = 50) -> month.MonthStatement:
        return await works.read(
            SYSTEM, BankId(bank), lambda w: month.of_wallet(w, path.wallet, asked, most=most)
        )

    empty = await read("2026-02")
    assert (empty.lines, empty.opening, empty.closing) == ([], empty.closing, empty.opening)
    assert (empty.closing.minor, empty.came.minor, empty.went.minor) == (1_000, 0, 0)
    for asked in ("2025-12", "2026-04", "2026-13", "2026-00", "26-01", "2026-1", "0000-01",
                  "9999-12", "2026-01-01", "២០២៦-០១", "", "x" * 1_000):  # fmt: skip
        with pytest.raises(Refused) as refused:
            await read(asked)
        assert refused.value.reason is Reason.STATEMENT_MONTH_INVALID
        assert refused.value.facts == {"first": "2026-01", "last": "2026-03"}
    with pytest.raises(Refused) as refused:
        await read("2026-01", most=0)
    assert refused.value.reason is Reason.STATEMENT_TOO_LONG
    with pytest.raises(Refused) as refused:
        await read("2026-01", bank="WING")
    assert refused.value.reason is Reason.NOT_FOUND


async def test_at_the_end_of_a_month_every_account_that_moved_has_a_checkpoint(
    path: Path, works: Works, clock: TurnedClock
) -> None:
    await path.move(10)
    while (day := day_of(clock.now())) < date(2026, 2, 2):
        turn_to(clock, midnight_of(day + timedelta(days=1)))
        assert (await close(works, day)).state is DayState.CLOSED
    rows = await works.read(
        SYSTEM,
        BANK,
        lambda w: w.rows("select account_id, credits_posted from balance_checkpoints order by 1"),
    )
    assert [tuple(row) for row in rows] == sorted([(path.wallet, 10), (path.house, 0)])
    found = await works.read(
        SYSTEM, BANK, lambda w: month.of_wallet(w, path.wallet, "2026-01", most=5)
    )
    assert found.final
    await proved(works)
