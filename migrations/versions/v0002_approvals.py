"""Approvals that hold up: withdrawn and delegated decisions, evidence, barriers, break-glass, preferences."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: SQLite rebuilds a table to change it; the tables that it points at need not be looked at for that.
ALONE = {"resolve_fks": False}
MOMENT = sa.DateTime(timezone=True)
#: What a decision said is never changed; only that it no longer counts may be added.
SAID = "promotion_id, actor, actor_name, kind, reason, groups, evidence_digest, at, principal, principal_name"


def upgrade() -> None:
    _promotions()
    _decisions()
    _deployments()
    _barriers()
    _people()


def _promotions() -> None:
    for column in (
        sa.Column("evidence", sa.JSON(), nullable=True),
        sa.Column("waiting_for", sa.Text(), nullable=False, server_default=""),
        sa.Column("waiting_until", MOMENT, nullable=True),
        sa.Column("nudge_at", MOMENT, nullable=True),
    ):
        op.add_column("promotions", column)
    op.create_index("ix_promotions_nudge", "promotions", ["nudge_at"])


def _decisions() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    if sqlite:
        op.execute("DROP TRIGGER decisions_no_delete")
    with op.batch_alter_table("decisions", reflect_kwargs=ALONE) as table:
        table.add_column(sa.Column("principal", sa.Text(), nullable=False, server_default=""))
        table.add_column(sa.Column("principal_name", sa.Text(), nullable=False, server_default=""))
        table.add_column(sa.Column("void_at", MOMENT, nullable=True))
        table.add_column(sa.Column("void_reason", sa.Text(), nullable=False, server_default=""))
        table.drop_constraint("uq_decisions_promotion_id_actor", type_="unique")
    op.execute("UPDATE decisions SET principal = actor, principal_name = actor_name")
    for column in ("actor", "principal"):
        counts = sa.text("void_at IS NULL")
        op.create_index(
            f"uq_decisions_{column}",
            "decisions",
            ["promotion_id", column],
            unique=True,
            sqlite_where=counts,
            postgresql_where=counts,
        )
    if sqlite:
        _trigger("decisions_no_delete", "DELETE", "rows of decisions are never deleted")
    _trigger("decisions_no_change", f"UPDATE OF {SAID}", "what a decision said is never changed")


def _trigger(name: str, operation: str, sentence: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        columns = operation.replace("groups", '"groups"')
        op.execute(f"CREATE TRIGGER {name} BEFORE {columns} ON decisions BEGIN SELECT RAISE(ABORT, '{sentence}'); END")
        return
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{sentence}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    columns = operation.replace("groups", '"groups"')
    op.execute(f"CREATE TRIGGER {name} BEFORE {columns} ON decisions FOR EACH ROW EXECUTE FUNCTION {name}()")


def _deployments() -> None:
    """A deployment that was called off before it began may be asked for again."""
    with op.batch_alter_table("deployments", reflect_kwargs=ALONE) as table:
        table.drop_constraint("uq_deployments_promotion_id_action", type_="unique")
    live = sa.text("state <> 'cancelled'")
    op.create_index(
        "uq_deployments_action",
        "deployments",
        ["promotion_id", "action"],
        unique=True,
        sqlite_where=live,
        postgresql_where=live,
    )


def _barriers() -> None:
    op.create_table(
        "barriers",
        sa.Column("id", BIG, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("promotion_id", BIG, nullable=True),
        sa.Column("placed_at", MOMENT, nullable=False),
        sa.Column("lifted_at", MOMENT, nullable=True),
        sa.Column("lifted_by", sa.Text(), nullable=False),
        sa.Column("lifted_by_name", sa.Text(), nullable=False),
        sa.Column("lifted_reason", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('stop', 'hold', 'veto')", name=op.f("ck_barriers_kind")),
        sa.ForeignKeyConstraint(["promotion_id"], ["promotions.id"], name=op.f("fk_barriers_promotion_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_barriers")),
    )
    standing = sa.text("lifted_at IS NULL")
    op.create_index(
        "uq_barriers_standing",
        "barriers",
        ["kind", "model", "version", "stage"],
        unique=True,
        sqlite_where=standing,
        postgresql_where=standing,
    )
    op.create_table(
        "overrides",
        sa.Column("promotion_id", BIG, nullable=False, autoincrement=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("bypassed", sa.JSON(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("reviewed_at", MOMENT, nullable=True),
        sa.Column("reviewed_by", sa.Text(), nullable=False),
        sa.Column("reviewed_by_name", sa.Text(), nullable=False),
        sa.Column("review", sa.Text(), nullable=False),
        sa.CheckConstraint("reviewed_by <> actor", name=op.f("ck_overrides_somebody_else")),
        sa.ForeignKeyConstraint(["promotion_id"], ["promotions.id"], name=op.f("fk_overrides_promotion_id")),
        sa.PrimaryKeyConstraint("promotion_id", name=op.f("pk_overrides")),
    )
    open_ = sa.text("reviewed_at IS NULL")
    op.create_index("ix_overrides_open", "overrides", ["at"], sqlite_where=open_, postgresql_where=open_)


def _people() -> None:
    op.create_table(
        "delegations",
        sa.Column("id", BIG, nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("principal_name", sa.Text(), nullable=False),
        sa.Column("delegate", sa.Text(), nullable=False),
        sa.Column("delegate_name", sa.Text(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.CheckConstraint("principal <> delegate", name=op.f("ck_delegations_somebody_else")),
        sa.CheckConstraint("until > since", name=op.f("ck_delegations_order")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delegations")),
    )
    going = sa.text("ended_at IS NULL")
    op.create_index(
        "uq_delegations_principal",
        "delegations",
        ["principal"],
        unique=True,
        sqlite_where=going,
        postgresql_where=going,
    )
    op.create_index("ix_delegations_delegate", "delegations", ["delegate", "until"])
    op.create_table(
        "preferences",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Boolean(), nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_preferences")),
    )
