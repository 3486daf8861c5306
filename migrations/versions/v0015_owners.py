"""Whose a token is, and so who asked for what it asks for. The release before writes neither, and they are empty then."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_tokens", sa.Column("owner", sa.Text(), nullable=False, server_default=""))
    op.add_column("promotions", sa.Column("requester_owner", sa.Text(), nullable=False, server_default=""))
