"""The issuer whole: cases of purchases closed, cards frozen by their bank, people leaving."""

from wallet.migrations.written import run_sql

revision = "0024_issuer"
down_revision = "0023_atm"


def upgrade() -> None:
    run_sql("0024_")
