"""What hangs on a promotion is found without reading all of it: unique indexes that hold for some rows find only those."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("decisions", "deployments", "champions"):
        op.create_index(f"ix_{table}_promotion", table, ["promotion_id"])
