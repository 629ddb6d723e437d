"""Faults planted in the book, one by one: each must be found by the checks of this folder.

A fault is a small change of the running code (or of the SQL it sends); the check is one of the
text tables or races that pass without it. Where a constraint of the database would catch the
fault first, it is taken away as well, so that what is shown is the suite's own sight.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import asyncpg
import pytest

from tests.wallet.ledger import (
    test_forced_and_reversed,
    test_linked_and_closing,
    test_races,
    test_transfers,
)
from tests.wallet.ledger.books import assert_books_right
from tests.wallet.ledger.table import Table
from wallet.clock import TurnedClock
from wallet.ledger import deciding, forcing, group
from wallet.ledger.book import Book
from wallet.ledger.group import Group
from wallet.ledger.transfer import Account, Row
from wallet.work import Work, Works

Patch = pytest.MonkeyPatch
TABLES = {
    **test_transfers.TABLES,
    **test_linked_and_closing.TABLES,
    **test_forced_and_reversed.TABLES,
}


class Fault(NamedTuple):
    plant: Callable[[Patch], None]
    check: str | Callable[[Works], Awaitable[None]]
    nets: tuple[str, ...] = ()
    """What of the database is taken away too."""


FLOOR = "alter table accounts drop constraint accounts_floor"
ONE_RESOLUTION = "drop index transfers_one_resolution"
NEVER_ABOVE = "alter table reversals drop constraint reversals_never_above"


def sql(change: Callable[[str], str]) -> Callable[[Patch], None]:
    """Changes what is sent to PostgreSQL."""

    def plant(patch: Patch) -> None:
        rows, execute, store = Work.rows, Work.execute, Work.store

        async def changed_rows(self: Work, text: str, *arguments: Any) -> Any:
            return await rows(self, change(text), *arguments)

        async def changed_execute(self: Work, text: str, *arguments: Any) -> str:
            return await execute(self, change(text), *arguments)

        def changed_store(self: Work, table: str, text: str, *arguments: Any, **more: Any) -> None:
            more["first"] = tuple((name, change(select)) for name, select in more.get("first", ()))
            store(self, table, change(text), *arguments, **more)

        patch.setattr(Work, "store", changed_store)
        patch.setattr(Work, "rows", changed_rows)
        patch.setattr(Work, "execute", changed_execute)

    return plant


def put(where: object, name: str, what: object) -> Callable[[Patch], None]:
    return lambda patch: patch.setattr(where, name, what)


def no_locks(text: str) -> str:
    return re.sub(r"for (no key )?update", "", text) if "has_floor" in text else text


def summed(text: str) -> str:
    """What an account holds is added up from its transfers, as the textbook has it."""
    if "with wallets as" not in text:
        return text
    paid = "coalesce((select sum(amount_minor) from transfers where {} = accounts.id), 0)::bigint"
    return f"""
    select id, currency, has_floor, closed_at is not null as closed, 0 as debits_pending,
           {paid.format("debit_account_id")} as debits_posted, 0 as credits_pending,
           {paid.format("credit_account_id")} as credits_posted
    from accounts where id = any($1) and has_floor and bank = $2
    union all {text.split("union all")[1]}"""


def every_second_backwards() -> Callable[[str], str]:
    turn = iter(range(1_000_000))

    def change(text: str) -> str:
        if "has_floor" in text and "for no key update" in text and next(turn) % 2:
            return text.replace("order by id", "order by id desc")
        return text

    return change


def release_what_is_taken(self: Group, row: Row, hold: Row, sign: int) -> None:
    debit, credit = self.accounts[hold.debit_account_id], self.accounts[hold.credit_account_id]
    taken = sign * row.amount_minor
    posted = taken if row.phase == "capture" else 0
    debit.add(-taken, posted, 0, 0)
    credit.add(0, 0, -taken, posted)
    self.resolutions[hold.id] = row
    if self.opened.pop(hold.id, None) is None:
        self.resolved[hold.id] = hold


def debit_only(self: Group, row: Row, sign: int) -> None:
    self.accounts[row.debit_account_id].add(0, sign * row.amount_minor, 0, 0)


def note_a_decline(patch: Patch) -> None:
    write = Book.write

    async def noting(self: Book) -> None:
        await write(self)
        if not self.new:
            self._work.note("ledger.declined", "somebody")

    patch.setattr(Book, "write", noting)


def late_by_a_moment(patch: Patch) -> None:
    def over(hold: Row, now: Any) -> bool:
        return hold.expires_at is not None and now > hold.expires_at

    patch.setattr(deciding, "is_over", over)
    patch.setattr(forcing, "is_over", over)


def resolved_or_not(hold: Row, _: object, *more: Any) -> Any:
    return deciding.decide_resolution(hold, None, *more)


def without(part: str, instead: str = "") -> Callable[[str], str]:
    return lambda text: text.replace(part, instead)


FAULTS = {
    "the wallets' locks are dropped": Fault(
        sql(no_locks),
        test_races.test_jepsen_ledger_four_times_the_balance_is_spent_exactly_once,
        (FLOOR,),
    ),
    "a balance is summed instead of counted": Fault(
        sql(summed),
        test_races.test_jepsen_ledger_four_times_the_balance_is_spent_exactly_once,
        (FLOOR,),
    ),
    "half of the groups lock in reverse order": Fault(
        sql(every_second_backwards()), test_races.test_crossing_groups_do_not_deadlock
    ),
    "ids are not looked up": Fault(
        sql(lambda text: text if "from transfers\n" not in text else f"{text} and phase = ''"),
        "the same id with the same content is the same transfer; other content is not",
    ),
    "held money counts as available": Fault(
        put(Account, "available", property(lambda self: self.credits_posted - self.debits_posted)),
        "blnk_181: a hold counts against what is available",
        (FLOOR,),
    ),
    "a hold is resolved twice": Fault(
        put(group, "decide_resolution", resolved_or_not),
        "a void releases the whole hold, once",
        (ONE_RESOLUTION,),
    ),
    "the open hold is not locked": Fault(
        sql(without("order by id for update")),
        test_races.test_a_hold_between_house_accounts_is_captured_once,
        (ONE_RESOLUTION,),
    ),
    "a hold ends a moment late": Fault(late_by_a_moment, "a hold expires exactly at its moment"),
    "a capture releases only what it takes": Fault(
        put(Group, "_apply_resolution", release_what_is_taken),
        "blnk_62: a capture never exceeds its hold, and releases the rest",
    ),
    "one side is not posted": Fault(
        put(Group, "_apply", debit_only), "posting moves money and never below zero"
    ),
    "currencies are not compared": Fault(
        put(group, "decide_currency", lambda *_: None),
        "bad postings are declined, each for its own reason",
    ),
    "a failed chain is not undone": Fault(
        put(Group, "undo", lambda *_: None), "trap_4: a chain goes through whole, or leaves nothing"
    ),
    "a balancing transfer takes what was asked": Fault(
        put(group, "balanced", lambda how, amount, *_: amount),
        "a balancing transfer moves at most what is there",
    ),
    "a house account is balanced against without its lock": Fault(
        sql(lambda text: text if "with wallets as" in text else no_locks(text)),
        test_races.test_balancing_against_a_house_account_is_exact_under_concurrency,
    ),
    "a closed account takes new transfers": Fault(
        put(group, "decide_open", lambda *_: None),
        "a closed account takes nothing new and ends what was pending",
    ),
    "voiding a closing does not open the account": Fault(
        sql(without("case when t.closed then $9::timestamptz end", "$9::timestamptz")),
        "voiding the closing opens the account again",
    ),
    "a house account's closing is not seen at the write": Fault(
        sql(without("closed_at is not null as closed from", "false as closed from")),
        test_races.test_a_house_account_closed_meanwhile_takes_nothing,
    ),
    "a forced post overdraws in silence": Fault(
        put(forcing, "_pays", lambda debit, amount: amount),
        "what is forced is posted always, and never as an overdraft",
        (FLOOR,),
    ),
    "a shortfall has no case": Fault(
        put(Book, "_store_shortfalls", lambda self: None),
        "what is forced is posted always, and never as an overdraft",
    ),
    "what was given back is not counted": Fault(
        put(Group, "returned_of", lambda *_: 0),
        "a transfer is given back in parts, in sum never above it",
        (NEVER_ABOVE,),
    ),
    "what was given back before is not read": Fault(
        sql(lambda text: f"{text} and false" if "returned_minor from" in text else text),
        "a transfer is given back in parts, in sum never above it",
        (NEVER_ABOVE,),
    ),
    "tombstones are not looked at": Fault(
        sql(lambda text: f"{text} and phase <> 'tombstone'" if "as lasts" in text else text),
        "a reversal that comes first leaves a tombstone: the original is never posted",
    ),
    "a resolved hold stays on the list": Fault(
        sql(without("delete from open_holds where", "delete from open_holds where false and")),
        "a hold expires exactly at its moment",
    ),
    "a decline leaves a row": Fault(
        note_a_decline, "blnk_182: a declined hold is not there to be captured"
    ),
}


async def _checked(
    check: str | Callable[[Works], Awaitable[None]], works: Works, clock: TurnedClock
) -> None:
    if not isinstance(check, str):
        await check(works)
        return
    await Table(works, clock).run(TABLES[check])
    await assert_books_right(works)


def test_there_are_at_least_a_dozen_faults() -> None:
    assert len(FAULTS) >= 12


@pytest.mark.parametrize("name", FAULTS)
async def test_a_planted_fault_is_found(
    name: str, works: Works, clock: TurnedClock, database_url: str, monkeypatch: Patch
) -> None:
    fault = FAULTS[name]
    admin = await asyncpg.connect(database_url)
    for net in fault.nets:
        await admin.execute(net)
    await admin.close()
    fault.plant(monkeypatch)
    with pytest.raises((Exception, pytest.fail.Exception)) as found:
        await _checked(fault.check, works, clock)
    # What was found is wrong money or a net of the database, not a slip of this file.
    assert not isinstance(found.value, TypeError | NameError | AttributeError | KeyError)
    assert not isinstance(found.value, asyncpg.PostgresSyntaxError | asyncpg.UndefinedColumnError)
    print(f"{name}: {type(found.value).__name__}: {str(found.value)[:150]}")
