"""The sealer: follows journal and audit in commit order and seals what it finds in batches.

Promise: each row of both logs is sealed once, in the order (xid, seq), and none is skipped: only
rows below `pg_snapshot_xmin` are taken, so a transaction that commits late is waited for. Payments
never wait for sealing: it only reads their rows. Of many processes one seals at a time, the others
find the positions held and leave; killed at any line, it leaves whole batches or nothing.
Signing is a step of its own, outside the sealing transaction: a key store may be far away.

    (a row) -> sealed in a batch, its header chained -> the header signed

Tables owned: seal_positions, seals, seal_signatures, seal_keys. Who calls: the worker.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from wallet.seals import chain, merkle
from wallet.seals.chain import Header, SignedHeader, Signer
from wallet.seals.leaves import VERSION, Log, leaf_sql
from wallet.seals.merkle import HASH_BYTES
from wallet.work import WORKER, Work, Works

BATCH: Final = 1024
"""Entries in one batch at most: a path of ten hashes, which fits a QR code."""

BATCHES_AT_ONCE: Final = 256
"""Batches of one log in one step at most: what a sealer that was away catches up with."""

_READING: Final = 0x5EA1
"""The advisory lock of whoever reads what is to be sealed: nobody else need do so meanwhile."""

SIGN_TOGETHER: Final = 64


class SealsBroken(Exception):
    """What is sealed does not fit this database: sealing stops until a person has looked."""


async def step(works: Works, signer: Signer, *, batch: int = BATCH) -> int:
    """Seal what waits and sign what is not signed; answers how many full rounds there may be
    left: 0 when all that could be sealed is."""
    sealed = await seal_next(works, batch=batch)
    signed = await sign_next(works, signer)
    return int(sealed >= batch * BATCHES_AT_ONCE or signed >= SIGN_TOGETHER)


async def seal_next(works: Works, *, batch: int = BATCH) -> int:
    """Seal up to `BATCHES_AT_ONCE` batches of each log; answers how many entries were sealed.

    Raises SealsBroken when the database was put back to before its own seals.
    """
    found = await works.read(WORKER, None, lambda work: _waiting(work, batch))
    if not any(waiting.parts for waiting in found):
        return 0

    async def act(work: Work) -> int:
        held = {Log(row["log"]): row for row in await work.rows(_HOLD_POSITIONS)}
        if any(_place(held.get(one.log)) != _place(one.row) for one in found):
            return 0  # another process seals, or has sealed meanwhile
        own_xid: int = await work.value("select pg_current_xact_id()::text::bigint")
        tip = await work.row(_TIP)
        number, previous = (0, chain.FIRST)
        if tip is not None:
            number, previous = tip["number"], header_of(tip).hash()
        for one in found:
            headers = _chained(one, number, previous, work.now)
            await _store(work, headers, one.parts)
            if headers:
                number, previous = headers[-1].number, headers[-1].hash()
            await _move_on(work, one, own_xid)
        return sum(one.entries for one in found)

    return await works.perform(WORKER, None, act)


async def sign_next(works: Works, signer: Signer) -> int:
    """Sign the oldest headers that are not signed; answers how many. Two processes may sign the
    same header: Ed25519 gives both the same signature, and one row stays."""

    async def unsigned(work: Work) -> list[Header]:
        return [header_of(row) for row in await work.rows(_UNSIGNED, SIGN_TOGETHER)]

    headers = await works.read(WORKER, None, unsigned)
    if not headers:
        return 0
    signatures = [await signer.sign(header.message()) for header in headers]
    name = chain.key_id(signer.public_key)

    async def store(work: Work) -> int:
        await work.execute(_PUBLISH_KEY, name, signer.public_key, work.now)
        numbers = [header.number for header in headers]
        await work.execute(_SIGN, name, work.now, numbers, signatures)
        return len(headers)

    return await works.perform(WORKER, None, store)


async def publish_key(works: Works, signer: Signer) -> None:
    """Put a key on the list before it signs anything."""

    async def store(work: Work) -> None:
        name = chain.key_id(signer.public_key)
        await work.execute(_PUBLISH_KEY, name, signer.public_key, work.now)

    await works.perform(WORKER, None, store)


async def published_keys(work: Work) -> dict[str, bytes]:
    """Every public key that ever signed, oldest first."""
    return {row["key_id"]: row["public_key"] for row in await work.rows(_KEYS)}


def header_of(row: Any) -> Header:
    """A row of `seals` as its header."""
    return Header(
        number=row["number"],
        previous=row["previous"],
        log=Log(row["log"]),
        position=row["position"],
        entries=row["entries"],
        last_xid=row["last_xid"],
        last_seq=row["last_seq"],
        root=row["root"],
        sealed_at=row["sealed_at"],
        version=row["version"],
    )


def signed_header_of(row: Any) -> SignedHeader:
    """A row of `seals` joined with its signature."""
    return SignedHeader(header=header_of(row), key_id=row["key_id"], signature=row["signature"])


def leaves_of(row: Any) -> list[bytes]:
    """The leaf hashes of a row of `seals`."""
    packed: bytes = row["leaves"]
    return [packed[i : i + HASH_BYTES] for i in range(0, len(packed), HASH_BYTES)]


class _Part(Struct, frozen=True, kw_only=True):
    """The rows of one batch to be."""

    entries: int
    last_xid: int
    last_seq: int
    lowest_seq: int
    highest_seq: int
    leaves: bytes


class _Waiting(Struct, frozen=True, kw_only=True):
    """What waits in one log: its position when it was read, the next batches, the xid below which
    nothing is left unsealed after them, the lowest seq left (None: not looked for), and how far
    seq was given out before any transaction of ours began."""

    log: Log
    row: Any
    parts: list[_Part]
    complete_below: int
    lowest_left: int | None
    given_out: int

    @property
    def entries(self) -> int:
        return sum(part.entries for part in self.parts)


async def _waiting(work: Work, batch: int) -> list[_Waiting]:
    """Read and hash what is to be sealed, in a transaction without an id: however long it takes,
    it holds back nobody who follows a log below `pg_snapshot_xmin`."""
    if not await work.value("select pg_try_advisory_xact_lock($1)", _READING):
        return []
    found = []
    for row in await work.rows(_POSITIONS):
        if row["below"] <= row["xid"]:
            raise SealsBroken(
                f"log {row['log']} is sealed up to transaction {row['xid']}, but this server is at "
                f"{row['below']}: restored from a dump into a younger server?"
            )
        found.append(await _waiting_in(work, Log(row["log"]), row, batch))
    return found


async def _waiting_in(work: Work, log: Log, row: Any, batch: int) -> _Waiting:
    # First of all: what is given out later belongs to transactions that may begin after ours.
    given_out = await work.value(_GIVEN_OUT[log])
    position = (str(row["xid"]), row["seq"])
    limit = batch * BATCHES_AT_ONCE
    cut = await work.row(_CUT[log], row["floor_seq"], *position, limit)
    parts: list[_Part] = []
    complete_below, lowest_left = row["below"], None
    if cut is not None:
        last = (str(cut["xid"]), cut["seq"])
        reach = (cut["lowest_seq"], cut["highest_seq"])
        rows = await work.rows(_NEXT[log], *position, *last, *reach, batch)
        parts = [_Part(**{name: part[name] for name in _Part.__struct_fields__}) for part in rows]
        if cut["entries"] == limit:
            complete_below = cut["xid"]
            if row["below"] > row["coming_xid"]:
                lowest_left = await work.value(
                    _LOWEST_LEFT[log], row["floor_seq"], *last, str(row["coming_xid"])
                )
    return _Waiting(
        log=log,
        row=row,
        parts=parts,
        complete_below=complete_below,
        lowest_left=lowest_left,
        given_out=given_out,
    )


def _place(row: Any) -> tuple[int, int, int] | None:
    return None if row is None else (row["xid"], row["seq"], row["entries"])


def _chained(one: _Waiting, number: int, previous: bytes, now: datetime) -> list[Header]:
    headers: list[Header] = []
    position = one.row["entries"]
    for part in one.parts:
        leaves = leaves_of({"leaves": part.leaves})
        headers.append(
            Header(
                number=number + 1,
                previous=previous,
                log=one.log,
                position=position,
                entries=part.entries,
                last_xid=part.last_xid,
                last_seq=part.last_seq,
                root=merkle.root(leaves),
                sealed_at=now,
            )
        )
        number, previous = headers[-1].number, headers[-1].hash()
        position += part.entries
    return headers


async def _store(work: Work, headers: Sequence[Header], parts: Sequence[_Part]) -> None:
    if not headers:
        return
    await work.execute(
        _SEAL,
        VERSION,
        work.now,
        [header.number for header in headers],
        [header.previous for header in headers],
        [int(header.log) for header in headers],
        [header.position for header in headers],
        [header.entries for header in headers],
        [str(header.last_xid) for header in headers],
        [header.last_seq for header in headers],
        [part.lowest_seq for part in parts],
        [part.highest_seq for part in parts],
        [header.root for header in headers],
        [part.leaves for part in parts],
    )


async def _move_on(work: Work, one: _Waiting, own_xid: int) -> None:
    """Move a log's position past its parts, and its floor as far as is certain.

    A transaction with a later xid than ours began after `given_out` was read, so its rows lie
    above that: it becomes the floor once every transaction up to ours is sealed. While there is
    much to catch up with, all of those have ended, and the lowest row of them that is left shows.
    """
    row = one.row
    xid, seq = row["xid"], row["seq"]
    if one.parts:
        xid, seq = one.parts[-1].last_xid, one.parts[-1].last_seq
    floor, coming = row["floor_seq"], (row["coming_xid"], row["coming_seq"])
    if one.complete_below > coming[0]:
        floor, coming = coming[1], (own_xid, one.given_out)
    elif one.lowest_left is not None:
        floor = max(floor, min(one.lowest_left - 1, coming[1]))
    entries = row["entries"] + one.entries
    await work.execute(_MOVE, row["log"], str(xid), seq, entries, floor, str(coming[0]), coming[1])


_ROW: Final = """
select log, xid::text::bigint as xid, seq, entries, floor_seq,
       coming_xid::text::bigint as coming_xid, coming_seq,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint as below
from seal_positions order by log
"""
_POSITIONS: Final = _ROW
_HOLD_POSITIONS: Final = f"{_ROW} for update skip locked"

# Before its first use a sequence shows the number it will give.
_GIVEN_OUT: Final = {
    log: f"select last_value - (not is_called)::integer from {log.table}_seq_seq"  # noqa: S608 - of constants
    for log in Log
}

# Keys alone are sorted here; the rows are read and hashed by the next statement.
_CUT: Final = {
    log: f"""
    with taken as (
        select xid, seq from {log.table}
        where seq > $1 and (xid, seq) > ($2::text::xid8, $3)
          and xid < pg_snapshot_xmin(pg_current_snapshot())
        order by xid, seq limit $4
    )
    select taken.xid::text::bigint as xid, seq, count(*) over () as entries,
           min(seq) over () as lowest_seq, max(seq) over () as highest_seq
    from taken order by taken.xid desc, seq desc limit 1
    """  # noqa: S608 - one of our two tables
    for log in Log
}

_NEXT: Final = {
    log: f"""
    with taken as (
        select *, row_number() over (order by xid, seq) - 1 as place from {log.table}
        where (xid, seq) > ($1::text::xid8, $2) and (xid, seq) <= ($3::text::xid8, $4)
          and seq between $5 and $6
    )
    select count(*)::integer as entries,
           max(xid::text::bigint) as last_xid,
           (array_agg(seq order by place desc))[1] as last_seq,
           min(seq) as lowest_seq, max(seq) as highest_seq,
           string_agg({leaf_sql(log)}, ''::bytea order by place) as leaves
    from taken group by place / $7 order by place / $7
    """  # noqa: S608 - one of our two tables, its columns
    for log in Log
}

_LOWEST_LEFT: Final = {
    log: f"""
    select min(seq) from {log.table}
    where seq > $1 and (xid, seq) > ($2::text::xid8, $3) and xid <= $4::text::xid8
    """  # noqa: S608 - one of our two tables
    for log in Log
}

_TIP: Final = """
select number, version, previous, log, position, entries, last_xid::text::bigint as last_xid,
       last_seq, root, sealed_at
from seals order by number desc limit 1
"""

_SEAL: Final = """
insert into seals (version, sealed_at, number, previous, log, position, entries, last_xid, last_seq,
                   lowest_seq, highest_seq, root, leaves)
select $1, $2, number, previous, log, position, entries, last_xid::xid8, last_seq, lowest_seq,
       highest_seq, root, leaves
from unnest($3::bigint[], $4::bytea[], $5::smallint[], $6::bigint[], $7::integer[], $8::text[],
            $9::bigint[], $10::bigint[], $11::bigint[], $12::bytea[], $13::bytea[])
     as new (number, previous, log, position, entries, last_xid, last_seq, lowest_seq,
             highest_seq, root, leaves)
"""

_MOVE: Final = """
update seal_positions
set xid = $2::text::xid8, seq = $3, entries = $4, floor_seq = $5, coming_xid = $6::text::xid8,
    coming_seq = $7
where log = $1
"""

_UNSIGNED: Final = """
select number, version, previous, log, position, entries, last_xid::text::bigint as last_xid,
       last_seq, root, sealed_at
from seals s
where number > coalesce((select max(number) from seal_signatures), 0)
order by number limit $1
"""

_PUBLISH_KEY: Final = """
insert into seal_keys (key_id, public_key, first_used_at) values ($1, $2, $3)
on conflict do nothing
"""

_SIGN: Final = """
insert into seal_signatures (number, key_id, signature, signed_at)
select number, $1, signature, $2 from unnest($3::bigint[], $4::bytea[]) as new (number, signature)
on conflict do nothing
"""

_KEYS: Final = "select key_id, public_key from seal_keys order by first_used_at, key_id"
