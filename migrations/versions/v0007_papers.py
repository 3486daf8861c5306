"""What a version came with: a signature and a model card, as immutable as the rest of it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "papers",
        sa.Column("version_id", BIG, autoincrement=False, nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("card", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["model_versions.id"], name=op.f("fk_papers_version_id")),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_papers")),
    )
    for operation, sentence in (("UPDATE", "changed"), ("DELETE", "deleted")):
        _refuse(operation, f"rows of papers are never {sentence}")


def _refuse(operation: str, sentence: str) -> None:
    name = f"papers_no_{operation.lower()}"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"CREATE TRIGGER {name} BEFORE {operation} ON papers BEGIN SELECT RAISE(ABORT, '{sentence}'); END")
        return
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{sentence}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(f"CREATE TRIGGER {name} BEFORE {operation} ON papers FOR EACH ROW EXECUTE FUNCTION {name}()")
