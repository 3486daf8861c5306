"""Bundles: what a version is made of, and what becomes of each member while it is promoted."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("model_versions", "promotions"):
        op.add_column(table, sa.Column("members", sa.JSON(), nullable=True))
