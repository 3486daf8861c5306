"""What dashboards and digests ask of the database: counted by the database, loaded only as far as it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select, tuple_
from sqlalchemy.orm import Session

from core.domain.model import Kind, State
from core.domain.views import PromotionView
from core.store import promotions as store
from core.store.tables import DecisionRow, MessageRow, OverrideRow, PromotionRow, Version

UNDECIDED = (State.EVALUATING.value, State.AWAITING_APPROVAL.value)
UNDER_WAY = (State.APPROVED.value, State.DEPLOYING.value, State.VERIFYING.value, State.ROLLING_BACK.value)
AWAITED = PromotionRow.state == State.AWAITING_APPROVAL.value


@dataclass(frozen=True)
class Part:
    """One part of a board: what is shown of it, and how many there are in all."""

    shown: tuple[PromotionView, ...] = ()
    count: int = 0


NOTHING = Part()


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


def trainers_awaited(session: Session) -> list[str]:
    """Every trainer of a version that awaits approval, as the lineage names them."""
    trainer = Version.lineage["trained_by"].as_string()
    query = select(trainer).distinct().join(PromotionRow, PromotionRow.version_id == Version.id).where(AWAITED)
    return [each for each in session.scalars(query) if each]


def waiting_on(
    session: Session,
    user_id: str,
    rules: Sequence[tuple[str, str]],
    own_training: Sequence[str],
    offset: int,
    limit: int,
) -> Part:
    """What awaits one person: under rules that ask them, neither asked nor trained by them, nor decided; soonest first.

    `rules` are (stage, policy version); `own_training` are the trainers' names that mean this person.
    """
    if not rules:
        return Part()
    me = f"user:{user_id}"
    decided = select(DecisionRow.id).where(
        DecisionRow.promotion_id == PromotionRow.id,
        DecisionRow.void_at.is_(None),
        or_(DecisionRow.actor == me, DecisionRow.principal == me),
    )
    query = select(PromotionRow.id).where(
        AWAITED,
        tuple_(PromotionRow.stage, PromotionRow.policy_version).in_(list(rules)),
        PromotionRow.requester != me,
        ~decided.exists(),
    )
    if own_training:
        trainer = func.coalesce(Version.lineage["trained_by"].as_string(), "")
        query = query.join(Version, Version.id == PromotionRow.version_id).where(trainer.not_in(list(own_training)))
    return part(session, query, (PromotionRow.expires_at, PromotionRow.id), limit, offset)


def part(session: Session, query: Select[int], order: tuple[Any, ...], limit: int, offset: int = 0) -> Part:
    """What a query of ids finds: so many of them as views, and the number of all."""
    count = session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    ids = session.scalars(query.order_by(*order).limit(limit).offset(offset)).all() if count else []
    return Part(store.several(session, ids), int(count))


def promotions(session: Session, *where: ColumnElement[bool], newest: bool = False, limit: int = 10) -> Part:
    """Promotions that meet conditions, oldest first unless `newest`."""
    order = PromotionRow.id.desc() if newest else PromotionRow.id
    return part(session, select(PromotionRow.id).where(*where), (order,), limit)


def in_channel(session: Session, channel: str, *where: ColumnElement[bool], limit: int = 20) -> Part:
    """The same, of those whose card is in a channel."""
    query = (
        select(PromotionRow.id)
        .join(MessageRow, (MessageRow.promotion_id == PromotionRow.id) & (MessageRow.kind == "card"))
        .where(MessageRow.channel == channel, *where)
    )
    return part(session, query, (PromotionRow.id,), limit)


def undone_since(since: datetime) -> ColumnElement[bool]:
    """Rolled back, or stopped half way, since then."""
    return (PromotionRow.ended_at > since) & (
        ((PromotionRow.kind == Kind.ROLLBACK.value) & (PromotionRow.state == State.SUCCEEDED.value))
        | (PromotionRow.state == State.ROLLED_BACK.value)
    )


def unreviewed() -> ColumnElement[bool]:
    """Deployed by breaking the glass, and reviewed by nobody yet."""
    return select(OverrideRow.promotion_id).where(
        OverrideRow.promotion_id == PromotionRow.id, OverrideRow.reviewed_at.is_(None)
    ).exists()  # fmt: skip


def busy_channels(session: Session, since: timedelta, now: datetime) -> set[str]:
    """Channels with a card that still waits, or with something undone lately: those whose digest says something."""
    query = (
        select(MessageRow.channel)
        .join(PromotionRow, PromotionRow.id == MessageRow.promotion_id)
        .where(
            MessageRow.kind == "card",
            or_(PromotionRow.state.in_((*UNDECIDED, *UNDER_WAY)), undone_since(now - since), unreviewed()),
        )
        .distinct()
    )
    return set(session.scalars(query))
