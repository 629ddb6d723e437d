"""Core posting: groups through the book against one transaction per transfer.

The baseline is ordinary code on the same tables and server: lock both accounts in id order,
insert the transfer, update both, commit; on 16 connections at once. Both sides post wallet to
shop, once with one hot shop account and once between uniformly chosen accounts.
"""

import asyncio
import random
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Final

import asyncpg

from benchmarks.ground import books_right, ground
from wallet.identifiers import AccountId, BankId, TransferId, new_id
from wallet.ledger.book import Posted, Posting, TransferKind, open_book
from wallet.money import Currency, Money
from wallet.work import SYSTEM, Work

BANK: Final = BankId("ACLEDA")
ACCOUNTS: Final = 100_000
GROUP: Final = 512
CONNECTIONS: Final = 16
Pick = Callable[[], tuple[AccountId, AccountId]]


async def main(seconds: float = 6.0, rounds: int = 3) -> None:
    """Print both contention shapes: transfers a second, and the ratio of the medians."""
    async with ground() as base:
        wallets, hot = await accounts_of(base, ACCOUNTS)
        rng = random.Random(7)

        def uniform() -> tuple[AccountId, AccountId]:
            debit, credit = rng.sample(wallets, 2)
            return debit, credit

        shapes: dict[str, Pick] = {
            "one hot account": lambda: (rng.choice(wallets), hot),
            "uniform": uniform,
        }
        for shape, pick in shapes.items():
            ours, theirs = [], []
            for _ in range(rounds):
                theirs.append(await _one_by_one(base, pick, seconds))
                ours.append(await groups(base, pick, seconds, hot))
            ours.sort()
            theirs.sort()
            middle = rounds // 2
            print(
                f"core, {shape}: groups of {GROUP} {ours[middle]:,.0f}/s "
                f"({ours[0]:,.0f}-{ours[-1]:,.0f}), one by one {theirs[middle]:,.0f}/s "
                f"({theirs[0]:,.0f}-{theirs[-1]:,.0f}), ratio {ours[middle] / theirs[middle]:.1f}x",
                flush=True,
            )
        await books_right(base)


async def accounts_of(base: SimpleNamespace, count: int) -> tuple[list[AccountId], AccountId]:
    """Wallets holding money, opened and funded with the books right."""

    async def act(work: Work) -> tuple[list[AccountId], AccountId]:
        rich = 1_000_000_000
        rows = await work.rows(
            """
            insert into accounts (bank, kind, currency, holder_id, number, has_floor, opened_at)
            select $1, 'wallet', 'KHR', gen_random_uuid(), i::text, true, now()
            from generate_series(1, $2) i returning id
            """,
            BANK,
            count,
        )
        ids = [AccountId(row["id"]) for row in rows]
        house = await work.rows(
            """
            insert into accounts (bank, kind, currency, detail, has_floor, opened_at)
            values ($1, 'treasury', 'KHR', '', false, now()),
                   ($1, 'merchant_settlement', 'KHR', 'bench', false, now()) returning id
            """,
            BANK,
        )
        treasury, shop = (AccountId(row["id"]) for row in house)
        for start in range(0, count, 10_000):
            part = ids[start : start + 10_000]
            book = await open_book(work, accounts=[treasury, *part])
            for account in part:
                book.post(_posting(treasury, account, rich))
            await book.write()
        return ids, shop

    found: tuple[list[AccountId], AccountId] = await base.works.perform(SYSTEM, BANK, act)
    await base.database.run("select 1")
    return found


def _posting(debit: AccountId, credit: AccountId, riel: int) -> Posting:
    return Posting(
        id=TransferId(new_id()),
        debit=debit,
        credit=credit,
        money=Money(riel, Currency.KHR),
        kind=TransferKind.TRANSFER,
    )


class _Line:
    """Pairs waiting in line; a group takes the first of them that touch no wallet of a group under
    way, as a lane of the teller does."""

    def __init__(self, pick: Pick, shared: AccountId | None) -> None:
        self._pick = pick
        self._shared = shared
        self._passed: list[tuple[AccountId, AccountId]] = []
        self._held: set[AccountId] = set()

    def take(self) -> list[tuple[AccountId, AccountId]]:
        waiting, self._passed = iter(self._passed), []
        group: list[tuple[AccountId, AccountId]] = []
        while len(group) < GROUP:
            pair = next(waiting, None) or self._pick()
            (group if self._held.isdisjoint(pair) else self._passed).append(pair)
        self._passed += waiting
        self._held.update(account for pair in group for account in pair)
        if self._shared is not None:
            self._held.discard(self._shared)  # a house account is not locked while deciding
        return group

    def done(self, group: list[tuple[AccountId, AccountId]]) -> None:
        self._held.difference_update(account for pair in group for account in pair)


async def groups(
    base: SimpleNamespace, pick: Pick, seconds: float, shared: AccountId | None = None
) -> float:
    """Transfers a second in groups, two at a time; `shared` is the house account among them."""
    line = _Line(pick, shared)

    async def post(pairs: list[tuple[AccountId, AccountId]]) -> int:
        async def act(work: Work) -> int:
            postings = [_posting(*pair, 100) for pair in pairs]
            touched = [account for pair in pairs for account in pair]
            book = await open_book(work, accounts=touched, ids=[p.id for p in postings])
            done = sum(isinstance(book.post(posting), Posted) for posting in postings)
            await book.write()
            return done

        posted: int = await base.works.perform(SYSTEM, BANK, act)
        return posted

    async def keep_posting(end: float) -> int:
        count = 0
        while time.perf_counter() < end:
            pairs = line.take()
            count += await post(pairs)
            line.done(pairs)
        return count

    start = time.perf_counter()
    counts = await asyncio.gather(*(keep_posting(start + seconds) for _ in range(2)))
    return sum(counts) / (time.perf_counter() - start)


async def _one_by_one(base: SimpleNamespace, pick: Pick, seconds: float) -> float:
    pool = await asyncpg.create_pool(
        base.servers.database_url, min_size=CONNECTIONS, max_size=CONNECTIONS
    )

    async def keep_posting(end: float) -> int:
        count = 0
        async with pool.acquire() as connection:
            while time.perf_counter() < end:
                debit, credit = pick()
                async with connection.transaction():
                    rows = await connection.fetch(_LOCK, sorted((debit, credit)))
                    balances = {row["id"]: row["available"] for row in rows}
                    if balances[debit] < 100:
                        continue
                    await connection.execute(_INSERT, new_id(), BANK, debit, credit, 100)
                    await connection.execute(_DEBIT, debit, 100)
                    await connection.execute(_CREDIT, credit, 100)
                count += 1
        return count

    start = time.perf_counter()
    counts = await asyncio.gather(*(keep_posting(start + seconds) for _ in range(CONNECTIONS)))
    elapsed = time.perf_counter() - start
    await pool.close()
    return sum(counts) / elapsed


_LOCK = """
select id, credits_posted - debits_posted - debits_pending as available
from accounts where id = any($1) order by id for update
"""
_INSERT = """
insert into transfers (id, bank, phase, kind, debit_account_id, credit_account_id, amount_minor,
                       currency, at)
values ($1, $2, 'posted', 'transfer', $3, $4, $5, 'KHR', now())
"""
_DEBIT = "update accounts set debits_posted = debits_posted + $2 where id = $1"
_CREDIT = "update accounts set credits_posted = credits_posted + $2 where id = $1"

if __name__ == "__main__":
    asyncio.run(main())
