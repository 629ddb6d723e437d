"""Callers named by one function; QR payments with fewer indexes."""

from wallet.migrations.written import run_sql

revision = "0013_payments_quicker"
down_revision = "0012_seals"


def upgrade() -> None:
    run_sql("0013_")
