"""Rollouts that move traffic in steps: where each is, and the acts that its steps ask of the deploy target."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _deployments()
    _decisions()
    _rollouts()


def _deployments() -> None:
    """An act is one step of a rollout, and may be a job elsewhere that is followed."""
    op.drop_index("uq_deployments_action", "deployments")
    with op.batch_alter_table("deployments", reflect_kwargs={"resolve_fks": False}) as table:
        table.add_column(sa.Column("step", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("traffic", sa.Integer(), nullable=False, server_default="100"))
        table.add_column(sa.Column("run", sa.Text(), nullable=False, server_default=""))
        table.add_column(sa.Column("tried_at", MOMENT, nullable=True))
        table.drop_constraint(op.f("ck_deployments_action"), type_="check")
        table.create_check_constraint(op.f("ck_deployments_action"), "action IN ('deploy', 'set_traffic', 'rollback')")
    live = sa.text("state <> 'cancelled'")
    op.create_index(
        "uq_deployments_action",
        "deployments",
        ["promotion_id", "action", "step"],
        unique=True,
        sqlite_where=live,
        postgresql_where=live,
    )


def _decisions() -> None:
    """A yes may have a limit: so much traffic for so long, then the person is asked again."""
    for column in ("limit_percent", "limit_seconds"):
        op.add_column("decisions", sa.Column(column, sa.Integer(), nullable=True))


def _rollouts() -> None:
    op.create_table(
        "rollouts",
        sa.Column("promotion_id", BIG, nullable=False, autoincrement=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("steps", sa.JSON(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("traffic", sa.Integer(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("phase_since", MOMENT, nullable=False),
        sa.Column("hold_until", MOMENT, nullable=True),
        sa.Column("due_at", MOMENT, nullable=True),
        sa.Column("progress", sa.JSON(), nullable=True),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("paused_by", sa.Text(), nullable=False),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.Column("abort", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("claimed_until", MOMENT, nullable=True),
        sa.CheckConstraint(
            "phase IN ('acting', 'holding', 'asking', 'verifying', 'ended')", name=op.f("ck_rollouts_phase")
        ),
        sa.ForeignKeyConstraint(["promotion_id"], ["promotions.id"], name=op.f("fk_rollouts_promotion_id")),
        sa.PrimaryKeyConstraint("promotion_id", name=op.f("pk_rollouts")),
    )
    op.create_index("ix_rollouts_due", "rollouts", ["due_at"])
