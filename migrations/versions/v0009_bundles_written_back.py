"""A registry is told of every member of a bundle: two of them may have the same version number."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("uq_write_backs_decision", "write_backs")
    once = sa.text("drift_id IS NULL")
    op.create_index(
        "uq_write_backs_decision",
        "write_backs",
        ["promotion_id", "model", "version"],
        unique=True,
        sqlite_where=once,
        postgresql_where=once,
    )
