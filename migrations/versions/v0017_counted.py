"""What every look of Prometheus counts, counted by an index instead of by reading every row."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_promotions_kind", "promotions", ["kind"])
    op.create_index("ix_decisions_kind", "decisions", ["kind"])
