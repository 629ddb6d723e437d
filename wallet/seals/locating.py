"""Which row differs: a batch's sealed leaf hashes beside those of the rows that stand there now.

Promise: read-only, one batch at a time; names batch, place and row. Who calls: proving, once it
knows that something differs.
"""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from wallet.seals.leaves import Log, leaf_sql
from wallet.seals.sealing import leaves_of
from wallet.work import Work


class Standing(Struct, frozen=True, kw_only=True):
    """A row as it stands: its leaf hash now, and its name for people."""

    leaf: bytes
    name: str


async def first_difference(
    work: Work, log: Log, batches: Sequence[Any], after: tuple[int, int]
) -> str:
    """The first difference in these consecutive batches of one log, in words."""
    for batch in batches:
        last = (batch["last_xid"], batch["last_seq"])
        rows = await work.rows(_ROWS[log], str(after[0]), after[1], str(last[0]), last[1])
        standing = [Standing(leaf=row["leaf"], name=row["name"]) for row in rows]
        told = decide_difference(leaves_of(batch), standing)
        if told is not None:
            return f"seal {batch['number']}, {told}"
        after = last
    return f"seal {batches[0]['number']}: its rows were changed while they were read"


def decide_difference(sealed: Sequence[bytes], standing: Sequence[Standing]) -> str | None:
    """The first difference between what was sealed and what stands; None when there is none."""
    stands = {row.leaf for row in standing}
    known = set(sealed)
    for place, row in enumerate(standing):
        if place < len(sealed) and row.leaf == sealed[place]:
            continue
        if row.leaf in known:
            return f"place {place}: a row is gone, before {row.name}"
        if place >= len(sealed) or sealed[place] in stands:
            return f"place {place}: {row.name} was added after the sealing"
        return f"place {place}: {row.name} is not as it was sealed"
    if len(standing) < len(sealed):
        told = f", after {standing[-1].name}" if standing else ""
        return f"place {len(standing)}: a row is gone{told}"
    return None


_NAME: Final = {
    Log.TRANSFERS: "format('transfer %s (seq %s)', id, seq)",
    Log.AUDIT: "format('audit row %s (%s)', seq, act)",
}

# By order alone, not by the range of seq: a row that was given another seq shows here.
_ROWS: Final = {
    log: f"""
    select {leaf_sql(log)} as leaf, {_NAME[log]} as name from {log.table}
    where (xid, seq) > ($1::text::xid8, $2) and (xid, seq) <= ($3::text::xid8, $4)
    order by xid, seq
    """  # noqa: S608 - of constants
    for log in Log
}
