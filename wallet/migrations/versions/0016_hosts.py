"""Keys, certificates and spent nonces of machines: ATM hosts, banks, agencies."""

from wallet.migrations.written import run_sql

revision = "0016_hosts"
down_revision = "0015_staff"


def upgrade() -> None:
    run_sql("0016_")
