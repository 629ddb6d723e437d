"""Counters of limits; the terms (limits, fees, rates) that bank operations set."""

from wallet.migrations.written import run_sql

revision = "0010_limits_fees_exchange"
down_revision = "0009_ledger_model"


def upgrade() -> None:
    run_sql("0010_")
