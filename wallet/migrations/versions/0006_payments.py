"""Payments that holders start: KHQR codes and phone top-ups (sql/0006_*.sql)."""

from wallet.migrations.written import run_sql

revision = "0006_payments"
down_revision = "0005_salary"


def upgrade() -> None:
    run_sql("0006_")
