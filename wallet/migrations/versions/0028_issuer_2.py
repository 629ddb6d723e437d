"""Virtual cards kept going under a frozen Smart ID; the imagined network's faults and its clock."""

from wallet.migrations.written import run_sql

revision = "0028_issuer_2"
down_revision = "0027_operations"


def upgrade() -> None:
    run_sql("0028_")
