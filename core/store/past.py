"""Past promotions as they were, some hundred at a time: plain rows, since there may be very many."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from core.domain.lifecycle import Event
from core.domain.model import Actor, Barrier, Decision, Kind, Measurement, ModelVersion, State
from core.policy.occupancy import Stretch
from core.policy.whatif import WAITS, Past, PastBarrier, Reign
from core.store.feature_tables import looks_of
from core.store.paper_tables import PapersRow
from core.store.registry import lineage_from_json
from core.store.tables import (
    AuditEvent,
    BarrierRow,
    Champion,
    DecisionRow,
    MeasurementRow,
    OverrideRow,
    PromotionRow,
    RegisteredModel,
    Version,
)
from core.store.views import to_decision

#: The events whose moment a judgement asks for; `evidence_changed` makes the earlier ones void.
EVENTS = (
    Event.QUORUM_REACHED, Event.AUTO_APPROVED, Event.NO_LONGER_ELIGIBLE, Event.DEPLOYMENT_STARTED, Event.ADOPTED,
    Event.EVIDENCE_CHANGED, WAITS,
)  # fmt: skip

_A, _B, _C, _D, _E, _M, _O, _P, _V = (
    each.__table__
    for each in (
        AuditEvent, BarrierRow, Champion, DecisionRow, MeasurementRow, RegisteredModel, OverrideRow, PromotionRow,
        Version,
    )
)  # fmt: skip
_IDS: Any = bindparam("ids", expanding=True)
_PROMOTIONS = (
    select(
        _P.c.id, _P.c.state, _P.c.stage, _P.c.requester, _P.c.requester_name, _P.c.requester_owner, _P.c.created_at,
        _P.c.version_id, _P.c.champion_version_id, _P.c.waiting_for, _P.c.members, _M.c.name,
        _O.c.promotion_id.label("glass"),
    )
    .join_from(_P, _M, _M.c.id == _P.c.model_id)
    .outerjoin(_O, _O.c.promotion_id == _P.c.id)
    .where(_P.c.kind == Kind.PROMOTION.value)
    .order_by(_P.c.id.desc())
)  # fmt: skip
_DECISIONS = select(_D).where(_D.c.promotion_id.in_(_IDS), _D.c.void_at.is_(None)).order_by(_D.c.id)
_MOMENTS = (
    select(_A.c.promotion_id, _A.c.kind, _A.c.at)
    .where(_A.c.promotion_id.in_(_IDS), _A.c.kind.in_([str(each) for each in EVENTS]))
    .order_by(_A.c.seq)
)
_VERSIONS = select(_V, _M.c.name.label("model")).join_from(_V, _M, _M.c.id == _V.c.model_id).where(_V.c.id.in_(_IDS))
_MEASUREMENTS = select(_E).where(_E.c.version_id.in_(_IDS)).order_by(_E.c.id)
_PAPERS = select(PapersRow.version_id, PapersRow.signature, PapersRow.card).where(PapersRow.version_id.in_(_IDS))
_STRETCHES = (
    select(_C.c.version_id, _C.c.stage, _C.c.since, _C.c.until, _C.c.ended_by, _P.c.kind)
    .join_from(_C, _P, _P.c.id == _C.c.ended_by, isouter=True)
    .where(_C.c.version_id.in_(_IDS))
    .order_by(_C.c.since, _C.c.id)
)
_REIGNS = (
    select(_M.c.name, _C.c.stage, _V.c.version, _C.c.since, _C.c.until)
    .join_from(_C, _M, _M.c.id == _C.c.model_id)
    .join(_V, _V.c.id == _C.c.version_id)
    .where(_M.c.name.in_(_IDS))
    .order_by(_C.c.since, _C.c.id)
)
_BARRIERS = select(_B).where(_B.c.model.in_(_IDS)).order_by(_B.c.id)


#: Who served a stage, by stage and then by model.
Reigns = Mapping[str, Mapping[str, Sequence[Reign]]]


def reigns(session: Session, models: Iterable[str]) -> Reigns:
    """When which version of these models served which stage."""
    found: dict[str, dict[str, list[Reign]]] = defaultdict(lambda: defaultdict(list))
    for row in session.execute(_REIGNS, {"ids": list(models)}):
        found[row.stage][row.name].append(Reign(row.version, row.since, row.until))
    return found


def promotions(
    session: Session, before: int | None, since: datetime | None, model_id: int | None, limit: int, beside: Reigns
) -> list[Past]:
    """Promotions (no rollbacks), newest first, below id `before`, asked for since then, of one model."""
    query: Select[Any] = _PROMOTIONS.limit(limit)
    if before is not None:
        query = query.where(_P.c.id < before)
    if since is not None:
        query = query.where(_P.c.created_at >= since)
    if model_id is not None:
        query = query.where(_P.c.model_id == model_id)
    return list(_facts(session, session.execute(query).all(), beside))


def _facts(session: Session, rows: Sequence[Any], beside: Reigns) -> Iterator[Past]:
    ids = [row.id for row in rows]
    candidates = {row.version_id for row in rows}
    members = [each for row in rows for each in row.members or ()]
    wanted = candidates | {row.champion_version_id for row in rows}
    wanted |= {each[key] for each in members for key in ("version_id", "champion_id")}
    versions = _versions(session, wanted - {None})
    decisions, moments = _decisions(session, ids), _moments(session, ids)
    stretches = _stretches(session, candidates)
    barriers = _barriers(session, {row.name for row in rows} | {each["model"] for each in members})
    looks = looks_of(session, ids)
    for row in rows:
        yield Past(
            id=row.id,
            state=State(row.state),
            stage=row.stage,
            requester=Actor.parse(row.requester, row.requester_name, row.requester_owner),
            asked_at=row.created_at,
            candidate=versions[row.version_id],
            champion=versions[row.champion_version_id] if row.champion_version_id else None,
            decisions=decisions[row.id],
            moments=moments[row.id],
            held_up=bool(row.waiting_for),
            glass=row.glass is not None,
            stretches=stretches[row.version_id],
            barriers=[
                found
                for name in ("", row.name, *(each["model"] for each in row.members or ()))
                for found in barriers[name]
            ],
            looks=looks.get(row.id, {}),
            members=[
                (versions[each["version_id"]], versions[each["champion_id"]] if each["champion_id"] else None)
                for each in row.members or ()
            ],
            beside=beside.get(row.stage, {}),
        )


def _versions(session: Session, ids: Iterable[int]) -> dict[int, ModelVersion]:
    values = {"ids": list(ids)}
    measured: dict[int, list[Measurement]] = defaultdict(list)
    for m in session.execute(_MEASUREMENTS, values):
        found = Measurement(m.name, m.value, m.raw, m.slice, m.dataset, m.dataset_digest, m.samples)
        measured[m.version_id].append(found)
    papers = {row.version_id: row for row in session.execute(_PAPERS, values)}
    return {
        row.id: ModelVersion(
            model=row.model,
            version=row.version,
            artifact_uri=row.artifact_uri,
            digest=row.digest,
            lineage=lineage_from_json(row.lineage),
            measurements=tuple(measured[row.id]),
            tags=row.tags,
            signature=papers[row.id].signature if row.id in papers else "",
            card=papers[row.id].card if row.id in papers else "",
            papers=dict(row.lineage.get("papers", {})),
            registered_by=row.registered_by,
            registered_at=row.registered_at,
            id=row.id,
        )
        for row in session.execute(_VERSIONS, values)
    }


def _decisions(session: Session, ids: list[int]) -> dict[int, list[Decision]]:
    found: dict[int, list[Decision]] = defaultdict(list)
    for row in session.execute(_DECISIONS, {"ids": ids}):
        found[row.promotion_id].append(to_decision(row))
    return found


def _moments(session: Session, ids: list[int]) -> dict[int, dict[str, datetime]]:
    found: dict[int, dict[str, datetime]] = defaultdict(dict)
    for row in session.execute(_MOMENTS, {"ids": ids}):
        if row.kind == Event.EVIDENCE_CHANGED:
            found[row.promotion_id].clear()
        else:
            found[row.promotion_id][row.kind] = row.at
    return found


def _stretches(session: Session, versions: Iterable[int]) -> dict[int, list[Stretch]]:
    found: dict[int, list[Stretch]] = defaultdict(list)
    for row in session.execute(_STRETCHES, {"ids": list(versions)}):
        bad = f"P-{row.ended_by}" if row.kind == Kind.ROLLBACK else None
        found[row.version_id].append(Stretch(row.stage, row.since, row.until, bad))
    return found


def _barriers(session: Session, models: set[str]) -> dict[str, list[PastBarrier]]:
    found: dict[str, list[PastBarrier]] = defaultdict(list)
    for row in session.execute(_BARRIERS, {"ids": ["", *models]}):
        by = Actor.parse(row.actor, row.actor_name)
        barrier = Barrier(
            row.kind, row.model, row.version, row.stage, row.reason, by, row.placed_at, row.promotion_id, row.id
        )
        found[row.model].append(PastBarrier(barrier, row.lifted_at))
    return found
