"""The wall by caller: a database role for each kind of caller; names apart; keys that change."""

from wallet.migrations.written import run_sql

revision = "0022_wall"
down_revision = "0020_authorisations"


def upgrade() -> None:
    run_sql("0022_")
