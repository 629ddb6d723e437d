"""Core posting when the tables are large: ten million accounts and fifty million transfers present.

Groups of 512 between uniformly chosen accounts, first over 100,000 accounts in a fresh journal,
then over all accounts once the journal is full; the books are right by construction and stay so.
Aim: the second at least 0.7 of the first.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Final

import asyncpg

from benchmarks import core
from benchmarks.ground import ground, print_size
from wallet.identifiers import AccountId

EACH: Final = 5
"""Transfers an account has received."""

PART: Final = 500_000
AMOUNT: Final = 1_000_000


async def main(accounts: int = 10_000_000, seconds: float = 8.0, rounds: int = 3) -> None:
    """Print both rates and their ratio."""
    async with ground() as base:
        wallets, _ = await core.accounts_of(base, core.ACCOUNTS)
        empty = await _rates(base, wallets, seconds, rounds)
        every = await _fill(base, accounts)
        full = await _rates(base, every, seconds, rounds)
        middle = rounds // 2
        print(
            f"volume: {empty[middle]:,.0f} transfers/s ({empty[0]:,.0f}-{empty[-1]:,.0f}) over "
            f"{core.ACCOUNTS:,} accounts in a fresh journal, {full[middle]:,.0f}/s "
            f"({full[0]:,.0f}-{full[-1]:,.0f}) over {accounts:,} with "
            f"{accounts * EACH:,} transfers present, ratio {full[middle] / empty[middle]:.2f}",
            flush=True,
        )


async def _rates(
    base: SimpleNamespace, wallets: Sequence[Any], seconds: float, rounds: int
) -> list[float]:
    rng = random.Random(7)

    def uniform() -> tuple[AccountId, AccountId]:
        debit, credit = rng.sample(wallets, 2)
        return debit, credit

    await core.groups(base, uniform, 1.0)
    return sorted([await core.groups(base, uniform, seconds) for _ in range(rounds)])


async def _fill(base: SimpleNamespace, accounts: int) -> range:
    """Accounts numbered without a gap, and their credits in an order that follows no account."""
    raw = await asyncpg.connect(base.servers.database_url)
    start = time.perf_counter()
    await raw.execute("set synchronous_commit = off")
    first = 1 + await raw.fetchval("select max(id) from accounts")
    treasury = await raw.fetchval("select id from accounts where kind = 'treasury'")
    for place in range(0, accounts, PART):
        count = min(PART, accounts - place)
        await raw.execute(_ACCOUNTS, core.BANK, place, count, EACH * AMOUNT)
    total = accounts * EACH
    for place in range(0, total, PART):
        count = min(PART, total - place)
        await raw.execute(_TRANSFERS, core.BANK, place, count, treasury, first, accounts, AMOUNT)
    await raw.execute(_TREASURY, treasury, total * AMOUNT)
    await raw.execute("vacuum analyze transfers, accounts")
    await raw.execute("checkpoint")
    print(
        f"volume: {accounts:,} accounts and {total:,} transfers loaded in "
        f"{time.perf_counter() - start:,.0f} s",
        flush=True,
    )
    await print_size(raw)
    await raw.close()
    return range(first, first + accounts)


_ACCOUNTS: Final = """
insert into accounts (bank, kind, currency, holder_id, number, has_floor, opened_at, credits_posted)
select $1, 'wallet', 'KHR', gen_random_uuid(), 'v' || i, true, now(), $4
from generate_series($2::bigint + 1, $2::bigint + $3::bigint) i order by i
"""

# A multiple of a prime walks over all accounts without following their order; ids grow with time,
# as ours do.
_TRANSFERS: Final = """
insert into transfers (id, bank, phase, kind, debit_account_id, credit_account_id, amount_minor,
                       currency, at)
select (lpad(to_hex(1700000000000 + i), 12, '0') || '7' || substr(md5(i::text), 1, 3) || '8'
        || substr(md5(i::text), 4, 15))::uuid,
       $1, 'posted', 'transfer', $4, $5::bigint + (i * 7919) % $6::bigint, $7, 'KHR', now()
from generate_series($2::bigint, $2::bigint + $3::bigint - 1) i order by i
"""

_TREASURY: Final = "update accounts set debits_posted = debits_posted + $2 where id = $1"

if __name__ == "__main__":
    asyncio.run(main())
