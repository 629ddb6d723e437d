"""Salary runs, files, lines and shares."""

from wallet.migrations.written import run_sql

revision = "0005_salary"
down_revision = "0004_cards"


def upgrade() -> None:
    run_sql("0005_")
