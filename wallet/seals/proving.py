"""Journal and audit trail against what was sealed: the first row that differs, by name.

Promise: runs beside payments: short readings of `TOGETHER` batches each, no locks, memory for one
of them; bounded by the chain's end as it was when it began. The whole form reads every sealed row;
the other begins after the last seal that was found right, which is remembered with its hash, so
that a chain rewritten or cut behind it is found too. What each check can find:

    chained and signed   a changed, missing or foreign header; another's key; an end cut off
    as sealed            a row changed, deleted, added or moved inside what was sealed
    nothing between      a row written into the sealed past, or with a transaction of the future

Tables owned: seal_verified. Who calls: runtime (`smartid prove`).
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from wallet.ledger.proof import Finding
from wallet.seals import chain, locating, merkle
from wallet.seals.chain import Keys
from wallet.seals.leaves import Log, leaf_sql
from wallet.seals.sealing import header_of, leaves_of, signed_header_of
from wallet.work import SYSTEM, Work, Works

TOGETHER: Final = 64
"""Batches in one reading: some 65,000 rows, two megabytes of hashes."""

UNSIGNED_FOR: Final = timedelta(minutes=10)
"""How long a seal may stand without a signature."""

CHAINED: Final = "the seals are chained, whole and signed"
AS_SEALED: Final = {
    Log.TRANSFERS: "every transfer is as it was sealed",
    Log.AUDIT: "every audit row is as it was sealed",
}
NOTHING_BETWEEN: Final = {
    Log.TRANSFERS: "no transfer was slipped in between what was sealed",
    Log.AUDIT: "no audit row was slipped in between what was sealed",
}


class Known(Struct, frozen=True, kw_only=True):
    """A header somebody holds from earlier; `whose` says who, for the finding."""

    number: int
    hash: bytes
    whose: str


class Proved(Struct, frozen=True, kw_only=True):
    """What was found, and how much was looked at."""

    findings: list[Finding]
    first_seal: int
    last_seal: int
    rows: int

    @property
    def right(self) -> bool:
        return all(finding.right for finding in self.findings)


async def prove_seals(
    works: Works, keys: Keys, *, whole: bool = True, known: Iterable[Known] = ()
) -> Proved:
    """Compare what is sealed with what stands there; remember how far it was right.

    `keys`: whose signatures are believed, from the key store and not from the database.
    `whole=False` begins after the last seal remembered as right.
    """
    ends = await works.read(SYSTEM, None, _ends)
    remembered = await works.read(SYSTEM, None, _remembered)
    begin = remembered.number if remembered is not None and not whole else 0
    walk = _Walk(keys)
    held = [*known, *([remembered] if remembered is not None else [])]
    await works.read(SYSTEM, None, lambda work: walk.begin(work, begin, held))
    while walk.number < ends[0] and not walk.stopped:
        reading = await works.read(SYSTEM, None, lambda work: walk.read(work, ends[0]))
        for log, batches, after in walk.compare(reading):
            difference = await works.read(
                SYSTEM,
                None,
                lambda work, at=(log, batches, after): locating.first_difference(work, *at),  # type: ignore[misc]
            )
            walk.fault(AS_SEALED[log], difference)
    if not walk.stopped:
        walk.compare_ends(ends[1])
    if whole:
        for log in Log:
            await works.read(SYSTEM, None, lambda work, log=log: walk.between(work, log))  # type: ignore[misc]
    findings = [
        Finding(check=check, difference=walk.faults.get(check))
        for check in (CHAINED, *AS_SEALED.values(), *(NOTHING_BETWEEN.values() if whole else ()))
    ]
    proved = Proved(findings=findings, first_seal=begin + 1, last_seal=walk.number, rows=walk.rows)
    if proved.right and walk.number:
        await works.perform(
            SYSTEM,
            None,
            lambda work: work.execute(_REMEMBER, walk.number, walk.previous, work.now),
        )
    return proved


class _Reading(Struct, frozen=True, kw_only=True):
    """Some batches, and each log's leaf hashes as its rows make them now."""

    batches: list[Any]
    standing: dict[Log, bytes]
    now: datetime


class _Walk:
    """One way along the chain: where it is, and the first fault of each check."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self.number = 0
        self.previous = chain.FIRST
        self.rows = 0
        self.faults: dict[str, str] = {}
        self.stopped = False
        self._signed_up_to = 0
        # (xid, seq) of the last sealed row, and how many rows were sealed
        self._at: dict[Log, tuple[int, int, int]] = dict.fromkeys(Log, (0, 0, 0))

    async def begin(self, work: Work, number: int, known: Iterable[Known]) -> None:
        """Stand behind seal `number`, and look whether what others hold is still so."""
        for one in known:
            row = await work.row(_HEADER, one.number)
            if row is None:
                self.fault(
                    CHAINED,
                    f"{one.whose} seal {one.number}, which is gone: the end of the chain was cut",
                )
            elif header_of(row).hash() != one.hash:
                self.fault(
                    CHAINED, f"{one.whose} another seal {one.number}: the chain was written anew"
                )
        self._signed_up_to = await work.value(_SIGNED_UP_TO)
        if not number:
            return
        row = await work.row(_HEADER, number)
        if row is None:
            self.stopped = True
            return
        self.number, self.previous = number, header_of(row).hash()
        for last in await work.rows(_LAST_OF_EACH, number):
            sealed = last["position"] + last["entries"]
            self._at[Log(last["log"])] = (last["last_xid"], last["last_seq"], sealed)

    async def read(self, work: Work, end: int) -> "_Reading":
        """The next batches, and the leaf hashes of the rows that stand there now."""
        batches = await work.rows(_BATCHES, self.number, min(end, self.number + TOGETHER))
        standing = {}
        for log in Log:
            mine = [row for row in batches if row["log"] == log]
            if mine:
                xid, seq, _ = self._at[log]
                last = mine[-1]
                lowest = min(row["lowest_seq"] for row in mine)
                highest = max(row["highest_seq"] for row in mine)
                ends = (str(last["last_xid"]), last["last_seq"], lowest, highest)
                standing[log] = await work.value(_LEAVES[log], str(xid), seq, *ends) or b""
        return _Reading(batches=batches, standing=standing, now=work.now)

    def compare(self, reading: "_Reading") -> list[tuple[Log, list[Any], tuple[int, int]]]:
        """Go past these batches; answers where rows differ, to be looked at one by one: the log,
        its batches and the (xid, seq) before them."""
        if not reading.batches:
            self.fault(CHAINED, f"seal {self.number + 1} is gone")
            self.stopped = True
        began = dict(self._at)
        for row in reading.batches:
            told = self._header_fault(row, reading.now)
            if told is not None:
                self.fault(CHAINED, told)
            header = header_of(row)
            self.number, self.previous = header.number, header.hash()
            sealed = header.position + header.entries
            self._at[header.log] = (header.last_xid, header.last_seq, sealed)
            self.rows += header.entries
        odd = []
        for log, standing in reading.standing.items():
            mine = [row for row in reading.batches if row["log"] == log]
            if AS_SEALED[log] not in self.faults and standing != b"".join(
                row["leaves"] for row in mine
            ):
                odd.append((log, mine, began[log][:2]))
        return odd

    def compare_ends(self, positions: dict[Log, tuple[int, int, int]]) -> None:
        """The chain must end where the sealer stands."""
        for log in Log:
            if self._at[log] != positions[log]:
                self.fault(
                    CHAINED,
                    f"{log.table}: the chain ends with {self._at[log][2]} entries, the sealer had "
                    f"sealed {positions[log][2]}: its end was cut, or its position was moved",
                )

    async def between(self, work: Work, log: Log) -> None:
        """Every row up to the end is in a batch, and none is of a transaction still to come."""
        xid, seq, sealed = self._at[log]
        row = await work.row(_COUNTS[log], str(xid), seq)
        assert row is not None  # noqa: S101 - an aggregate answers one row
        if row["ahead"] is not None:
            self.fault(
                NOTHING_BETWEEN[log],
                f"the row with seq {row['ahead']} names a transaction that has not been yet",
            )
        if row["up_to_end"] != sealed and self.faults.keys().isdisjoint((CHAINED, AS_SEALED[log])):
            odd = await work.value(_OUTSIDE[log], str(xid), seq)
            told = f"the row with seq {odd}" if odd is not None else "a row"
            self.fault(
                NOTHING_BETWEEN[log],
                f"{told} stands where {sealed} rows were sealed and {row['up_to_end']} are now",
            )

    def _header_fault(self, row: Any, now: datetime) -> str | None:
        header = header_of(row)
        leaves = leaves_of(row)
        if header.number != self.number + 1:
            return f"seal {self.number + 1} is gone"
        if header.previous != self.previous:
            return f"seal {header.number} does not follow seal {self.number}: one of them changed"
        if header.position != self._at[header.log][2]:
            return f"seal {header.number} does not begin where the one before it ended"
        if row["signature"] is not None:
            fault = chain.signature_fault(signed_header_of(row), self._keys)
            if fault is not None:
                return fault
        elif header.number <= self._signed_up_to or now - header.sealed_at > UNSIGNED_FOR:
            return f"seal {header.number} has no signature"
        if merkle.root(leaves) != header.root:
            return f"seal {header.number}: its leaves do not make its root"
        return None

    def fault(self, check: str, difference: str) -> None:
        self.faults.setdefault(check, difference)


async def _ends(work: Work) -> tuple[int, dict[Log, tuple[int, int, int]]]:
    """The chain's last number, and the sealer's positions at that very moment."""
    rows = await work.rows(_ENDS)
    return rows[0]["number"], {
        Log(row["log"]): (row["xid"], row["seq"], row["entries"]) for row in rows
    }


async def _remembered(work: Work) -> Known | None:
    row = await work.row("select number, header_hash from seal_verified")
    if row is None:
        return None
    return Known(
        number=row["number"], hash=row["header_hash"], whose="the last proof that was right saw"
    )


_ENDS: Final = """
select log, xid::text::bigint as xid, seq, entries,
       coalesce((select max(number) from seals), 0) as number
from seal_positions order by log
"""

_HEADER_FIELDS: Final = """s.number, s.version, s.previous, s.log, s.position, s.entries,
       s.last_xid::text::bigint as last_xid, s.last_seq, s.root, s.sealed_at"""

_HEADER: Final = f"select {_HEADER_FIELDS} from seals s where number = $1"  # noqa: S608 - of constants

_LAST_OF_EACH: Final = f"""
select ends.* from (values (1), (2)) as logs (log) cross join lateral (
    select {_HEADER_FIELDS} from seals s where s.log = logs.log and s.number <= $1
    order by s.number desc limit 1) as ends
"""  # noqa: S608 - of constants

_SIGNED_UP_TO: Final = "select coalesce(max(number), 0) from seal_signatures"

_BATCHES: Final = f"""
select {_HEADER_FIELDS}, s.lowest_seq, s.highest_seq, s.leaves, g.key_id, g.signature
from seals s left join seal_signatures g on g.number = s.number
where s.number > $1 and s.number <= $2 order by s.number
"""  # noqa: S608 - of constants

_LEAVES: Final = {
    log: f"""
    select string_agg(leaf, ''::bytea order by xid, seq)
    from (select xid, seq, {leaf_sql(log)} as leaf from {log.table}
          where (xid, seq) > ($1::text::xid8, $2) and (xid, seq) <= ($3::text::xid8, $4)
            and seq between $5 and $6) as sealed
    """  # noqa: S608 - of constants
    for log in Log
}

_COUNTS: Final = {
    log: f"""
    select count(*) filter (where (xid, seq) <= ($1::text::xid8, $2)) as up_to_end,
           min(seq) filter (where xid >= pg_snapshot_xmax(pg_current_snapshot())) as ahead
    from {log.table}
    """  # noqa: S608 - of constants
    for log in Log
}

# Only looked for when the count is wrong: rows outside the reach of the batch they would be in.
_OUTSIDE: Final = {
    log: f"""
    select t.seq from {log.table} t
    where (t.xid, t.seq) <= ($1::text::xid8, $2)
      and not exists (
          select 1 from (
              select lowest_seq, highest_seq from seals s
              where s.log = {int(log)} and (s.last_xid, s.last_seq) >= (t.xid, t.seq)
              order by s.last_xid, s.last_seq limit 1) as its
          where t.seq between its.lowest_seq and its.highest_seq)
    order by t.seq limit 1
    """  # noqa: S608 - of constants
    for log in Log
}

_REMEMBER: Final = """
insert into seal_verified (number, header_hash, at) values ($1, $2, $3)
on conflict (one) do update set number = excluded.number, header_hash = excluded.header_hash,
                                at = excluded.at
where seal_verified.number <= excluded.number
"""
