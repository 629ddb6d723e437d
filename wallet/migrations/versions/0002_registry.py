"""Banks, agencies, people, applications, Smart IDs."""

from wallet.migrations.written import run_sql

revision = "0002_registry"
down_revision = "0001_money"


def upgrade() -> None:
    run_sql("0002_")
