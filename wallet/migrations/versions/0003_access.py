"""Who may ask: phones, sessions, intents; staff, approvals, ATM hosts (sql/0003_*.sql)."""

from wallet.migrations.written import run_sql

revision = "0003_access"
down_revision = "0002_registry"


def upgrade() -> None:
    run_sql("0003_")
