"""What alerts propose is one open proposal a version, no longer a stage: the champion and what replaces it may both fire."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    still_open = sa.text("state = 'open'")
    op.drop_index("uq_proposals_open", "proposals")
    op.create_index(
        "uq_proposals_open",
        "proposals",
        ["model", "stage", "version"],
        unique=True,
        sqlite_where=still_open,
        postgresql_where=still_open,
    )
