"""What dashboards and digests ask of the database: counted by the database, loaded only as far as it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, String, cast, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from core.domain.model import Kind, State
from core.domain.views import PromotionView
from core.store.review_tables import CertificationRow
from core.store.tables import (
    Champion,
    DecisionRow,
    MessageRow,
    OverrideRow,
    PromotionRow,
    RegisteredModel,
    Version,
)
from core.store.views import several

UNDECIDED = (State.EVALUATING.value, State.AWAITING_APPROVAL.value)
UNDER_WAY = (State.APPROVED.value, State.DEPLOYING.value, State.VERIFYING.value, State.ROLLING_BACK.value)
AWAITED = PromotionRow.state == State.AWAITING_APPROVAL.value


@dataclass(frozen=True)
class Part:
    """One part of a board: what is shown of it, and how many there are in all."""

    shown: tuple[PromotionView, ...] = ()
    count: int = 0


NOTHING = Part()


@dataclass(frozen=True)
class Aged:
    """A champion that has served longer on one word than the policy lets it."""

    model: str
    version: str
    stage: str
    since: datetime


@dataclass(frozen=True)
class Ageing:
    """As `Part`, of champions past their review date."""

    shown: tuple[Aged, ...] = ()
    count: int = 0


NONE_AGED = Ageing()


@dataclass(frozen=True)
class Found:
    """As `Part`, before anything is loaded."""

    ids: tuple[int, ...] = ()
    count: int = 0


def load(session: Session, *found: Found) -> tuple[Part, ...]:
    """What was found for each part of a board, loaded together."""
    ids = list(dict.fromkeys(each for part in found for each in part.ids))
    views = {view.id: view for view in several(session, ids)}
    return tuple(Part(tuple(views[each] for each in part.ids if each in views), part.count) for part in found)


def rules_in_use(session: Session) -> list[tuple[str, str, dict[str, Any]]]:
    """(stage, policy version, rules) of everything that awaits approval; a handful, however many promotions there are."""
    newest = (
        select(PromotionRow.stage, PromotionRow.policy_version, func.max(PromotionRow.id).label("id"))
        .where(AWAITED)
        .group_by(PromotionRow.stage, PromotionRow.policy_version)
        .subquery()
    )
    query = select(PromotionRow.stage, PromotionRow.policy_version, PromotionRow.rules).join(
        newest, newest.c.id == PromotionRow.id
    )
    return [(row.stage, row.policy_version, row.rules) for row in session.execute(query)]


def awaited_cards_stale(session: Session, rules: Sequence[tuple[str, str]], at: datetime) -> None:
    """The cards of all that awaits approval under these (stage, policy version) are stale; there may be thousands, so
    nobody hurries: the next sweeps show them.
    """
    asked = tuple_(PromotionRow.stage, PromotionRow.policy_version).in_(rules)
    awaiting = select(PromotionRow.id).where(AWAITED, asked)
    session.execute(
        update(MessageRow)
        .where(MessageRow.promotion_id.in_(awaiting), MessageRow.key.like("card:%"))
        .values(wanted=MessageRow.wanted + 1, due_at=at, attempts=0)
    )


def trainers_awaited(session: Session) -> list[str]:
    """Every trainer of a version that awaits approval, as the lineage names them."""
    trainer = Version.lineage["trained_by"].as_string()
    query = select(trainer).distinct().join(PromotionRow, PromotionRow.version_id == Version.id).where(AWAITED)
    return [each for each in session.scalars(query) if each]


@dataclass(frozen=True)
class Ask:
    """One way in which promotions ask for somebody: in their own seat, or in that of whoever delegated to them.

    `whose` are the actors of whom none may have decided; whose requests and whose training are out stands beside it.
    """

    whose: tuple[str, ...]
    requesters: tuple[str, ...]
    trainers: tuple[str, ...]  #: as the lineage names them
    rules: tuple[tuple[str, str], ...]  #: (stage, policy version)


def waiting_on(
    session: Session, asks: Sequence[Ask], *where: ColumnElement[bool], limit: int, offset: int = 0
) -> Found:
    """What awaits somebody who is asked in these ways and has not decided; what expires first comes first."""
    if not asks:
        return Found()
    query = select(PromotionRow.id).where(AWAITED, or_(*map(_open, asks)), *where)
    if any(ask.trainers for ask in asks):
        query = query.join(Version, Version.id == PromotionRow.version_id)
    return _find(session, query, (PromotionRow.expires_at.nulls_last(), PromotionRow.id), limit, offset)


def _open(ask: Ask) -> ColumnElement[bool]:
    decided = select(DecisionRow.id).where(
        DecisionRow.promotion_id == PromotionRow.id,
        DecisionRow.void_at.is_(None),
        or_(DecisionRow.actor.in_(ask.whose), DecisionRow.principal.in_(ask.whose)),
    )
    asked = tuple_(PromotionRow.stage, PromotionRow.policy_version).in_(ask.rules) & ~decided.exists()
    if ask.requesters:
        asked &= PromotionRow.requester.not_in(ask.requesters)
        asked &= PromotionRow.requester_owner.not_in([each.removeprefix("user:") for each in ask.requesters])
    if ask.trainers:
        trainer = func.coalesce(Version.lineage["trained_by"].as_string(), "")
        asked &= trainer.not_in(ask.trainers)
    return asked


def promotions(session: Session, *where: ColumnElement[bool], limit: int, newest: bool = False) -> Found:
    """Promotions that meet conditions, oldest first unless `newest`."""
    order = PromotionRow.id.desc() if newest else PromotionRow.id
    return _find(session, select(PromotionRow.id).where(*where), (order,), limit)


def in_channel(session: Session, channel: str, *where: ColumnElement[bool], limit: int) -> Found:
    """The same, of those whose card is in a channel."""
    query = (
        select(PromotionRow.id)
        .join(MessageRow, (MessageRow.promotion_id == PromotionRow.id) & (MessageRow.kind == "card"))
        .where(MessageRow.channel == channel, *where)
    )
    return _find(session, query, (PromotionRow.id,), limit)


def _find(session: Session, query: Select[int], order: tuple[Any, ...], limit: int, offset: int = 0) -> Found:
    """So many of the ids that a query finds, and the number of all, in one go."""
    counted = query.add_columns(func.count().over()).order_by(*order)
    rows = session.execute(counted.limit(limit).offset(offset)).all()
    if rows or not offset:
        return Found(tuple(row[0] for row in rows), rows[0][1] if rows else 0)
    return Found((), session.scalar(select(func.count()).select_from(query.subquery())) or 0)  # past the last page


def serving(session: Session) -> int:
    """How many champions there are."""
    return session.scalar(select(func.count()).select_from(Champion).where(Champion.until.is_(None))) or 0


def undone_since(since: datetime) -> ColumnElement[bool]:
    """Rolled back, or stopped half way, since then."""
    return (PromotionRow.ended_at > since) & (
        ((PromotionRow.kind == Kind.ROLLBACK.value) & (PromotionRow.state == State.SUCCEEDED.value))
        | (PromotionRow.state == State.ROLLED_BACK.value)
    )


def unreviewed() -> ColumnElement[bool]:
    """Deployed by breaking the glass, and reviewed by nobody yet."""
    return PromotionRow.id.in_(select(OverrideRow.promotion_id).where(OverrideRow.reviewed_at.is_(None)))


def _asked_about(*columns: Any) -> Select[Any]:
    """Of champions that are past their review date; each was asked about by a message."""
    return (
        select(*columns)
        .join(Champion, Champion.id == CertificationRow.champion_id)
        .join(Version, Version.id == Champion.version_id)
        .join(MessageRow, MessageRow.key == "review:" + cast(CertificationRow.id, String))
        .where(CertificationRow.state == "open")
    )


def ageing(session: Session, channel: str, limit: int) -> Ageing:
    """Champions past their review date whose question stands in a channel; who has waited longest comes first."""
    rows = session.execute(
        _asked_about(RegisteredModel.name, Version.version, Champion.stage, CertificationRow.since)
        .join(RegisteredModel, RegisteredModel.id == Version.model_id)
        .where(MessageRow.channel == channel)
        .order_by(CertificationRow.since, CertificationRow.id)
        .limit(limit)
    ).all()
    count = session.scalar(
        _asked_about(func.count()).select_from(CertificationRow).where(MessageRow.channel == channel)
    )
    return Ageing(tuple(Aged(*row) for row in rows), count or 0)


def busy_channels(session: Session, since: timedelta, now: datetime) -> set[str]:
    """Channels with a card that still waits, something undone lately or an old champion: whose digest says something."""
    query = (
        select(MessageRow.channel)
        .join(PromotionRow, PromotionRow.id == MessageRow.promotion_id)
        .where(
            MessageRow.kind == "card",
            or_(PromotionRow.state.in_((*UNDECIDED, *UNDER_WAY)), undone_since(now - since), unreviewed()),
        )
        .distinct()
    )
    return {*session.scalars(query), *session.scalars(_asked_about(MessageRow.channel).select_from(CertificationRow))}
