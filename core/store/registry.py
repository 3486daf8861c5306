"""Reading and writing registered models, their versions, and who was champion when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, aliased, object_session

from core.domain.errors import NotFound
from core.domain.model import Actor, DatasetRef, Lineage, Measurement, ModelVersion
from core.store import registries
from core.store.paper_tables import PapersRow
from core.store.tables import Champion, MeasurementRow, RegisteredModel, Version

#: How many of a model's newest versions a search looks through before it asks the index over all of them.
WINDOW = 2_000
#: As many models are looked through for the one that may have been meant.
AMONG = 5_000
_LAST = "\U0010ffff"


@dataclass(frozen=True)
class ModelLine:
    """One model in a list, with its newest version ("" while it has none)."""

    id: int
    name: str
    created_at: datetime
    newest: str
    newest_at: datetime | None


@dataclass(frozen=True)
class VersionLine:
    """One version in a list: what fits on a line, read without its measurements."""

    id: int
    version: str
    digest: str
    trained_by: str
    registered_by: str
    registered_at: datetime


def storable(text: str) -> bool:
    """False for text that neither database can hold (NUL, half of a surrogate pair): nothing is called so."""
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


# -- one model, one version --------------------------------------------------------------------------------------


def find_model(session: Session, name: str) -> RegisteredModel | None:
    """The model's row, if there is one."""
    if not storable(name):
        return None
    return session.scalar(select(RegisteredModel).where(RegisteredModel.name == name))


def _like(session: Session, name: str) -> str:
    """Which model was meant, if one is called much the same; to end the sentence with."""
    names = {each.casefold(): each for each in session.scalars(select(RegisteredModel.name).limit(AMONG))}
    meant = get_close_matches(name.casefold(), names, 1, 0.75)
    return f"; did you mean {_short(names[meant[0]])}?" if meant else "."


def model_row(session: Session, name: str) -> RegisteredModel:
    """The model's row. Raises `NotFound`."""
    found = find_model(session, name)
    if found is None:
        raise unknown_model(session, name)
    return found


def unknown_model(session: Session, name: str, why: str = "") -> NotFound:
    """Nothing was registered by that name; `why` says more."""
    said = f"There is no model called “{_short(name)}”{_like(session, name)}{why}"
    return NotFound("unknown-model", said, model=_short(name))


def find_version(session: Session, model_id: int, version: str) -> Version | None:
    """The version's row, if there is one."""
    if not storable(version):
        return None
    return session.scalar(select(Version).where(Version.model_id == model_id, Version.version == version))


def version_row(session: Session, model: str, version: str) -> Version:
    """The version's row. Raises `NotFound`, naming the newest that there are, and what a registry keeps it back for."""
    parent = find_model(session, model)
    found = find_version(session, parent.id, version) if parent else None
    if found is not None:
        return found
    why = registries.kept_back(session, model, version) if storable(model) else ""
    if parent is None:
        raise unknown_model(session, model, why)
    newest = [line.version for line in _lines(session, parent.id, limit=3)]
    known = (
        f"its newest are {', '.join(newest)}" if len(newest) > 1 else f"its only one is {newest[0]}" if newest else ""
    )
    sentence = f"{_short(model)} has no version {_short(version)}" + (
        f"; {known}." if known else "; it has none at all."
    )
    raise NotFound("unknown-version", f"{sentence}{why}", model=_short(model), version=_short(version))


def version(session: Session, model: str, version: str) -> ModelVersion:
    """One version with everything registered of it. Raises `NotFound`."""
    return to_model_version(version_row(session, model, version))


# -- lists and type-ahead ----------------------------------------------------------------------------------------


def models(session: Session, prefix: str = "", after: str | None = None, limit: int = 50) -> list[ModelLine]:
    """Models by name whose name begins with `prefix` (in any case), after the name `after`."""
    if not storable(prefix) or not storable(after or ""):
        return []
    newest = (
        select(func.max(Version.id)).where(Version.model_id == RegisteredModel.id).correlate(RegisteredModel)
    ).scalar_subquery()
    query = (
        select(RegisteredModel.id, RegisteredModel.name, RegisteredModel.created_at, newest.label("newest"))
        .order_by(RegisteredModel.name)
        .limit(limit)
    )
    if after is not None:
        query = query.where(RegisteredModel.name > after)
    if prefix:
        query = query.where(_begins_with(session, RegisteredModel.name, prefix))
    rows = session.execute(query).all()
    ids = [row.newest for row in rows if row.newest]
    last = {
        row.id: row
        for row in session.execute(
            select(Version.id, Version.version, Version.registered_at).where(Version.id.in_(ids))
        )
    }
    return [
        ModelLine(
            row.id,
            row.name,
            row.created_at,
            last[row.newest].version if row.newest else "",
            last[row.newest].registered_at if row.newest else None,
        )
        for row in rows
    ]


def versions(
    session: Session, model: str, prefix: str = "", before: int | None = None, limit: int = 50
) -> list[VersionLine]:
    """Versions of a model, newest first, below id `before`. Raises `NotFound` for the model.

    With `prefix` this answers someone who types: the newest that begin with it come first; when the newest few
    thousand hold too few, others follow by name, and `before` has no meaning.
    """
    parent = model_row(session, model)
    if not prefix:
        return _lines(session, parent.id, before=before, limit=limit)
    if not storable(prefix):
        return []
    window = aliased(
        Version,
        select(Version).where(Version.model_id == parent.id).order_by(Version.id.desc()).limit(WINDOW).subquery(),
    )
    found = _rows(session, window, _begins_with(session, window.version, prefix), limit=limit)
    if len(found) < limit:
        seen = {line.id for line in found}
        begins = _begins_with(session, Version.version, prefix)
        others = _rows(session, Version, Version.model_id == parent.id, begins, limit=limit, by_name=True)
        found += [line for line in others if line.id not in seen][: limit - len(found)]
    return found


def _begins_with(session: Session, column: Any, prefix: str) -> ColumnElement[bool]:
    """A range over lower(column), which an index can answer on both databases (a pattern can not)."""
    lowered, start = _lowered(session, column), _lowered(session, prefix)
    condition: ColumnElement[bool] = (lowered >= start) & (lowered < start.concat(_LAST))
    return condition


def _lowered(session: Session, text: Any) -> Any:
    """As the search indexes hold it: in small letters and, on PostgreSQL, in the order of their bytes."""
    lowered = func.lower(text)
    return lowered.collate("C") if session.get_bind().dialect.name == "postgresql" else lowered


def _lines(
    session: Session, model_id: int, *conditions: ColumnElement[bool], before: int | None = None, limit: int
) -> list[VersionLine]:
    """Newest first."""
    older = (Version.id < before,) if before is not None else ()
    return _rows(session, Version, Version.model_id == model_id, *conditions, *older, limit=limit)


def _rows(
    session: Session, source: type[Version], *conditions: ColumnElement[bool], limit: int, by_name: bool = False
) -> list[VersionLine]:
    query = (
        select(source.id, source.version, source.digest, source.lineage, source.registered_by, source.registered_at)
        .where(*conditions)
        .order_by(_lowered(session, source.version) if by_name else source.id.desc())
        .limit(limit)
    )
    return [
        VersionLine(
            row.id, row.version, row.digest, row.lineage.get("trained_by", ""), row.registered_by, row.registered_at
        )
        for row in session.execute(query)
    ]


# -- champions ---------------------------------------------------------------------------------------------------


def champions_of(session: Session, model: str) -> dict[str, tuple[str, datetime]]:
    """What serves each stage of a model now: stage -> (version, since). Raises `NotFound`."""
    parent = model_row(session, model)
    rows = session.execute(
        select(Champion.stage, Version.version, Champion.since)
        .join(Version, Version.id == Champion.version_id)
        .where(Champion.model_id == parent.id, Champion.until.is_(None))
    )
    return {row.stage: (row.version, row.since) for row in rows}


# -- rows and values ---------------------------------------------------------------------------------------------


def to_model_version(row: Version, texts: bool = True) -> ModelVersion:
    """A version's row, with what hangs on it, as one frozen value; without `texts`, no signature and no card."""
    papers = dict(row.lineage.get("papers", {}))
    session = object_session(row) if papers and texts else None
    kept = session.get(PapersRow, row.id) if session else None
    return ModelVersion(
        model=row.model.name,
        version=row.version,
        artifact_uri=row.artifact_uri,
        digest=row.digest,
        lineage=lineage_from_json(row.lineage),
        measurements=tuple(
            Measurement(m.name, m.value, m.raw, m.slice, m.dataset, m.dataset_digest, m.samples)
            for m in row.measurements
        ),
        tags=dict(row.tags),
        signature=kept.signature if kept else "",
        card=kept.card if kept else "",
        papers=papers,
        registered_by=row.registered_by,
        registered_at=row.registered_at,
        id=row.id,
        members=tuple((row.members or {}).items()),
    )


def add(session: Session, given: ModelVersion, content_digest: str, actor: Actor, at: datetime) -> Version:
    """Write a version's rows, and its model's when this is its first. Only inside `Database.change()`."""
    parent = find_model(session, given.model)
    if parent is None:
        parent = RegisteredModel(name=given.model, created_at=at)
        session.add(parent)
        session.flush()
    row = Version(
        model_id=parent.id,
        model=parent,
        version=given.version,
        artifact_uri=given.artifact_uri,
        digest=given.digest,
        lineage=lineage_to_json(given.lineage) | ({"papers": given.papers} if given.papers else {}),
        tags=dict(given.tags),
        content_digest=content_digest,
        registered_by=str(actor),
        registered_at=at,
        members=dict(given.members) or None,
        measurements=[
            MeasurementRow(
                name=m.name,
                slice=m.slice,
                value=m.value,
                raw=m.raw,
                dataset=m.dataset,
                dataset_digest=m.dataset_digest,
                samples=m.samples,
            )
            for m in given.measurements
        ],
    )
    session.add(row)
    session.flush()
    if given.papers:
        session.add(PapersRow(version_id=row.id, signature=given.signature, card=given.card))
        session.flush()
    return row


def lineage_to_json(lineage: Lineage) -> dict[str, Any]:
    """A lineage as it is stored."""
    return {
        "data": [{"name": each.name, "digest": each.digest} for each in lineage.data],
        "repo": lineage.repo,
        "commit": lineage.commit,
        "run_url": lineage.run_url,
        "trained_by": lineage.trained_by,
        **({"retraining": lineage.retraining, "because": lineage.because} if lineage.retraining else {}),
    }


def lineage_from_json(stored: dict[str, Any]) -> Lineage:
    """Back from the store."""
    return Lineage(
        data=tuple(DatasetRef(each["name"], each["digest"]) for each in stored.get("data", [])),
        repo=stored.get("repo", ""),
        commit=stored.get("commit", ""),
        run_url=stored.get("run_url", ""),
        trained_by=stored.get("trained_by", ""),
        retraining=stored.get("retraining", ""),
        because=stored.get("because", ""),
    )


def _short(text: str) -> str:
    """A name as a sentence may hold it: no longer than names may be, and nothing that no terminal can show."""
    shown = "".join(char if char.isprintable() else "\ufffd" for char in text[:200])
    return shown + ("…" if len(text) > 200 else "")
