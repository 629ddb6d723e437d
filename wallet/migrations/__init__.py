"""The tables, as written-out SQL in `sql/`, run in order by Alembic. No ORM, no autogeneration.

Promise: `upgrade` brings a database from any earlier revision to the newest, one transaction a
revision; run twice it changes nothing. Who calls: runtime, tests.
"""

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config


async def upgrade(url: str, revision: str = "head") -> None:
    """Migrate the database at `url` (a role that may create tables) up to `revision`."""
    config = Config()
    # Alembic interpolates % in options; a folder's path may hold one.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["url"] = url.replace("postgresql://", "postgresql+asyncpg://", 1)
    await asyncio.to_thread(command.upgrade, config, revision)
