"""Balances in the past and running balances: exact, from checkpoints, and never shifting."""

import asyncio
import random
from datetime import datetime, timedelta

import asyncpg
import msgspec
import pytest

from tests.wallet.ledger.books import assert_books_right, new_account
from tests.wallet.ledger.paths import BANK, Path, new_path, post, posting, settle_all
from wallet.clock import TurnedClock
from wallet.identifiers import AccountId, BankId, TransferId, new_id
from wallet.ledger import checkpoints, days
from wallet.ledger.book import open_book
from wallet.ledger.proof import prove
from wallet.ledger.statement import Entry, balance_at, entries, settled_entries
from wallet.money import Currency
from wallet.work import SYSTEM, Work, Works

AN_HOUR = timedelta(hours=1)


async def pages(works: Works, account: AccountId, limit: int) -> list[Entry]:
    """Every entry, page by page, newest first."""
    found: list[Entry] = []
    while True:
        before = found[-1].seq if found else None
        page = await works.read(
            SYSTEM,
            BANK,
            lambda w, b=before: entries(w, account, before_seq=b, limit=limit),
        )
        found += page
        if len(page) < limit:
            return found


async def posted_at(works: Works, account: AccountId, moment: datetime) -> int:
    found = await works.read(SYSTEM, BANK, lambda w: balance_at(w, account, moment))
    assert found is not None
    return found.posted.minor


@pytest.mark.parametrize("seed", [1, 2])
async def test_balances_at_every_moment_and_on_every_line_are_those_of_a_plain_sum(
    works: Works, clock: TurnedClock, seed: int
) -> None:
    rng = random.Random(seed)
    path = await new_path(works, clock)
    truth, balance = [(clock.now(), 0)], 0
    for step in range(60):
        amounts = []
        for _ in range(rng.choice([1, 1, 2, 9])):
            amount = rng.randint(1, 500) if balance < 300 else rng.choice([-1, 1]) * 50
            amounts.append(amount)
            balance += amount
        clock.advance(timedelta(seconds=rng.choice([0, 1, 30])))
        await path.many(amounts)
        truth.append((clock.now(), balance))
        if step % 7 == 0:
            await settle_all(works)
    clock.advance(timedelta(seconds=1))
    written = await settle_all(works) or await checkpoint_count(works, path.wallet)
    assert written, "no checkpoint was made: nothing of what follows would be tested"

    for moment, _ in truth:
        last = [stood for at, stood in truth if at <= moment][-1]
        assert await posted_at(works, path.wallet, moment) == last
    assert await posted_at(works, path.wallet, truth[0][0] - timedelta(days=400)) == 0

    shown = await pages(works, path.wallet, 7)
    assert [entry.amount_minor for entry in reversed(shown)] == path.amounts
    running = [sum(path.amounts[: i + 1]) for i in range(len(path.amounts))]
    assert [entry.balance_minor for entry in reversed(shown)] == running
    await assert_books_right(works)
    await proved(works)


async def test_holds_count_as_held_only_between_their_beginning_and_their_end(
    works: Works, clock: TurnedClock
) -> None:
    path = await new_path(works, clock)
    await path.move(1_000)
    moments, hold_id = [clock.now()], TransferId(new_id())
    shown: list[tuple[str, int, int]] = []

    async def hold(work: Work) -> None:
        book = await open_book(work, accounts=[path.wallet, path.house])
        book.hold(msgspec.structs.replace(posting(path, -400), id=hold_id), AN_HOUR)
        await book.write()

    async def capture(work: Work) -> None:
        book = await open_book(work, accounts=(), holds=[hold_id])
        book.capture(TransferId(new_id()), hold_id, 150)
        await book.write()

    for act in (hold, capture):
        clock.advance(timedelta(minutes=1))
        await works.perform(SYSTEM, BANK, act)
        moments.append(clock.now())
        (newest,) = await works.read(SYSTEM, BANK, lambda w: entries(w, path.wallet, limit=1))
        shown.append((newest.phase, newest.amount_minor, newest.balance_minor))
        if act is hold:
            older = await works.read(SYSTEM, BANK, lambda w: entries(w, path.wallet, limit=5))
            assert [entry.balance_minor for entry in older] == [1_000, 1_000]
        for _ in range(25):
            await path.move(1)
    await settle_all(works)
    seen = []
    for moment in moments:
        found = await works.read(SYSTEM, BANK, lambda w, m=moment: balance_at(w, path.wallet, m))
        assert found is not None
        seen.append((found.posted.minor, found.held.minor, found.available.minor))
    assert shown == [("hold", -400, 1_000), ("capture", -150, 875)]
    assert seen == [(1_000, 0, 1_000), (1_000, 400, 600), (875, 0, 875)]
    await proved(works)


async def test_a_page_once_shown_stays_though_an_older_number_commits_late(
    works: Works, clock: TurnedClock
) -> None:
    """A wallet: the late writer holds the wallet's row, so nobody can have been shown past it."""
    path = await new_path(works, clock)
    for _ in range(5):
        await path.move(10)
    drawn, go_on = asyncio.Event(), asyncio.Event()

    async def slow(work: Work) -> None:
        await post(work, path, 7)
        drawn.set()
        await go_on.wait()

    late = asyncio.create_task(works.perform(SYSTEM, BANK, slow))
    await drawn.wait()
    early = asyncio.create_task(path.move(9))
    await asyncio.sleep(0.2)
    assert not early.done(), "two writers drew numbers of one wallet at the same time"
    before = await pages(works, path.wallet, 3)
    go_on.set()
    await asyncio.gather(late, early)
    after = await pages(works, path.wallet, 3)
    assert after[-len(before) :] == before
    assert [entry.amount_minor for entry in after[:2]] == [9, 7]


async def test_a_house_account_shows_only_what_is_final(works: Works, clock: TurnedClock) -> None:
    """Its writers take no turns: the second commits first, under the higher number."""
    path = await new_path(works, clock)
    other = Path(works, clock, await new_account(works, BANK, Currency.KHR), path.house)
    await path.move(10)
    await settle_all(works)
    await settle_all(works)
    drawn, go_on = asyncio.Event(), asyncio.Event()

    async def slow(work: Work) -> None:
        await work.execute(
            "insert into transfers (id, bank, phase, kind, debit_account_id, credit_account_id,"
            " amount_minor, currency, at) values ($1, $2, 'posted', 'transfer', $3, $4, 7, 'KHR',"
            " $5)",
            new_id(),
            BANK,
            path.house,
            path.wallet,
            work.now,
        )
        drawn.set()
        await go_on.wait()
        await work.execute(
            "update accounts set credits_posted = credits_posted + 7 where id = $1", path.wallet
        )
        await work.execute(
            "update accounts set debits_posted = debits_posted + 7 where id = $1", path.house
        )

    async def shown() -> list[int]:
        found = await works.read(SYSTEM, BANK, lambda w: settled_entries(w, path.house))
        return [entry.amount_minor for entry in found]

    late = asyncio.create_task(works.perform(SYSTEM, BANK, slow))
    await drawn.wait()
    await other.move(9)
    for _ in range(3):
        await checkpoints.settle(works, BANK)
    assert await shown() == [-10], "an entry was shown that another may yet appear below"
    go_on.set()
    await late
    for _ in range(3):
        await checkpoints.settle(works, BANK)
    assert await shown() == [-9, -7, -10]


async def test_a_checkpoint_that_is_not_the_sum_is_found(
    works: Works, clock: TurnedClock, database_url: str
) -> None:
    path = await new_path(works, clock)
    for _ in range(40):
        await path.move(5)
    await settle_all(works)
    await proved(works)
    admin = await asyncpg.connect(database_url)
    await admin.execute("set session_replication_role = replica")
    await admin.execute(
        "update balance_checkpoints set credits_posted = credits_posted + 1"
        " where account_id = $1 and seq = (select max(seq) from balance_checkpoints"
        " where account_id = $1)",
        path.wallet,
    )
    await admin.close()
    findings = {f.check: f.difference for f in await prove(works, checkpoints.CHECKS)}
    (difference,) = findings.values()
    assert difference is not None
    assert f"account {path.wallet} " in difference


async def test_checkpoints_are_append_only_and_walled_by_bank(
    works: Works, clock: TurnedClock
) -> None:
    path = await new_path(works, clock)
    for _ in range(40):
        await path.move(5)
    await settle_all(works)
    with pytest.raises(asyncpg.PostgresError):
        await works.perform(
            SYSTEM, BANK, lambda w: w.execute("update balance_checkpoints set seq = seq")
        )
    seen = await works.read(
        SYSTEM, BankId("WING"), lambda w: w.value("select count(*) from balance_checkpoints")
    )
    assert seen == 0


async def test_two_workers_keeping_up_at_once_write_what_one_would(
    works: Works, clock: TurnedClock
) -> None:
    path = await new_path(works, clock)
    for _ in range(12):
        await path.many([3] * 10)
    await asyncio.gather(*(settle_all(works) for _ in range(4)))
    await proved(works)
    assert [e.balance_minor for e in await pages(works, path.wallet, 50)] == list(range(360, 0, -3))


async def checkpoint_count(works: Works, account: AccountId) -> int:
    count: int = await works.read(
        SYSTEM,
        BANK,
        lambda w: w.value(
            "select count(*) from balance_checkpoints where account_id = $1", account
        ),
    )
    return count


async def proved(works: Works) -> None:
    for finding in await prove(works, (*checkpoints.CHECKS, *days.CHECKS)):
        assert finding.right, f"{finding.check}: {finding.difference}"


async def test_an_unknown_account_has_no_balance(works: Works) -> None:
    moment = works.clock.now()
    assert await works.read(SYSTEM, BANK, lambda w: balance_at(w, AccountId(404), moment)) is None
