"""Disputes, their events and refunds."""

from wallet.migrations.written import run_sql

revision = "0008_disputes"
down_revision = "0007_notifications"


def upgrade() -> None:
    run_sql("0008_")
