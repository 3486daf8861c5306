"""Rollouts that move traffic in steps, and alerts that propose to go back."""

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
    _alerts()


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


def _alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", BIG, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("starts_at", MOMENT, nullable=False),
        sa.Column("ends_at", MOMENT, nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("proposal_id", BIG, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sa.UniqueConstraint("source", "fingerprint", "starts_at", name=op.f("uq_alerts_source_fingerprint_starts_at")),
    )
    op.create_index("ix_alerts_proposal", "alerts", ["proposal_id"])
    op.create_table(
        "proposals",
        sa.Column("id", BIG, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("promotion_id", BIG, nullable=True),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=False),
        sa.Column("closed_by_name", sa.Text(), nullable=False),
        sa.CheckConstraint("state IN ('open', 'accepted', 'dismissed', 'withdrawn')", name=op.f("ck_proposals_state")),
        sa.CheckConstraint("mode IN ('auto', 'ask', 'notify')", name=op.f("ck_proposals_mode")),
        sa.ForeignKeyConstraint(["promotion_id"], ["promotions.id"], name=op.f("fk_proposals_promotion_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proposals")),
    )
    still_open = sa.text("state = 'open'")
    op.create_index(
        "uq_proposals_open",
        "proposals",
        ["model", "stage"],
        unique=True,
        sqlite_where=still_open,
        postgresql_where=still_open,
    )
    op.drop_index("ix_messages_stale", "messages")
    with op.batch_alter_table("messages", reflect_kwargs={"resolve_fks": False}) as table:
        table.drop_constraint(op.f("ck_messages_kind"), type_="check")
        table.create_check_constraint(
            op.f("ck_messages_kind"), "kind IN ('card', 'thread', 'direct', 'digest', 'alert')"
        )
    stale = sa.text("shown < wanted")
    op.create_index("ix_messages_stale", "messages", ["due_at"], sqlite_where=stale, postgresql_where=stale)
