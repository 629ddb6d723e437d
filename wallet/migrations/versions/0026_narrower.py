"""Narrower grants: a clerk reads no purchase, and only who breaks glass reads that table."""

from wallet.migrations.written import run_sql

revision = "0026_narrower"
down_revision = "0024_issuer"


def upgrade() -> None:
    run_sql("0026_")
