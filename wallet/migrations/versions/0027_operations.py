"""Bank operations: what two of a bank's clerks decide, and the entries of house accounts."""

from wallet.migrations.written import run_sql

revision = "0027_operations"
down_revision = "0026_narrower"


def upgrade() -> None:
    run_sql("0027_")
