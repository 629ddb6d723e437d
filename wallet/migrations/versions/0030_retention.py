"""What is over is found by its moment."""

from wallet.migrations.written import run_sql

revision = "0030_retention"
down_revision = "0029_gate"


def upgrade() -> None:
    run_sql("0030_")
