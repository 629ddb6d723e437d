"""The ATM door whole: slips printed, cases of late reversals, the app unlocked by card."""

from wallet.migrations.written import run_sql

revision = "0023_atm"
down_revision = "0022_wall"


def upgrade() -> None:
    run_sql("0023_")
