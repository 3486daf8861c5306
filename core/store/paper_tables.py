"""What a version came with: texts too long to be read with every promotion."""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from core.store.base import Base


class PapersRow(Base):
    """A version's signature and model card; "" where it has none. Immutable as the version: a trigger refuses updates.

    The SHA-256 of each stands with the version's lineage, under `papers`.
    """

    __tablename__ = "papers"
    version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"), primary_key=True, autoincrement=False)
    signature: Mapped[str]
    card: Mapped[str]
