"""Purchases with cards: authorisations, their events, cases, habits and questions to the holder."""

from wallet.migrations.written import run_sql

revision = "0020_authorisations"
down_revision = "0019_controls"


def upgrade() -> None:
    run_sql("0020_")
