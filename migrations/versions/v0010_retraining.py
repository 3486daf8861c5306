"""What was asked of those who train, and what for."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "retrainings",
        sa.Column("id", BIG, nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("promotion_id", BIG, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("claimed_until", MOMENT, nullable=True),
        sa.Column("tried_at", MOMENT, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("said", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('drift', 'rollback', 'age')", name=op.f("ck_retrainings_kind")),
        sa.CheckConstraint("state IN ('pending', 'sent', 'refused')", name=op.f("ck_retrainings_state")),
        sa.ForeignKeyConstraint(["promotion_id"], ["promotions.id"], name=op.f("fk_retrainings_promotion_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retrainings")),
        sa.UniqueConstraint("cause", name=op.f("uq_retrainings_cause")),
        sa.UniqueConstraint("key", name=op.f("uq_retrainings_key")),
    )
    op.create_index("ix_retrainings_stage", "retrainings", ["model", "stage", "id"])
    pending = sa.text("state = 'pending'")
    op.create_index("ix_retrainings_due", "retrainings", ["due_at"], sqlite_where=pending, postgresql_where=pending)
