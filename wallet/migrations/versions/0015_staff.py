"""Staff: passkeys, sessions, roles as data, four eyes, emergency access; what audit rows tell."""

from wallet.migrations.written import run_sql

revision = "0015_staff"
down_revision = "0014_access_deepened"


def upgrade() -> None:
    run_sql("0015_")
