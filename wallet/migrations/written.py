"""Runs the written SQL files of a revision, each as one script. Who calls: `versions/`."""

from pathlib import Path
from typing import Any, Final

from alembic import op

SQL_FOLDER: Final = Path(__file__).parent / "sql"


def run_sql(prefix: str) -> None:
    """Run every `sql/<prefix>*.sql` in name order, inside the revision's transaction."""
    files = sorted(SQL_FOLDER.glob(f"{prefix}*.sql"))
    if not files:
        raise FileNotFoundError(f"no SQL file for {prefix}")
    # SQLAlchemy opens the transaction at its own first statement; a script sent past it would
    # otherwise commit by itself.
    op.execute("select 1")
    connection: Any = op.get_bind().connection.dbapi_connection
    for file in files:
        script = file.read_text("utf-8")
        # The driver runs a whole script at once; a prepared statement could hold only one.
        connection.run_async(lambda raw, script=script: raw.execute(script))
