"""Idempotency keys of callers that hold no API token: deploy systems, senders of alerts, registries."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("idempotency_keys", reflect_kwargs={"resolve_fks": False}) as table:
        table.add_column(sa.Column("caller", sa.Text(), nullable=True))
        table.alter_column("token_id", existing_type=sa.BigInteger(), nullable=True)
        table.create_unique_constraint(op.f("uq_idempotency_keys_caller_key"), ["caller", "key"])
        table.create_check_constraint(
            op.f("ck_idempotency_keys_of_one_caller"), "(token_id IS NULL) <> (caller IS NULL)"
        )
