"""Writes gathered on their way: what a transaction stores, sent to the server as one statement.

Promise: a group's rows for ten tables cost one round trip instead of ten. Each room writes its own
`insert`, `update` or `delete` over its own parameters; here they become the parts of one `with`,
carried out in the order they were stored in, but for those that ask to be last. All parts see the
tables as they were before the statement, so none may need what another stores, and no two may
change the same row (PostgreSQL carries out only one of them): whoever has to read first simply
reads, and what was stored by then goes ahead (Work sees to it).

Pure but for a memory of composed texts. Who calls: work; outbox, audit and jobs make theirs.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

import msgspec
from msgspec import Struct

_PARAMETER: Final = re.compile(r"\$(\d+)")


class Write(Struct, frozen=True, kw_only=True):
    """One `insert`, `update` or `delete`, without `returning`, with parameters from $1 on.

    Columns come as lists, of which at least one has no nulls. `first`: named selects that go before
    it and that it may read, such as rows to be locked; their names must be the room's own. `rows`:
    how many rows it has to touch, and `short` what is raised when it touched another number.
    `clash`: what is raised when a row of `table` broke a unique index or a check. `last`: it takes
    locks everybody wants, so it is carried out after the others, next to the commit.
    """

    table: str
    sql: str
    arguments: tuple[Any, ...]
    first: tuple[tuple[str, str], ...] = ()
    rows: int | None = None
    short: Exception | None = None
    clash: Exception | None = None
    last: bool = False


def in_order(writes: Sequence[Write]) -> list[Write]:
    """As they are to be carried out: those that are to be last behind the others."""
    return sorted(writes, key=_is_last)


_is_last: Final = attrgetter("last")


def composed(writes: Sequence[Write]) -> tuple[str, list[Any]]:
    """One statement for all of them, answering for each how many rows it touched."""
    text = _composed(tuple((write.first, write.sql, len(write.arguments)) for write in writes))
    return text, [_told(argument) for write in writes for argument in write.arguments]


def as_json(value: Any) -> str:
    """A value for a column cast to jsonb: texts are what the driver takes most quickly."""
    return msgspec.json.encode(value).decode()


def missed(writes: Sequence[Write], touched: Sequence[int]) -> Exception | None:
    """What to raise for the first write that did not touch the rows it had to."""
    for write, rows in zip(writes, touched, strict=True):
        if write.rows is not None and rows != write.rows:
            told = f"{write.table}: {rows} rows written, not {write.rows}"
            return write.short or AssertionError(told)
    return None


def _told(argument: Any) -> Any:
    """A column of nothing but nulls is told as one null: `unnest` fills what is shorter with nulls,
    and the driver looks at every element twice. One of no rows stays what it is."""
    if type(argument) is list and argument and all(value is None for value in argument):
        return None
    return argument


@lru_cache(1024)
def _composed(writes: tuple[tuple[tuple[tuple[str, str], ...], str, int], ...]) -> str:
    parts: list[str] = []
    before = 0
    for place, (first, sql, arguments) in enumerate(writes):
        parts += [f"{name} as materialized ({_moved(select, before)})" for name, select in first]
        parts.append(f"w{place} as ({_moved(sql, before)} returning 1)")
        before += arguments
    # Of our own texts alone: what callers send are parameters.
    counts = ", ".join(f"(select count(*) from w{n})" for n in range(len(writes)))  # noqa: S608 - of constants
    return f"with {', '.join(parts)} select {counts}"


def _moved(sql: str, by: int) -> str:
    return _PARAMETER.sub(lambda match: f"${int(match.group(1)) + by}", sql)
