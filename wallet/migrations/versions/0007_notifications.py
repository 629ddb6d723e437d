"""The inbox."""

from wallet.migrations.written import run_sql

revision = "0007_notifications"
down_revision = "0006_payments"


def upgrade() -> None:
    run_sql("0007_")
