"""The whole transfer model: closings, tombstones, balancing, forced posts, reversals."""

from wallet.migrations.written import run_sql

revision = "0009_ledger_model"
down_revision = "0008_disputes"


def upgrade() -> None:
    run_sql("0009_")
