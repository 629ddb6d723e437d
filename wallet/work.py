"""Work: the one unit of transaction. Nobody else commits.

Promise: actor, idempotency key, effect, audit rows, events, jobs and answer commit together or
not at all. Serialization failures are run again whole; a connection lost during COMMIT is looked
up by transaction id, so the caller is told the truth. No network call happens inside a Work.

Owns no table: answers kept for a repeat, events, audit and jobs are written through repeats,
outbox, audit and jobs.

Who calls: teller, doors (through Works), worker.
"""

import asyncio
import enum
import hashlib
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, TypeVar

from msgspec import Struct

from wallet import audit, jobs, outbox, repeats
from wallet.clock import Clock
from wallet.database import (
    CONNECTION_LOST,
    SERIALIZATION_FAILURES,
    SERVER_EXHAUSTED,
    CheckViolation,
    Connection,
    Database,
    LockTimeout,
    Record,
    UniqueViolation,
    Wall,
    decode,
    decode_all,
)
from wallet.events import Event
from wallet.identifiers import AgencyId, BankId, DeviceId, HolderId
from wallet.outcomes import Outcome, Reason, Refused
from wallet.writes import Write, composed, in_order, missed

T = TypeVar("T")

ATTEMPTS: Final = 5
"""How often a whole transaction is run for serialization failures or a lost connection."""

LOOKUP_PATIENCE_S: Final = 10.0
"""How long an unknown commit is looked up before the caller hears "outcome unknown"."""


EXHAUSTED_PAUSE_S: Final = 5
"""When to come back to a server whose disk is full."""


class ActorKind(enum.StrEnum):
    HOLDER = "holder"
    DEVICE = "device"
    ATM_HOST = "atm_host"
    BANK_HOST = "bank_host"
    AGENCY_HOST = "agency_host"
    AGENCY_OFFICER = "agency_officer"
    BANK_CLERK = "bank_clerk"
    SUPPORT = "support"
    ADMIN = "admin"
    WORKER = "worker"
    SYSTEM = "system"
    ANONYMOUS = "anonymous"


ROLES: Final = {
    ActorKind.HOLDER: "smartid_mobile",
    ActorKind.DEVICE: "smartid_mobile",
    ActorKind.ATM_HOST: "smartid_atm",
    ActorKind.BANK_HOST: "smartid_bank",
    ActorKind.AGENCY_HOST: "smartid_agency",
    ActorKind.AGENCY_OFFICER: "smartid_agency",
    ActorKind.BANK_CLERK: "smartid_bank",
    ActorKind.SUPPORT: "smartid_support",
    ActorKind.ADMIN: "smartid_admin",
    ActorKind.WORKER: "smartid_worker",
    ActorKind.SYSTEM: "smartid_worker",
    ActorKind.ANONYMOUS: "smartid_door",
}
"""The database role of each kind of caller: its grants stand in migration 0022."""


class Actor(Struct, frozen=True, kw_only=True):
    """Who acts: named in every audit row and in the scope of every idempotency key."""

    kind: ActorKind
    id: str
    bank: BankId | None = None
    agency: AgencyId | None = None
    holder_id: HolderId | None = None
    device_id: DeviceId | None = None

    @property
    def scope(self) -> str:
        return f"{self.kind.value}:{self.id}"

    def wall(self, bank: BankId | None, as_caller: ActorKind | None = None) -> Wall:
        """What a transaction of this actor sees; `as_caller`: done for callers of that kind."""
        role = ROLES[as_caller or self.kind]
        return Wall(bank or "*", role, self.scope, self.agency or "")

    @property
    def house(self) -> str | None:
        """The bank or agency this actor works for; None where they act for themselves."""
        if self.kind not in _WORKS_FOR_A_HOUSE:
            return None
        if self.agency is not None:
            return f"agency:{self.agency}"
        return None if self.bank is None else f"bank:{self.bank}"


_WORKS_FOR_A_HOUSE: Final = frozenset(
    {ActorKind.ATM_HOST, ActorKind.AGENCY_OFFICER, ActorKind.BANK_CLERK, ActorKind.SUPPORT}
)

SYSTEM: Final = Actor(kind=ActorKind.SYSTEM, id="system")
WORKER: Final = Actor(kind=ActorKind.WORKER, id="worker")


def operator(name: str) -> Actor:
    """Whoever gives a command on the server, by name: the system, but not nobody."""
    return Actor(kind=ActorKind.SYSTEM, id=f"operator:{name}")


class Work:
    """One open transaction: what is read and written in it, and what it leaves behind."""

    def __init__(
        self,
        connection: Connection,
        actor: Actor,
        bank: BankId | None,
        clock: Clock,
        database_now: datetime,
        known: dict[Any, Any],
    ) -> None:
        self._raw = connection.raw
        self.known = known
        """Committed facts that never change, remembered across this process's Works."""
        self.actor = actor
        self.bank = bank
        self.moment = clock.at
        """What the database's clock, read anew, says: behind a lock that was waited for."""
        self.now = clock.at(database_now)
        self._events: list[Event] = []
        self._notes: list[audit.Note] = []
        self._jobs: list[jobs.Wanted] = []
        self._writes: list[Write] = []

    async def rows(self, sql: str, *arguments: Any) -> list[Record]:
        if self._writes:
            await self._send()
        found: list[Record] = await self._raw.fetch(sql, *arguments)
        return found

    async def row(self, sql: str, *arguments: Any) -> Record | None:
        if self._writes:
            await self._send()
        found: Record | None = await self._raw.fetchrow(sql, *arguments)
        return found

    async def value(self, sql: str, *arguments: Any) -> Any:
        if self._writes:
            await self._send()
        return await self._raw.fetchval(sql, *arguments)

    async def execute(self, sql: str, *arguments: Any) -> str:
        """Run a statement; answers the command tag, such as `UPDATE 3`."""
        if self._writes:
            await self._send()
        tag: str = await self._raw.execute(sql, *arguments)
        return tag

    async def structs(self, into: type[T], sql: str, *arguments: Any) -> list[T]:
        return decode_all(into, await self.rows(sql, *arguments))

    async def struct(self, into: type[T], sql: str, *arguments: Any) -> T | None:
        record = await self.row(sql, *arguments)
        return None if record is None else decode(into, record)

    async def copy(self, table: str, columns: list[str], records: list[tuple[Any, ...]]) -> None:
        """COPY rows in. Only for tables without a wall: PostgreSQL has no COPY under row security,
        where one `insert ... select from unnest(...)` does the same."""
        if self._writes:
            await self._send()
        await self._raw.copy_records_to_table(table, columns=columns, records=records)

    def store(
        self,
        table: str,
        sql: str,
        *arguments: Any,
        first: tuple[tuple[str, str], ...] = (),
        rows: int | None = None,
        short: Exception | None = None,
        clash: Exception | None = None,
        last: bool = False,
    ) -> None:
        """Have a write done with the next ones, before anything is read and before the commit.

        What it must touch and what is raised otherwise: `writes.Write`. An error of it comes out of
        whatever is asked next, at the latest of the commit, and nothing of the Work stays then.
        """
        self._writes.append(
            Write(
                table=table,
                sql=sql,
                arguments=arguments,
                first=first,
                rows=rows,
                short=short,
                clash=clash,
                last=last,
            )
        )

    def emit(self, event: Event) -> None:
        """Publish a fact with this transaction."""
        self._events.append(event)

    def note(
        self,
        act: str,
        subject: str,
        *,
        holder_id: HolderId | None = None,
        actor: Actor | None = None,
        reason: str | None = None,
        case_number: str | None = None,
        on_behalf_of: str | None = None,
        seen: Sequence[str] = (),
    ) -> None:
        """Leave an audit row: who did or saw `act` on `subject`, for whom, why.

        `on_behalf_of`: whom the actor acts for, where that is not the house they work for. `seen`:
        the fields of the holder's personal data that were shown; the holder reads of it.
        """
        who = actor or self.actor
        self._notes.append(
            audit.Note(
                actor_kind=who.kind.value,
                actor_id=who.id,
                bank=who.bank or self.bank,
                act=act,
                subject=subject,
                holder_id=holder_id,
                reason=reason,
                case_number=case_number,
                on_behalf_of=on_behalf_of or who.house,
                seen=" ".join(seen) or None,
            )
        )

    def later(
        self,
        name: str,
        payload: dict[str, Any],
        *,
        at: datetime | None = None,
        dedupe: str | None = None,
    ) -> None:
        """Want a durable job after commit; at most one per `dedupe` key when given."""
        self._jobs.append(
            jobs.Wanted(name=name, payload=payload, run_at=at or self.now, dedupe=dedupe)
        )

    async def flush(self) -> None:
        """Write what the act stored and left behind: one statement for all of it."""
        if self._events:
            self._writes.append(outbox.written(self.bank, self._events, self.now))
        if self._notes:
            self._writes.append(audit.written(self._notes, self.now))
        if self._jobs:
            self._writes.append(jobs.written(self._jobs, self.now))
        if self._writes:
            await self._send()

    async def _send(self) -> None:
        sending, self._writes = in_order(self._writes), []
        statement, arguments = composed(sending)
        try:
            touched = await self._raw.fetchrow(statement, *arguments)
        except (UniqueViolation, CheckViolation) as violation:
            for write in sending:
                if write.clash is not None and write.table == violation.table_name:
                    raise write.clash from None
            raise
        short = missed(sending, touched)
        if short is not None:
            raise short


class _CommitUnknownError(Exception):
    """The connection went away while COMMIT was under way."""

    def __init__(self, xid: int, begun_at: datetime, result: Any) -> None:
        super().__init__(xid)
        self.xid = xid
        self.begun_at = begun_at
        """By the server's own clock."""
        self.result = result


class Works:
    """Opens Works on one database with one clock."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._known: dict[Any, Any] = {}
        self.clock = clock

    async def perform(
        self,
        actor: Actor,
        bank: BankId | None,
        act: Callable[[Work], Awaitable[T]],
        *,
        as_caller: ActorKind | None = None,
    ) -> T:
        """Run `act` in one transaction and commit it, behind the wall of its actor; `as_caller`:
        of the kind of callers that a group is served for.

        Refuses: whatever `act` refuses (rolled back); in_flight when a row stays locked;
        unavailable when PostgreSQL cannot be reached or has no room; outcome_unknown when a lost
        COMMIT could not be looked up, in time or for certain: whoever asks again under the same key
        or intent hears.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._once(actor, bank, act, actor.wall(bank, as_caller))
            except _CommitUnknownError as unknown:
                if await self._was_committed(unknown.xid, unknown.begun_at):
                    result: T = unknown.result
                    return result
            except SERIALIZATION_FAILURES:
                if attempt == ATTEMPTS:
                    raise Refused(Reason.BUSY, retry_after_s=1) from None
            except LockTimeout:
                raise Refused(Reason.IN_FLIGHT) from None
            except CONNECTION_LOST as lost:
                if attempt == ATTEMPTS:
                    raise Refused(Reason.UNAVAILABLE, retry_after_s=1) from lost
            except SERVER_EXHAUSTED as exhausted:
                raise Refused(Reason.UNAVAILABLE, retry_after_s=EXHAUSTED_PAUSE_S) from exhausted
            await asyncio.sleep(random.uniform(0.001, 0.02 * 2**attempt))  # noqa: S311 - jitter
        raise Refused(Reason.UNAVAILABLE, retry_after_s=1)

    async def perform_once(
        self,
        actor: Actor,
        bank: BankId | None,
        name: str,
        key: str,
        body: bytes,
        act: Callable[[Work], Awaitable[Outcome]],
    ) -> tuple[Outcome, bool]:
        """Run `act` at most once per (actor, name, key); answers (outcome, replayed).

        `body` is what the caller sent: another body under the same key is refused.
        Refuses: idempotency_key_reused, in_flight, and whatever `act` refuses, which leaves the
        key free.
        """
        fingerprint = hashlib.sha256(body).digest()

        async def keyed(work: Work) -> tuple[Outcome, bool]:
            seen = await repeats.claim(work, actor.scope, name, key, fingerprint)
            if seen is not None:
                return seen, True
            outcome = await act(work)
            await repeats.keep(work, actor.scope, name, key, outcome)
            return outcome, False

        return await self.perform(actor, bank, keyed)

    async def read(
        self,
        actor: Actor,
        bank: BankId | None,
        query: Callable[[Work], Awaitable[T]],
        *,
        as_caller: ActorKind | None = None,
    ) -> T:
        """Run `query` in a read-only transaction, behind the same wall as `perform`.
        Refuses: unavailable."""

        async def once() -> T:
            connection = await self._database.acquire()
            try:
                database_now = await connection.begin_read(actor.wall(bank, as_caller))
                work = Work(connection, actor, bank, self.clock, database_now, self._known)
                result = await query(work)
                await connection.commit()
                return result
            finally:
                await self._give_back(connection)

        return await _at_most_twice(once)

    async def look(self, sql: str, *arguments: Any) -> list[Record]:
        """One statement outside any transaction, for what is asked all the time and needs no wall
        of its own: a function that answers only what it is meant to. Refuses: unavailable."""
        return await _at_most_twice(lambda: self._database.rows(sql, *arguments))

    async def _once(
        self, actor: Actor, bank: BankId | None, act: Callable[[Work], Awaitable[T]], wall: Wall
    ) -> T:
        connection = await self._database.acquire()
        try:
            database_now, xid = await connection.begin(wall)
            work = Work(connection, actor, bank, self.clock, database_now, self._known)
            result = await act(work)
            await work.flush()
            try:
                await connection.commit()
            except CONNECTION_LOST as lost:
                raise _CommitUnknownError(xid, database_now, result) from lost
            return result
        finally:
            await self._give_back(connection)

    async def _give_back(self, connection: Connection) -> None:
        # Shielded: a cancelled caller must not leave a connection out of the pool.
        with suppress(*CONNECTION_LOST):
            await asyncio.shield(self._database.release(connection))

    async def _was_committed(self, xid: int, begun_at: datetime) -> bool:
        deadline = asyncio.get_running_loop().time() + LOOKUP_PATIENCE_S
        while asyncio.get_running_loop().time() < deadline:
            try:
                status = await self._database.transaction_status(xid, begun_at)
            except (*CONNECTION_LOST, *SERVER_EXHAUSTED):  # a disk that fails tells nothing either
                status = "in progress"
            if status == "committed":
                return True
            if status == "aborted":
                return False
            if status == "recovered":
                break  # perhaps another's: only the key can tell
            await asyncio.sleep(0.1)
        raise Refused(Reason.OUTCOME_UNKNOWN, retry_after_s=2)


async def _at_most_twice(read: Callable[[], Awaitable[T]]) -> T:
    """What only reads is read again when the connection went away, once. Refuses: unavailable."""
    try:
        try:
            return await read()
        except CONNECTION_LOST:
            return await read()
    except CONNECTION_LOST as lost:
        raise Refused(Reason.UNAVAILABLE, retry_after_s=1) from lost
    except SERVER_EXHAUSTED as exhausted:
        raise Refused(Reason.UNAVAILABLE, retry_after_s=EXHAUSTED_PAUSE_S) from exhausted
