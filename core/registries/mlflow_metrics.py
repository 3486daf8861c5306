"""What an MLflow server's metrics are worth: which of several values counts, and which is no number at all. Pure.

MLflow keeps a metric twice: with the run (its last value) and with the logged model (the value at the model's step, with
the data set that it was measured on). The one with a data set counts, else the run's. Neither is to be trusted blindly:

- NaN comes from the run as the text "NaN", and from the logged model as **0.0**: such a zero is held against its run.
- The infinities come as ±1.797e308.
- A raw NaN in the request was stored as 0.0 at timestamp 0.

MLflow has no slices, so a metric's name carries them: `auc/country:DE` (the spelling that MLflow's own client lets
through), `auc/country=DE` or `auc[country=DE]` are all auc on the slice country=DE.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.domain.model import Measurement
from core.registries.limits import DIGEST_LIMIT, METRICS_LIMIT, NAME_LIMIT, unfit

#: What MLflow stores for an infinity is the largest number there is; nothing that is measured comes near.
INFINITE = 1e308
_PART = re.compile(r"([^/\[\]:=]+)[:=]([^/\[\]:=]+)")
_BRACKETS = re.compile(r"([^\[\]]+)\[([^\[\]]+)\]")


@dataclass(frozen=True)
class Point:
    """One value of a metric as MLflow tells it."""

    key: str
    value: object
    timestamp: int = 0
    step: int = 0
    dataset: str = ""
    digest: str = ""
    run: str = ""
    of_model: bool = False  #: told by the logged model, not by the run

    @property
    def doubtful(self) -> bool:
        """A zero of the logged model, which may have been NaN."""
        return self.of_model and isinstance(self.value, int | float) and self.value == 0

    @property
    def age(self) -> tuple[int, int]:
        """What MLflow itself orders values by."""
        return self.step, self.timestamp


def points(rows: object, of_model: bool = False) -> list[Point]:
    """The values in a payload; what is no value with a name is left out."""
    return [
        Point(
            key=row["key"],
            value=row.get("value"),
            timestamp=whole(row.get("timestamp")),
            step=whole(row.get("step")),
            dataset=text(row.get("dataset_name")),
            digest=text(row.get("dataset_digest")),
            run=text(row.get("run_id")),
            of_model=of_model,
        )
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and isinstance(row.get("key"), str)
    ]


def settled(point: Point, told_by_run: Iterable[Point]) -> Point:
    """A doubtful point as its run has it; no number where the run does not confirm it."""
    same = [each.value for each in told_by_run if (each.key, each.age) == (point.key, point.age)]
    if not same:
        return replace(point, value="0.0, which its run does not confirm")
    wrong = [value for value in same if isinstance(value, str)]
    return replace(point, value=wrong[0] if wrong else same[0])


def number(point: Point) -> tuple[float | None, str]:
    """The value, or (None, what was there instead)."""
    value = point.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None, value.strip()[:60] if isinstance(value, str) else "null" if value is None else "no number"
    try:
        found = float(value)
    except OverflowError:
        return None, "a number too large"
    if math.isnan(found):
        return None, "NaN"
    if abs(found) >= INFINITE:
        return None, "Infinity" if found > 0 else "-Infinity"
    if point.timestamp <= 0:
        return None, f"{found:g} without a time, as MLflow keeps a NaN"
    return found, ""


def name_and_slice(key: str) -> tuple[str, str]:
    """`auc/country:DE` is ("auc", "country=DE"); a name without slices is itself."""
    if bracketed := _BRACKETS.fullmatch(key):
        name, parts = bracketed[1], bracketed[2].split(",")
    else:
        name, *parts = key.split("/")
        while parts and not _PART.fullmatch(parts[0]):
            name = f"{name}/{parts.pop(0)}"
    found = [_PART.fullmatch(part) for part in parts]
    if not parts or not name.strip() or not all(found):
        return key.strip(), ""
    return name.strip(), ",".join(f"{part[1].strip()}={part[2].strip()}" for part in found if part)


@dataclass(frozen=True)
class Chosen:
    """The measurements to register, where each came from ("auc: logged model"), and what was left out or not believed."""

    measurements: tuple[Measurement, ...]
    sources: tuple[str, ...]
    notes: tuple[str, ...]


def choose(of_model: Sequence[Point], of_run: Sequence[Point], rows: Mapping[tuple[str, str], int]) -> Chosen:
    """Which values count. `rows` says how many rows a data set (name, digest) has."""
    found: dict[tuple[str, str, str], Measurement] = {}
    sources, notes = [], []
    for key in sorted({point.key for point in (*of_model, *of_run) if not point.key.startswith("system/")}):
        told = [point for point in of_model if point.key == key]
        last = [point for point in of_run if point.key == key]
        taken, remarks = _taken(key, told, last)
        notes += remarks
        for point in taken:
            measurement, remark = _measurement(point, rows)
            if remark:
                notes.append(remark)
            if measurement is None:
                continue
            where = (measurement.name, measurement.slice, measurement.dataset)
            if where in found and found[where] != measurement:
                measurement = replace(measurement, value=None, raw="given more than once, with different values")
                notes.append(f"{key} is given in several spellings with different values, which counts as no data.")
            found[where] = measurement
        if taken:
            sources.append(f"{key}: {'logged model' if taken[0].of_model else 'run'}")
    kept = [found[where] for where in sorted(found)]
    if len(kept) > METRICS_LIMIT:
        notes.append(f"It has {len(kept):,} metrics; the first {METRICS_LIMIT} by name were taken over.")
    return Chosen(tuple(kept[:METRICS_LIMIT]), tuple(sources), tuple(notes))


def _taken(key: str, told: list[Point], last: list[Point]) -> tuple[list[Point], list[str]]:
    """The points of one metric that count: one for each data set, or one in all."""
    newest: dict[str, Point] = {}
    digests: dict[str, set[str]] = {}
    for point in sorted(told, key=lambda each: each.age):
        if point.dataset and point.digest:
            newest[point.dataset] = point
            digests.setdefault(point.dataset, set()).add(point.digest)
    if newest:
        mixed = [dataset for dataset, several in digests.items() if len(several) > 1]
        return list(newest.values()), [
            f"{key} was measured on several states of {dataset}; the newest value counts." for dataset in mixed
        ]
    ours, theirs = max(last, key=_age, default=None), max(told, key=_age, default=None)
    if ours is None:
        return ([theirs] if theirs else []), []
    if theirs is not None and number(theirs) != number(ours):
        return [ours], [
            f"{key} is the run's last value (step {ours.step}); the logged model has another one (step {theirs.step})."
        ]
    return [ours], []


def _age(point: Point) -> tuple[int, int]:
    return point.age


def _measurement(point: Point, rows: Mapping[tuple[str, str], int]) -> tuple[Measurement | None, str]:
    """The measurement, if it can be kept, and a remark, if there is something to say."""
    name, part = name_and_slice(point.key)
    if unfit(name, NAME_LIMIT, True) or unfit(part, NAME_LIMIT):
        return None, f"A metric whose name cannot be kept was left out: {''.join(filter(str.isprintable, name))[:60]}."
    value, raw = number(point)
    remark = f"{point.key} is no number ({raw})." if value is None else ""
    dataset, digest = point.dataset, point.digest
    if unfit(dataset, NAME_LIMIT) or unfit(digest, DIGEST_LIMIT):
        dataset, digest, remark = "", "", f"{point.key} names a data set whose name cannot be kept."
    samples = None if part else rows.get((dataset, digest))  # the rows are those of the whole data set
    return Measurement(name, value, raw, part, dataset, digest, samples), remark


def row_count(profile: object) -> int | None:
    """How many rows a data set's profile tells of."""
    try:
        told = json.loads(profile) if isinstance(profile, str) else None
    except (ValueError, RecursionError):
        return None
    count = told.get("num_rows") if isinstance(told, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 2**63 else None


def text(value: Any) -> str:
    """A text of a payload; "" for anything else."""
    return value if isinstance(value, str) else ""


def whole(value: Any) -> int:
    """A whole number of a payload, which may come as text; 0 for anything else."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value, re.ASCII):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
