"""Roles, accounts, transfers, holds, idempotency, events, audit, jobs."""

from wallet.migrations.written import run_sql

revision = "0001_money"
down_revision = None


def upgrade() -> None:
    run_sql("0001_")
