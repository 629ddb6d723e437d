"""Phones with attestations and sums, sessions that read longer, recovery codes, number changes."""

from wallet.migrations.written import run_sql

revision = "0014_access_deepened"
down_revision = "0013_payments_quicker"


def upgrade() -> None:
    run_sql("0014_")
