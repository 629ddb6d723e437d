"""Balance checkpoints, business days and trial balances."""

from wallet.migrations.written import run_sql

revision = "0011_statements"
down_revision = "0010_limits_fees_exchange"


def upgrade() -> None:
    run_sql("0011_")
