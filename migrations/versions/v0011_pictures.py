"""Pictures in threads, and the looks of a rollout that one of them shows."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KINDS = "kind IN ('card', 'thread', 'direct', 'digest', 'alert', 'drift', 'registry', 'picture')"


def upgrade() -> None:
    op.create_table(
        "rollout_looks",
        sa.Column("id", BIG, nullable=False),
        sa.Column("promotion_id", BIG, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("traffic", sa.Integer(), nullable=False),
        sa.Column("found", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["promotion_id"], ["promotions.id"], name=op.f("fk_rollout_looks_promotion_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollout_looks")),
    )
    op.create_index("ix_rollout_looks_promotion", "rollout_looks", ["promotion_id", "id"])
    op.drop_index("ix_messages_stale", "messages")
    with op.batch_alter_table("messages", reflect_kwargs={"resolve_fks": False}) as table:
        table.drop_constraint(op.f("ck_messages_kind"), type_="check")
        table.create_check_constraint(op.f("ck_messages_kind"), KINDS)
    stale = sa.text("shown < wanted")
    op.create_index("ix_messages_stale", "messages", ["due_at"], sqlite_where=stale, postgresql_where=stale)
