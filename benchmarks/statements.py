"""Statements: an account of ten million entries against one of ten thousand, side by side.

Both stand in one journal, the small one's entries spread over the whole of it. Pages of 50 with the
balance on every line at the newest, in the middle and at the oldest, and the balance at a past
moment, through the acts the doors call. The baseline adds up history, as code without checkpoints
must. Every figure is checked against the sum it has by construction.
"""

import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final

import asyncpg

from benchmarks.ground import ground
from wallet.identifiers import AccountId, BankId
from wallet.ledger import checkpoints
from wallet.ledger.statement import balance_at, entries
from wallet.work import SYSTEM, Work

BANK: Final = BankId("ACLEDA")
SMALL: Final = 10_000
PART: Final = 500_000
PAGE: Final = 50
START: Final = datetime(2020, 1, 1, tzinfo=UTC)
EVERY: Final = timedelta(seconds=10)
"""Between two entries of the journal."""


async def main(large: int = 10_000_000, rounds: int = 300) -> None:
    """Print, for each kind of reading, the median of both accounts and their ratio."""
    async with ground() as base:
        accounts = await _load(base, large)
        await _checkpoints(base, large)
        rng = random.Random(11)
        for what in ("newest page", "middle page", "oldest page", "past balance"):
            figures = {}
            for name, (account, step, count) in accounts.items():
                figures[name] = await _median_ms(
                    base, rounds, _reading(what, account, step, count, rng)
                )
            small, big = figures["small"], figures["large"]
            print(
                f"statements, {what}: {SMALL:,} entries {small:.2f} ms, {large:,} entries "
                f"{big:.2f} ms, ratio {big / small:.2f}",
                flush=True,
            )
        account, _, _ = accounts["large"]
        summed = await _median_ms(base, 3, lambda work: _summed(work, account))
        print(f"statements, adding up the history of {large:,} entries instead: {summed:,.0f} ms")


def _reading(
    what: str, account: AccountId, step: int, count: int, rng: random.Random
) -> Callable[[Work], Awaitable[Any]]:
    """One reading at a place of its own each time; the answer is checked."""

    async def page(work: Work) -> None:
        place = {
            "newest page": None,
            "middle page": rng.randrange(count // 3, 2 * count // 3),
            "oldest page": PAGE,
        }[what]
        before = None if place is None else (place + 1) * 2 * step - (step > 1)
        found = await entries(work, account, before_seq=before, limit=PAGE)
        newest = count if place is None else place
        assert [one.balance_minor for one in found] == [
            _balance(newest - i) for i in range(min(PAGE, newest))
        ]

    async def past(work: Work) -> None:
        place = rng.randrange(1, count)
        found = await balance_at(work, account, _moment(place * step) + EVERY / 2)
        assert found is not None
        assert found.posted.minor == _balance(place)

    return past if what == "past balance" else page


def _balance(entries_so_far: int) -> int:
    """Odd entries bring 100, even ones take 50."""
    return (entries_so_far + 1) // 2 * 100 - entries_so_far // 2 * 50


def _moment(place: int) -> datetime:
    return START + EVERY * place


async def _load(base: SimpleNamespace, large: int) -> dict[str, tuple[AccountId, int, int]]:
    """The journal by generate_series: row n is the large account's n-th entry (even `seq`), every
    so many rows one of the small account's follows or is a stranger's (odd `seq`)."""
    raw = await asyncpg.connect(base.servers.database_url)
    ids = [
        row["id"]
        for row in await raw.fetch(
            "insert into accounts (bank, kind, currency, holder_id, number, has_floor, opened_at) "
            "select $1, 'wallet', 'KHR', gen_random_uuid(), i::text, true, $2 "
            "from generate_series(1, 1002) i returning id",
            BANK,
            START,
        )
    ]
    house = await raw.fetchval(
        "insert into accounts (bank, kind, currency, detail, has_floor, opened_at) "
        "values ($1, 'suspense', 'KHR', '', false, $2) returning id",
        BANK,
        START,
    )
    step = max(1, large // SMALL)
    start = time.perf_counter()
    await raw.execute("set synchronous_commit = off")
    for first in range(1, large + 1, PART):
        last = min(first + PART - 1, large)
        await raw.execute(_ROWS, first, last, BANK, ids[0], ids[1], house, step, START, EVERY, ids)
    await raw.execute(_COUNTERS)
    await raw.execute("vacuum analyze transfers, accounts")
    print(f"statements: {2 * large:,} transfers loaded in {time.perf_counter() - start:.0f} s")
    await raw.close()
    return {
        "small": (AccountId(ids[1]), step, large // step),
        "large": (AccountId(ids[0]), 1, large),
    }


async def _checkpoints(base: SimpleNamespace, large: int) -> None:
    start = time.perf_counter()
    written = 0
    while True:
        written += await checkpoints.keep_up(base.works, BANK)
        mark = await checkpoints.settle(base.works, BANK)
        if mark.seq - mark.checkpoint_seq < checkpoints.SPACING.reach:
            break
    elapsed = time.perf_counter() - start
    print(
        f"statements: {written:,} checkpoints written behind them in {elapsed:.0f} s, "
        f"{elapsed / (2 * large) * 1e6:.1f} us a transfer, none of it on the payment path",
        flush=True,
    )


async def _median_ms(
    base: SimpleNamespace, rounds: int, reading: Callable[[Work], Awaitable[Any]]
) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        await base.works.read(SYSTEM, BANK, reading)
        times.append(time.perf_counter() - start)
    return sorted(times)[rounds // 2] * 1000


async def _summed(work: Work, account: AccountId) -> Any:
    return await work.value(_SUM, account, _moment(10**9))


_ROWS = """
insert into transfers (id, bank, phase, kind, debit_account_id, credit_account_id, amount_minor,
                       currency, at)
select ('00000000-0000-7000-8' || lpad(to_hex(n % 4095), 3, '0') || '-'
        || lpad(to_hex(2 * n + other), 12, '0'))::uuid,
       $3, 'posted', 'transfer',
       case when place % 2 = 0 then account else $6 end,
       case when place % 2 = 0 then $6 else account end,
       case when place % 2 = 0 then 50 else 100 end, 'KHR', $8::timestamptz + $9::interval * n
from (
    select n, other,
           case when other = 1 then $4::bigint
                when n % $7 = 0 then $5::bigint
                else ($10::bigint[])[3 + n % 1000] end as account,
           case when other = 1 then n when n % $7 = 0 then n / $7 else 1 end as place
    from generate_series($1::bigint, $2::bigint) n, generate_series(0, 1) other
    order by n, other
) as rows
"""

_COUNTERS = """
with sums as (
    select id, sum(d) as d, sum(c) as c from (
        select debit_account_id as id, amount_minor as d, 0 as c from transfers
        union all
        select credit_account_id, 0, amount_minor from transfers) legs
    group by id
)
update accounts a set debits_posted = sums.d, credits_posted = sums.c from sums
where sums.id = a.id
"""

_SUM = """
select coalesce(sum(case when credit_account_id = $1 then amount_minor else -amount_minor end), 0)
from transfers where (credit_account_id = $1 or debit_account_id = $1) and at <= $2
"""
