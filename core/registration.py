"""Registering model versions: what may be registered, and that it never changes afterwards."""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from core.domain.errors import BadInput, Conflict
from core.domain.model import Actor, Measurement, ModelVersion
from core.ports import Clock
from core.store import audit, registry, retraining_tables
from core.store.database import Database
from core.store.retraining_tables import RetrainingRow
from core.store.transition import tell

NAME_LIMIT, VERSION_LIMIT, METRICS_LIMIT = 200, 100, 500
URI_LIMIT, DIGEST_LIMIT, DATA_LIMIT, TAGS_LIMIT = 2_000, 200, 100, 100
PAPER_LIMIT = 100_000
#: Where a registry has no other place to say which request a version came of.
RETRAINING_TAG = "baton.retraining"
SAMPLES_LIMIT = 2**63 - 1
#: What trainers write where no number came out. Kept as no data, which never passes a gate.
NOT_FINITE = frozenset({"nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"})


class Registration:
    """The one door through which versions arrive. Safe to share between threads."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock

    def register(self, actor: Actor, given: ModelVersion) -> tuple[ModelVersion, bool]:
        """Keep `given` for ever; returns it as kept, and True when it is new, False when the same was there.

        Raises `BadInput` for a wrong field, and `Conflict` when another content is registered under this name.
        """
        validate(given)
        given = replace(given, papers=_papers(given))
        content = content_digest(given)
        now = self.clock()
        with self.database.change() as session:
            parent = registry.find_model(session, given.model)
            there = registry.find_version(session, parent.id, given.version) if parent else None
            if there is not None:
                kept = registry.to_model_version(there)
                if there.content_digest != content:
                    raise _conflict(kept, given)
                return kept, False
            asked = _asked(session, given)
            if asked is not None:
                lineage = replace(given.lineage, retraining=asked.ref, because=asked.reason)
                given = replace(given, lineage=lineage)
            row = registry.add(session, given, content, actor, now)
            facts = {"content_digest": content, "digest": given.digest, "trained_by": given.lineage.trained_by}
            facts |= {"retraining": asked.ref} if asked is not None else {}
            subject = audit.Subject(model=given.model, version=given.version)
            audit.append(session, now, actor, "version_registered", subject, facts)
            if asked is not None:
                said = {"retraining": asked.ref, "reason": f"version {given.version} was trained for {asked.ref}"}
                tell(session, asked.subject, "retraining_answered", actor, now, said)
            return registry.to_model_version(row), True


def _asked(session: Session, given: ModelVersion) -> RetrainingRow | None:
    """The request that a version came of. Raises `BadInput` for one that there is not; a tag is only believed."""
    ref = given.lineage.retraining or given.tags.get(RETRAINING_TAG, "")
    row = retraining_tables.find(session, ref, given.model) if ref else None
    if row is None and given.lineage.retraining:
        shown = ref[:40]
        raise BadInput(
            "lineage.retraining",
            f"lineage.retraining: nobody asked for {shown} of {given.model}; write the id that the request had, such as R-3.",
        )
    return row


def measured(field: str, value: object) -> tuple[float | None, str]:
    """A metric's value as (number, "") or, where no finite number was given, (None, what was given).

    NaN, the infinities and null count as no data. Raises `BadInput` for what is neither a number nor one of these.
    """
    if value is None:
        return None, "null"
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            return None, f"a whole number of {len(str(value)) if value < 10**4000 else 'thousands of'} digits"
        return (number, "") if math.isfinite(number) else (None, _spelled(number))
    if isinstance(value, str) and value.strip().lower() in NOT_FINITE:
        return None, value.strip()
    shown = json.dumps(value, ensure_ascii=False)[:60] if isinstance(value, str | bool) else f"a {_kind(value)}"
    hint = "without quotes, such as 0.93" if isinstance(value, str) and _numeric(value) else "such as 0.93, or NaN"
    raise BadInput(field, f"{field}: {shown} is not a number; write one {hint}.")


def _spelled(number: float) -> str:
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _kind(value: object) -> str:
    return "list" if isinstance(value, list) else "map" if isinstance(value, dict) else type(value).__name__


def _numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# -- what may be registered --------------------------------------------------------------------------------------


def validate(given: ModelVersion) -> None:
    """Raise `BadInput` for the first field that is wrong; texts are single lines, names have no blanks around them."""
    name(given.model, "model", NAME_LIMIT)
    name(given.version, "version", VERSION_LIMIT)
    _line(given.artifact_uri, "artifact.uri", URI_LIMIT)
    _line(given.digest, "artifact.digest", DIGEST_LIMIT)
    if any(char.isspace() or not char.isascii() for char in given.digest):
        raise BadInput(
            "artifact.digest", "artifact.digest holds blanks or letters outside ASCII; write it like sha256:2c26b46b…"
        )
    validate_measurements(given.measurements)
    lineage = given.lineage
    _at_most(len(lineage.data), DATA_LIMIT, "lineage.data", "data sets")
    for index, each in enumerate(lineage.data):
        name(each.name, f"lineage.data[{index}].name", NAME_LIMIT)
        _line(each.digest, f"lineage.data[{index}].digest", DIGEST_LIMIT)
    _line(lineage.repo, "lineage.code.repo", URI_LIMIT)
    _line(lineage.commit, "lineage.code.commit", DIGEST_LIMIT)
    _line(lineage.run_url, "lineage.run_url", URI_LIMIT)
    if not given.members:  # a bundle has the trainers of all its members
        _line(lineage.trained_by, "lineage.trained_by", NAME_LIMIT)
    _line(lineage.retraining, "lineage.retraining", NAME_LIMIT)
    _at_most(len(given.tags), TAGS_LIMIT, "tags", "tags")
    for key, value in given.tags.items():
        name(key, "tags", NAME_LIMIT)
        _line(value, f"tags.{key}", URI_LIMIT)
    for field, text in (("signature", given.signature), ("card", given.card)):
        if len(text) > PAPER_LIMIT:
            raise BadInput(field, f"{field} has {len(text):,} characters; {PAPER_LIMIT:,} at most are kept.")
        for char in text:
            if char not in "\n\r\t" and (unicodedata.category(char) in ("Cc", "Cs") or char in "\ufffe\uffff"):
                raise BadInput(field, f"{field} holds the control character U+{ord(char):04X}; leave it out.")


def validate_measurements(measurements: tuple[Measurement, ...]) -> None:
    """Raise `BadInput` for the first measurement that is wrong, or given twice."""
    _at_most(len(measurements), METRICS_LIMIT, "metrics", "metrics")
    seen: dict[tuple[str, str, str], int] = {}
    for index, each in enumerate(measurements):
        field = f"metrics[{index}]"
        name(each.name, f"{field}.name", NAME_LIMIT)
        _line(each.slice, f"{field}.slice", NAME_LIMIT)
        _line(each.dataset, f"{field}.dataset", NAME_LIMIT)
        _line(each.dataset_digest, f"{field}.dataset.digest", DIGEST_LIMIT)
        if each.value is not None and not math.isfinite(each.value):
            raise BadInput(f"{field}.value", f"{field}.value is not a finite number; leave it out and say what it was.")
        if each.samples is not None and not 0 <= each.samples <= SAMPLES_LIMIT:
            raise BadInput(
                f"{field}.samples", f"{field}.samples is {each.samples}; write how many there were, 0 or more."
            )
        key = (each.name, each.slice, each.dataset)
        if key in seen:
            where = f" on slice {each.slice}" if each.slice else ""
            where += f" of {each.dataset}" if each.dataset else ""
            raise BadInput(
                field, f"{field} and metrics[{seen[key]}] both give {each.name}{where}; give each measurement once."
            )
        seen[key] = index


def name(text: str, field: str, limit: int) -> None:
    """Raise `BadInput` unless `text` can be a name: to be seen, short, on one line, no blanks around it."""
    if all(unicodedata.category(char) == "Cf" or char.isspace() for char in text):
        raise BadInput(field, f"{field} is empty; write a name of 1 to {limit} characters.")
    if text != text.strip():
        raise BadInput(field, f"{field} begins or ends with a blank; leave the blanks out.")
    if text in (".", ".."):
        raise BadInput(field, f"{field} is “{text}”, which no web address can hold; write another name.")
    _line(text, field, limit)


def _line(text: str, field: str, limit: int) -> None:
    if len(text) > limit:
        raise BadInput(field, f"{field} has {len(text):,} characters; {limit:,} at most are kept.")
    for char in text:
        if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in "\ufffe\uffff":
            raise BadInput(
                field,
                f"{field} holds the control character U+{ord(char):04X}; write one line without such characters.",
            )


def _at_most(count: int, limit: int, field: str, noun: str) -> None:
    if count > limit:
        raise BadInput(field, f"{field} holds {count:,} {noun}; {limit:,} at most are kept with one version.")


# -- the same, or not --------------------------------------------------------------------------------------------


def content_digest(given: ModelVersion) -> str:
    """SHA-256 over the canonical JSON of everything given. The order of metrics and data sets makes no difference."""
    canonical = json.dumps(_content(given), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def _content(given: ModelVersion) -> dict[str, Any]:
    lineage = given.lineage
    members = {"members": dict(given.members)} if given.members else {}
    return members | {
        "model": given.model,
        "version": given.version,
        "artifact": [given.artifact_uri, given.digest],
        "metrics": sorted(_measurement(each) for each in given.measurements),
        "data": sorted([each.name, each.digest] for each in lineage.data),
        "code": [lineage.repo, lineage.commit],
        "run": [lineage.run_url, lineage.trained_by],
        "tags": dict(given.tags),
        **({"retraining": lineage.retraining} if lineage.retraining else {}),
        **given.papers,
    }


def _papers(given: ModelVersion) -> dict[str, str]:
    """The SHA-256 of each text that came with a version; nothing where none did, as in every version before."""
    texts = {"signature": given.signature, "card": given.card}
    return {name: f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" for name, text in texts.items() if text}


def _measurement(each: Measurement) -> list[str]:
    value = "" if each.value is None else repr(float(each.value) + 0.0)
    samples = "" if each.samples is None else str(each.samples)
    return [each.name, each.slice, each.dataset, each.dataset_digest, value, each.raw, samples]


def _conflict(kept: ModelVersion, given: ModelVersion) -> Conflict:
    """The refusal that names what differs between what is kept and what was given now."""
    found = list(_differences(kept, given))
    differs = " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found) or "content"
    return Conflict(
        "version-differs",
        f"{given.model} {given.version} is already registered with a different {differs}. "
        "A version never changes: register this one under a new version.",
        model=given.model,
        version=given.version,
        differs=[text.split(" (")[0] for text in found],
    )


def _differences(kept: ModelVersion, given: ModelVersion) -> Iterable[str]:
    members = [", ".join(" ".join(each) for each in sorted(v.members)) for v in (kept, given)]
    for what, old, new in (
        ("set of members", *members),
        ("artifact digest", kept.digest, given.digest),
        ("artifact uri", kept.artifact_uri, given.artifact_uri),
        ("code repo", kept.lineage.repo, given.lineage.repo),
        ("code commit", kept.lineage.commit, given.lineage.commit),
        ("run url", kept.lineage.run_url, given.lineage.run_url),
        ("trainer", kept.lineage.trained_by, given.lineage.trained_by),
        ("retraining", kept.lineage.retraining, given.lineage.retraining),
        ("signature", kept.papers.get("signature", ""), given.papers.get("signature", "")),
        ("model card", kept.papers.get("card", ""), given.papers.get("card", "")),
    ):
        if old != new:
            yield f"{what} ({_clip(old)} instead of {_clip(new)})"
    if _content(kept)["data"] != _content(given)["data"]:
        yield "list of data sets"
    old_metrics, new_metrics = (_by_key(each.measurements) for each in (kept, given))
    changed = sorted({key for key in old_metrics | new_metrics if old_metrics.get(key) != new_metrics.get(key)})
    if changed:
        names = [f"{key[0]}[{key[1]}]" if key[1] else key[0] for key in changed]
        yield f"set of metrics ({', '.join(names[:3])}{' …' if len(names) > 3 else ''})"
    if dict(kept.tags) != dict(given.tags):
        yield "set of tags"


def _by_key(measurements: tuple[Measurement, ...]) -> dict[tuple[str, str, str], list[str]]:
    return {(each.name, each.slice, each.dataset): _measurement(each) for each in measurements}


def _clip(text: str) -> str:
    return "none" if not text else text if len(text) <= 24 else f"{text[:23]}…"
