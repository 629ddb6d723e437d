"""The operators' aggregator's own books: what was heard, delivered, taken back, and the float.

Promise: written before anything is answered, kept in a SQLite file, so a test can count after any
crash how often a reference was submitted and delivered. A delivery is a row of its own, never a
flag: two deliveries of one reference would show as two.
Callers: `simulators.telco`; tests, to count.

Tables owned: calls (every submission heard), transactions, steps (what becomes of each, and
when), callbacks (what is to be told, and when), deliveries, float_entries.
"""

import enum
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

OPENING_FLOAT_MINOR = 100_000_000


class Status(enum.Enum):
    """DT One's statuses, with their numbers."""

    SUBMITTED = 5
    COMPLETED = 7
    REVERSED = 8
    DECLINED = 9


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A status a transaction reaches at `due_at` (seconds of the simulator's clock)."""

    due_at: float
    status: Status


class Callback(msgspec.Struct, frozen=True, kw_only=True):
    """A message for the buyer's callback address; a forged one carries a bad signature."""

    id: int = 0
    ref: str = ""
    url: str = ""
    due_at: float
    status: Status
    forged: bool = False


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded submission as a caller may see it now. `amount_minor` is US cents."""

    id: int
    ref: str
    number: str
    product: str
    amount_minor: int
    status: Status


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """Airtime that reached a phone, in US cents; `taken_back` once it was reversed."""

    ref: str
    number: str
    amount_minor: int
    taken_back: bool


class Books:
    """One file of books; `:memory:` for a simulator that need not survive."""

    def __init__(self, file: Path | str = ":memory:") -> None:
        self._kept = sqlite3.connect(file, isolation_level=None)
        self._kept.executescript(_TABLES)
        with self._kept:
            self._kept.execute(_OPEN_FLOAT, (OPENING_FLOAT_MINOR,))

    def close(self) -> None:
        self._kept.close()

    def hear(self, ref: str, number: str, now: float) -> None:
        """Note that a submission arrived, whatever comes of it."""
        self._kept.execute(
            "insert into calls (ref, number, heard_at) values (?, ?, ?)", (ref, number, now)
        )

    def used(self, ref: str) -> bool:
        """Whether the reference has a transaction, shown to callers already or not."""
        return self._one("select count(*) from transactions where ref = ?", ref) > 0

    def open(
        self,
        *,
        ref: str,
        number: str,
        product: str,
        amount_minor: int,
        life: Sequence[Step],
        callbacks: Sequence[Callback],
    ) -> None:
        """Record a transaction, what will become of it and what will be told."""
        self._kept.execute("begin immediate")
        with self._kept:
            self._kept.execute(_OPEN, (ref, number, product, amount_minor))
            self._kept.executemany(
                "insert into steps (ref, status, due_at) values (?, ?, ?)",
                [(ref, step.status.value, step.due_at) for step in life],
            )
            self._kept.executemany(
                "insert into callbacks (ref, url, status, due_at, forged) values (?, ?, ?, ?, ?)",
                [(ref, c.url, c.status.value, c.due_at, c.forged) for c in callbacks],
            )

    def advance(self, now: float) -> None:
        """Let every step due by `now` happen, each once, in order."""
        self._kept.execute("begin immediate")
        with self._kept:
            for step_id, ref, status in self._kept.execute(_DUE_STEPS, (now,)).fetchall():
                self._kept.execute("update steps set reached = 1 where id = ?", (step_id,))
                if status == Status.COMPLETED.value:
                    self._kept.execute(_DELIVER, (ref,))
                    self._kept.execute(_SPEND_FLOAT, (ref,))
                if status == Status.REVERSED.value:
                    self._kept.execute("update deliveries set taken_back = 1 where ref = ?", (ref,))
                    self._kept.execute(_RETURN_FLOAT, (ref,))

    def take_callbacks(self, now: float, ref: str | None = None) -> list[Callback]:
        """The callbacks due by `now` (of one reference, or all), marked as sent: taken once."""
        self._kept.execute("begin immediate")
        with self._kept:
            rows = self._kept.execute(_DUE_CALLBACKS, {"now": now, "ref": ref}).fetchall()
            self._kept.executemany(
                "update callbacks set sent = 1 where id = ?", [(row[0],) for row in rows]
            )
        names = ("id", "ref", "url", "status", "due_at", "forged")
        return [
            msgspec.convert(dict(zip(names, row, strict=True)), Callback, strict=False)
            for row in rows
        ]

    def find(self, ref: str) -> Transaction | None:
        """The transaction in the last status it reached; None while nothing was reached."""
        row = self._kept.execute(_FIND, (ref,)).fetchone()
        names = ("id", "ref", "number", "product", "amount_minor", "status")
        return (
            None
            if row is None
            else msgspec.convert(dict(zip(names, row, strict=True)), Transaction)
        )

    def calls(self, ref: str) -> int:
        """How often a submission under this reference was heard."""
        return self._one("select count(*) from calls where ref = ?", ref)

    def deliveries(self, ref: str | None = None) -> list[Delivery]:
        """Deliveries of one reference, or all, in order."""
        rows = self._kept.execute(_DELIVERIES, {"ref": ref}).fetchall()
        return [
            Delivery(ref=row[0], number=row[1], amount_minor=row[2], taken_back=bool(row[3]))
            for row in rows
        ]

    def float_minor(self) -> int:
        """What is left of the prepaid float, in US cents."""
        return self._one("select sum(amount_minor) from float_entries")

    def show(self, ref: str | None = None) -> dict[str, Any]:
        """The books as JSON: float, submissions heard by reference, deliveries."""
        heard = self._kept.execute(_HEARD, {"ref": ref}).fetchall()
        return {
            "float_minor": self.float_minor(),
            "calls": dict(heard),
            "deliveries": self.deliveries(ref),
        }

    def _one(self, sql: str, *arguments: object) -> int:
        return int(self._kept.execute(sql, arguments).fetchone()[0])


_TABLES = """
pragma journal_mode = wal;
create table if not exists calls (
    id integer primary key, ref text not null, number text not null, heard_at real not null
);
create table if not exists transactions (
    id integer primary key, ref text not null unique, number text not null, product text not null,
    amount_minor integer not null
);
create table if not exists steps (
    id integer primary key, ref text not null, status integer not null, due_at real not null,
    reached integer not null default 0
);
create index if not exists steps_due on steps (due_at) where reached = 0;
create index if not exists steps_ref on steps (ref);
create table if not exists callbacks (
    id integer primary key, ref text not null, url text not null, status integer not null,
    due_at real not null, forged integer not null, sent integer not null default 0
);
create index if not exists callbacks_due on callbacks (due_at) where sent = 0;
create table if not exists deliveries (
    id integer primary key, ref text not null, number text not null,
    amount_minor integer not null, taken_back integer not null default 0
);
create table if not exists float_entries (
    id integer primary key, ref text not null, amount_minor integer not null
);
"""
_OPEN_FLOAT = """
insert into float_entries (ref, amount_minor)
select 'opening', ? where not exists (select 1 from float_entries)
"""
_OPEN = "insert into transactions (ref, number, product, amount_minor) values (?, ?, ?, ?)"
_DUE_STEPS = """
select id, ref, status from steps where reached = 0 and due_at <= ? order by due_at, id
"""
_DELIVER = """
insert into deliveries (ref, number, amount_minor)
select ref, number, amount_minor from transactions where ref = ?
"""
_SPEND_FLOAT = """
insert into float_entries (ref, amount_minor)
select ref, -amount_minor from transactions where ref = ?
"""
_RETURN_FLOAT = """
insert into float_entries (ref, amount_minor)
select ref, amount_minor from transactions where ref = ?
"""
_DUE_CALLBACKS = """
select id, ref, url, status, due_at, forged from callbacks
where sent = 0 and due_at <= :now and (:ref is null or ref = :ref) order by due_at, id
"""
_FIND = """
select t.id, t.ref, t.number, t.product, t.amount_minor, s.status
from transactions t join steps s on s.ref = t.ref
where t.ref = ? and s.reached = 1 order by s.due_at desc, s.id desc limit 1
"""
_DELIVERIES = """
select ref, number, amount_minor, taken_back from deliveries
where :ref is null or ref = :ref order by id
"""
_HEARD = "select ref, count(*) from calls where :ref is null or ref = :ref group by ref"
