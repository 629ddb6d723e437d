"""The proof over a large journal, beside payments: rows a second, memory, and what payments keep.

Transfers are loaded by SQL as the book writes them (counters with them), then sealed as the worker
seals. Groups of 512 are posted through the book by a process of its own, first alone, then while
the sealer runs, then while the whole proof runs in another process; figures are ratios within one
run.
"""

import asyncio
import multiprocessing
import resource
import time
from collections.abc import Callable
from multiprocessing.synchronize import Event
from statistics import median
from types import SimpleNamespace
from typing import Any, Final

from benchmarks.core import BANK, GROUP, _posting
from benchmarks.ground import ground
from runtime import prove as proving
from runtime.seal_keys import StoredSigner
from wallet.clock import SystemClock
from wallet.database import Database
from wallet.identifiers import AccountId
from wallet.ledger.book import open_book
from wallet.seals import chain, sealing
from wallet.vault.keystore import SoftwareKeyStore
from wallet.work import SYSTEM, Work, Works

ACCOUNTS: Final = 20_000
AT_ONCE: Final = 100_000
SIGNER: Final = StoredSigner(SoftwareKeyStore(bytes(32)), 1)
KEYS: Final = chain.keys_of([SIGNER.public_key])


async def main(transfers: int = 200_000, seconds: float = 8.0, rounds: int = 3) -> None:
    """Load, seal, prove; print each with its rate and its peak memory."""
    async with ground() as base:
        await _load(base, transfers)
        began = time.perf_counter()
        while await sealing.step(base.works, SIGNER):
            pass
        took = time.perf_counter() - began
        print(
            f"sealing {transfers:,} transfers: {transfers / took:,.0f}/s ({took:.1f} s)", flush=True
        )
        url = base.servers.database_url
        others = {"alone": None, "the sealer": _keep_sealing, "the whole proof": _prove}
        rates: dict[str, list[float]] = {name: [] for name in others}
        for _ in range(rounds):
            for name, other in others.items():
                rates[name].append(await _payments_beside(url, other, seconds))
        alone = median(rates["alone"])
        for name, found in rates.items():
            print(
                f"payments in groups of {GROUP}, {name}: {median(found):,.0f}/s "
                f"({min(found):,.0f}-{max(found):,.0f}), {median(found) / alone:.2f}",
                flush=True,
            )
        for whole in (True, False):
            await asyncio.to_thread(_in_a_process, _prove, url, whole)


async def _load(base: SimpleNamespace, transfers: int) -> None:
    """`transfers` rows between wallets in transactions of `AT_ONCE`, and counters to match."""
    began = time.perf_counter()
    await _run(base, _OPEN, BANK, ACCOUNTS)
    await _run(base, _FUND, BANK)
    for start in range(0, transfers, AT_ONCE):
        await _run(base, _LOAD, BANK, ACCOUNTS, start, min(AT_ONCE, transfers - start))
    await _run(base, _COUNT)
    rows = await base.database.rows("select pg_total_relation_size('transfers') as bytes")
    print(
        f"{transfers:,} transfers loaded in {time.perf_counter() - began:.0f} s, "
        f"{rows[0]['bytes'] / 2**30:.2f} GiB with indexes",
        flush=True,
    )


async def _run(base: SimpleNamespace, sql: str, *arguments: Any) -> None:
    await base.works.perform(SYSTEM, None, lambda work: work.execute(sql, *arguments))


async def _payments_beside(url: str, other: Callable[..., None] | None, seconds: float) -> float:
    """Transfers a second through the book while `other` works in a process of its own."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    process = None
    if other is not None:
        process = context.Process(target=other, args=(url, True, stop))
        process.start()
        await asyncio.sleep(3.0)  # its imports are not what is measured
    database = await Database.connect(url, statement_timeout_s=120, lock_timeout_s=30)
    works = Works(database, SystemClock())
    rows = await works.read(SYSTEM, BANK, lambda work: work.rows(_WALLETS))
    wallets = [AccountId(row["id"]) for row in rows]

    async def lane(number: int, end: float) -> int:
        done = 0
        while time.perf_counter() < end:
            places = [(done * 7 + i * 13 + number) % (len(wallets) - 1) for i in range(GROUP)]
            pairs = [(wallets[place], wallets[place + 1]) for place in places]
            await works.perform(SYSTEM, BANK, lambda work, pairs=pairs: _post(work, pairs))  # type: ignore[misc]
            done += GROUP
        return done

    began = time.perf_counter()
    counts = await asyncio.gather(*(lane(n, began + seconds) for n in range(2)))
    rate = sum(counts) / (time.perf_counter() - began)
    await database.close()
    if process is not None:
        busy = process.is_alive()
        stop.set()
        await asyncio.to_thread(process.join)
        if not busy:
            print("note: the other process had ended before the payments did", flush=True)
    return rate


async def _post(work: Work, pairs: list[tuple[AccountId, AccountId]]) -> None:
    book = await open_book(work, accounts=[account for pair in pairs for account in pair])
    for debit, credit in pairs:
        book.post(_posting(debit, credit, 1))
    await book.write()


def _in_a_process(target: Callable[..., None], url: str, whole: bool) -> None:
    process = multiprocessing.get_context("spawn").Process(target=target, args=(url, whole))
    process.start()
    process.join()


def _prove(url: str, whole: bool = True, stop: Event | None = None) -> None:
    """The whole proof, or the quick one: over and over until told to stop, or once, in print."""

    async def run() -> None:
        database = await Database.connect(url, statement_timeout_s=3600)
        works = Works(database, SystemClock())
        while True:
            began, lines = time.perf_counter(), []  # type: float, list[str]
            right = await proving.tell(works, KEYS, lines.append, whole=whole)
            took = time.perf_counter() - began
            if not right:
                raise SystemExit("\n".join(lines))
            if stop is None:
                rows = (await database.rows(_HOW_MANY))[0]["n"]
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                form = "whole" if whole else "quick"
                print(
                    f"{form} proof: {took:.1f} s for {rows:,} transfers ({rows / took:,.0f}/s), "
                    f"peak {peak:.0f} MB; {lines[-2]}",
                    flush=True,
                )
            if stop is None or stop.is_set():
                break
        await database.close()

    asyncio.run(run())


def _keep_sealing(url: str, whole: bool, stop: Any) -> None:
    """As the worker does, until told to stop."""

    async def run() -> None:
        database = await Database.connect(url, statement_timeout_s=60)
        works = Works(database, SystemClock())
        while not stop.is_set():
            if not await sealing.step(works, SIGNER):
                await asyncio.sleep(1.0)
        await database.close()

    asyncio.run(run())


_WALLETS: Final = "select id from accounts where kind = 'wallet' order by id"

_HOW_MANY: Final = "select sum(entries)::bigint as n from seal_positions where log = 1"

_OPEN: Final = """
insert into accounts (bank, kind, currency, holder_id, number, has_floor, opened_at, credits_posted)
select $1, 'wallet', 'KHR', gen_random_uuid(), i::text, true, now(), 0
from generate_series(1, $2::integer) i
union all select $1, 'treasury', 'KHR', null, null, false, now(), 0
"""

_FUND: Final = """
insert into transfers (id, bank, phase, kind, debit_account_id, credit_account_id, amount_minor,
                       currency, at)
select gen_random_uuid(), $1, 'posted', 'opening', t.id, w.id, 1000000, 'KHR', now()
from accounts w, accounts t where w.kind = 'wallet' and t.kind = 'treasury'
"""

# Each pays the next the same sum, so every wallet can; ids sort by time as UUIDv7 do.
_LOAD: Final = """
with wallets as (select min(id) as first from accounts where kind = 'wallet')
insert into transfers (id, bank, phase, kind, debit_account_id, credit_account_id, amount_minor,
                       currency, at)
select (lpad(to_hex($3::bigint + i), 12, '0') || '7' || substr(md5(($3 + i)::text), 1, 3) || 'a'
        || substr(md5(($3 + i)::text), 4, 15))::uuid,
       $1, 'posted', 'transfer', first + ($3 + i) % $2, first + ($3 + i + 1) % $2, 100, 'KHR',
       clock_timestamp()
from wallets, generate_series(0, $4::integer - 1) i
"""

_COUNT: Final = """
update accounts a set debits_posted = debits, credits_posted = credits
from (select id, sum(debit) as debits, sum(credit) as credits
      from (select debit_account_id as id, amount_minor as debit, 0 as credit from transfers
            union all select credit_account_id, 0, amount_minor from transfers) m group by id) s
where s.id = a.id
"""

if __name__ == "__main__":
    asyncio.run(main())
