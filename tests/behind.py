"""What stands in the tables, read across all banks: outside a Work the walls show nothing."""

from typing import Any

from wallet.database import Database, Wall

EVERYTHING = Wall(bank="*", role="smartid_worker", caller="system:test", agency="")


async def rows_of_all_banks(
    database: Database, sql: str, *arguments: Any, wall: Wall = EVERYTHING
) -> list[Any]:
    """One query, behind `wall`; it may read and nothing else."""
    connection = await database.acquire()
    try:
        await connection.begin_read(wall)
        found: list[Any] = await connection.raw.fetch(sql, *arguments)
        return found
    finally:
        await database.release(connection)


async def every_table(database: Database) -> dict[str, str]:
    """A digest of every byte of every table there is, by its name."""
    named = await rows_of_all_banks(database, _TABLES)
    digests = [
        f"select '{row['name']}' as name, md5(string_agg(t::text, '|' order by t::text)) as digest"
        f" from {row['name']} t"
        for row in named
    ]
    rows = await rows_of_all_banks(database, " union all ".join(digests))
    return {row["name"]: row["digest"] or "" for row in rows}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """The tables that differ."""
    return {name for name in after if before.get(name) != after[name]}


_TABLES = """
select c.relname as name from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
  and c.relname <> 'alembic_version'
"""
