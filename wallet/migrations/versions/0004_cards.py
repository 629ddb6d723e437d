"""The vault's data keys, virtual cards, their history, and what ATMs asked for."""

from wallet.migrations.written import run_sql

revision = "0004_cards"
down_revision = "0003_access"


def upgrade() -> None:
    run_sql("0004_")
