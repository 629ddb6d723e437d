"""Cards for one merchant and for subscriptions, renewed cards, check-value tries, wallet tokens."""

from wallet.migrations.written import run_sql

revision = "0018_cards_whole"
down_revision = "0016_hosts"


def upgrade() -> None:
    run_sql("0018_")
