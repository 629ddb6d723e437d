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
