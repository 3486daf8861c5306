"""Other registries: what they have, what they are told, and what moved there past Baton."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
KINDS = "kind IN ('card', 'thread', 'direct', 'digest', 'alert', 'drift', 'registry')"


def upgrade() -> None:
    _registries()
    _versions()
    _drifts()
    _write_backs()
    _messages()


def _index(name: str, table: str, columns: list[str], condition: str, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)


def _registries() -> None:
    op.create_table(
        "registries",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seen_at", MOMENT, nullable=True),
        sa.Column("listed_at", MOMENT, nullable=True),
        sa.Column("polled_at", MOMENT, nullable=True),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("claimed_until", MOMENT, nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", MOMENT, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_registries")),
    )
    op.create_table(
        "registry_models",
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("due_at", MOMENT, nullable=True),
        sa.Column("said", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("origin", "model", name=op.f("pk_registry_models")),
    )
    op.create_index("ix_registry_models_due", "registry_models", ["origin", "due_at"])
    op.create_table(
        "registry_events",
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("delivery", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("origin", "delivery", name=op.f("pk_registry_events")),
    )
    op.create_index("ix_registry_events_at", "registry_events", ["at"])


def _versions() -> None:
    op.create_table(
        "registry_versions",
        sa.Column("id", BIG, nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("number", BIG, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("version_id", BIG, nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'registered', 'left', 'refused')", name=op.f("ck_registry_versions_state")
        ),
        sa.ForeignKeyConstraint(["version_id"], ["model_versions.id"], name=op.f("fk_registry_versions_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registry_versions")),
        sa.UniqueConstraint("origin", "model", "number", name=op.f("uq_registry_versions_origin_model_number")),
    )
    _index("ix_registry_versions_due", "registry_versions", ["origin", "due_at"], "state = 'waiting'")
    _index("uq_registry_versions_version", "registry_versions", ["version_id"], "version_id IS NOT NULL", unique=True)


def _drifts() -> None:
    op.create_table(
        "drifts",
        sa.Column("id", BIG, nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("expected", sa.Text(), nullable=False),
        sa.Column("found", sa.Text(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=False),
        sa.Column("closed_by_name", sa.Text(), nullable=False),
        sa.Column("promotion_id", BIG, nullable=True),
        sa.CheckConstraint(
            "state IN ('open', 'reverting', 'adopted', 'reverted', 'gone')", name=op.f("ck_drifts_state")
        ),
        sa.ForeignKeyConstraint(["promotion_id"], ["promotions.id"], name=op.f("fk_drifts_promotion_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drifts")),
    )
    _index("uq_drifts_open", "drifts", ["model", "stage"], "state IN ('open', 'reverting')", unique=True)


def _write_backs() -> None:
    op.create_table(
        "write_backs",
        sa.Column("id", BIG, nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("promotion_id", BIG, nullable=False),
        sa.Column("drift_id", BIG, nullable=True),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("done_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'written', 'unchanged', 'moved', 'refused', 'nothing')",
            name=op.f("ck_write_backs_state"),
        ),
        sa.CheckConstraint(
            "decision IN ('approved', 'adopted', 'rejected', 'rolled_back')", name=op.f("ck_write_backs_decision")
        ),
        sa.ForeignKeyConstraint(["drift_id"], ["drifts.id"], name=op.f("fk_write_backs_drift_id")),
        sa.ForeignKeyConstraint(["promotion_id"], ["promotions.id"], name=op.f("fk_write_backs_promotion_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_write_backs")),
    )
    op.create_index("ix_write_backs_place", "write_backs", ["model", "stage", "id"])
    _index("ix_write_backs_pending", "write_backs", ["origin", "due_at"], "state = 'pending'")
    _index("uq_write_backs_decision", "write_backs", ["promotion_id", "version"], "drift_id IS NULL", unique=True)


def _messages() -> None:
    op.drop_index("ix_messages_stale", "messages")
    with op.batch_alter_table("messages", reflect_kwargs={"resolve_fks": False}) as table:
        table.drop_constraint(op.f("ck_messages_kind"), type_="check")
        table.create_check_constraint(op.f("ck_messages_kind"), KINDS)
    _index("ix_messages_stale", "messages", ["due_at"], "shown < wanted")
