"""Codes by push, secrets of callbacks, approvals that bind what they approve."""

from wallet.migrations.written import run_sql

revision = "0029_gate"
down_revision = "0028_issuer_2"


def upgrade() -> None:
    run_sql("0029_")
