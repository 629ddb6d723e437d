"""Banks, agencies, people, applications, Smart IDs: see sql/0002_registry.sql."""

from pathlib import Path

from alembic import op

revision = "0002_registry"
down_revision = "0001_money"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "0002_registry.sql"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(_SQL.read_text(encoding="utf-8"))


def downgrade() -> None:
    raise RuntimeError("books are never migrated backwards: restore a backup")
