"""Champions that are to be re-certified, and the measurements that came after a version was registered."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "fresh_measurements",
        sa.Column("id", BIG, nullable=False),
        sa.Column("version_id", BIG, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slice", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(53), nullable=True),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("dataset_digest", sa.Text(), nullable=False),
        sa.Column("samples", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["version_id"], ["model_versions.id"], name=op.f("fk_fresh_measurements_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fresh_measurements")),
    )
    op.create_index("ix_fresh_measurements_version", "fresh_measurements", ["version_id", "at"])
    for operation, sentence in (("UPDATE", "changed"), ("DELETE", "deleted")):
        _refuse(operation, f"rows of fresh_measurements are never {sentence}")
    op.create_table(
        "certifications",
        sa.Column("id", BIG, nullable=False),
        sa.Column("champion_id", BIG, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=False),
        sa.Column("closed_by_name", sa.Text(), nullable=False),
        sa.Column("verdicts", sa.JSON(), nullable=False),
        sa.CheckConstraint("state IN ('open', 'certified', 'gone')", name=op.f("ck_certifications_state")),
        sa.ForeignKeyConstraint(["champion_id"], ["champions.id"], name=op.f("fk_certifications_champion_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certifications")),
    )
    still_open = sa.text("state = 'open'")
    op.create_index(
        "uq_certifications_open",
        "certifications",
        ["champion_id"],
        unique=True,
        sqlite_where=still_open,
        postgresql_where=still_open,
    )
    op.create_index("ix_certifications_champion_id", "certifications", ["champion_id"])


def _refuse(operation: str, sentence: str) -> None:
    table = "fresh_measurements"
    name = f"{table}_no_{operation.lower()}"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"CREATE TRIGGER {name} BEFORE {operation} ON {table} BEGIN SELECT RAISE(ABORT, '{sentence}'); END")
        return
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{sentence}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(f"CREATE TRIGGER {name} BEFORE {operation} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")
