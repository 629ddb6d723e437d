"""Controls of virtual cards: sheets by version, what was decided under them, shadows."""

from wallet.migrations.written import run_sql

revision = "0019_controls"
down_revision = "0018_cards_whole"


def upgrade() -> None:
    run_sql("0019_")
