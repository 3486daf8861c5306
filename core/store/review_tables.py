"""Champions that are to be re-certified, and the measurements that came after a version was registered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Float, ForeignKey, Index, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.domain.model import Actor, Measurement
from core.store.base import BIG, Base, unique_while
from core.store.messages import went_stale
from core.store.tables import MessageRow


class FreshMeasurement(Base):
    """A number measured of a version after it was registered. Its own measurements stay what they are.

    Rows are only added: triggers refuse updates and deletes.
    """

    __tablename__ = "fresh_measurements"
    __table_args__ = (Index("ix_fresh_measurements_version", "version_id", "at"),)
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    at: Mapped[datetime]
    actor: Mapped[str]
    name: Mapped[str]
    slice: Mapped[str]
    value: Mapped[float | None] = mapped_column(Float(53))
    raw: Mapped[str]
    dataset: Mapped[str]
    dataset_digest: Mapped[str]
    samples: Mapped[int | None] = mapped_column(BigInteger)


class CertificationRow(Base):
    """A champion past its review period: asked for once, until somebody certifies it or it serves no longer."""

    __tablename__ = "certifications"
    __table_args__ = (
        unique_while("state = 'open'", "uq_certifications_open", "champion_id"),
        Index("ix_certifications_champion_id", "champion_id"),
        CheckConstraint("state IN ('open', 'certified', 'gone')", "state"),
    )
    id: Mapped[int] = mapped_column(BIG, primary_key=True)
    champion_id: Mapped[int] = mapped_column(ForeignKey("champions.id"))
    since: Mapped[datetime]  #: of the period that is over: when it began to serve, or was certified last
    state: Mapped[str] = mapped_column(default="open")
    asked_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str] = mapped_column(default="")
    closed_by_name: Mapped[str] = mapped_column(default="")
    verdicts: Mapped[list[Any]]  #: by which it was certified


def measure(session: Session, version_id: int, given: Sequence[Measurement], actor: Actor, at: datetime) -> None:
    """Keep measurements of a version."""
    session.add_all(
        FreshMeasurement(
            version_id=version_id, at=at, actor=str(actor), name=each.name, slice=each.slice, value=each.value,
            raw=each.raw, dataset=each.dataset, dataset_digest=each.dataset_digest, samples=each.samples,
        )
        for each in given
    )  # fmt: skip
    session.flush()


def measured(session: Session, version_id: int, since: datetime) -> list[tuple[datetime, Measurement]]:
    """What was measured of a version since then: of each metric, slice and data set the newest."""
    newest = (
        select(func.max(FreshMeasurement.id))
        .where(FreshMeasurement.version_id == version_id, FreshMeasurement.at >= since)
        .group_by(FreshMeasurement.name, FreshMeasurement.slice, FreshMeasurement.dataset)
    )
    found = session.scalars(
        select(FreshMeasurement).where(FreshMeasurement.id.in_(newest)).order_by(FreshMeasurement.id)
    )
    return [
        (
            each.at,
            Measurement(each.name, each.value, each.raw, each.slice, each.dataset, each.dataset_digest, each.samples),
        )
        for each in found
    ]


def want_message(session: Session, certification_id: int, channel: str, at: datetime) -> None:
    """Want the message that asks for a certification, in `channel`."""
    row = MessageRow(
        key=f"review:{certification_id}", kind="alert", promotion_id=None, channel=channel,
        body={"certification": certification_id}, due_at=at, created_at=at,
    )  # fmt: skip
    session.add(row)
    session.flush()
    went_stale(session, -row.id)


def message_stale(session: Session, certification_id: int, at: datetime) -> None:
    """It is to be shown as it is now."""
    row = session.scalar(select(MessageRow).where(MessageRow.key == f"review:{certification_id}"))
    if row is not None:
        row.wanted, row.due_at, row.attempts = row.wanted + 1, at, 0
        session.flush()
        went_stale(session, -row.id)
