"""Seals over the journal and the audit trail."""

from wallet.migrations.written import run_sql

revision = "0012_seals"
down_revision = "0011_statements"


def upgrade() -> None:
    run_sql("0012_")
