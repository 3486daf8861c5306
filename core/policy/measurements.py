"""Which of a version's measurements a gate means, and which pair of them can be compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.domain.model import Measurement, ModelVersion


@dataclass(frozen=True)
class Pair:
    """A candidate's number and the champion's beside it; `differ`: they are known to be of different data sets."""

    candidate: float
    champion: float
    differ: bool = False


class NoData(Exception):
    """There is no usable number; the sentence says which is missing or wrong."""


def values(version: ModelVersion, metric: str, slice_: str, whose: str) -> list[Measurement]:
    """The measurements of one metric and slice, each usable, one for each data set. Raises `NoData`."""
    what = metric_name(metric, slice_)
    found: dict[str, Measurement] = {}
    for each in version.measurements:
        if each.name != metric or each.slice != slice_:
            continue
        if each.value is None or not math.isfinite(each.value):
            raw = each.raw or ("" if each.value is None else str(each.value))
            given = f"“{raw[:40]}”, which is not a finite number" if raw else "empty"
            raise NoData(f"{what} of {whose} is {given}.")
        before = found.setdefault(_dataset(each), each)
        if before.value != each.value:
            raise NoData(f"{what} of {whose} was measured twice on the same data, with different results.")
    if not found:
        raise NoData(f"{what} of {whose} was not measured.")
    return list(found.values())


def numbers(found: Sequence[Measurement]) -> list[float]:
    """The values, each once."""
    return list(dict.fromkeys(each.value for each in found if each.value is not None))


def pairs(mine: Sequence[Measurement], theirs: Sequence[Measurement], what: str) -> list[Pair]:
    """What can be compared: measurements of one data set if there are any, else the only one of each side.

    Raises `NoData` where it cannot be told which of several belong together.
    """
    by_dataset = {_dataset(each): each for each in theirs}
    shared = [(each, by_dataset[_dataset(each)]) for each in mine if _dataset(each) in by_dataset]
    on_one_digest = [pair for pair in shared if pair[0].dataset_digest]
    chosen = on_one_digest or shared
    if not chosen and len(mine) == len(theirs) == 1:
        chosen = [(mine[0], theirs[0])]
    if not chosen:
        raise NoData(f"{what} was measured on several data sets, and on none of them for both candidate and champion.")
    return [
        Pair(one.value, other.value, _differ(one, other))
        for one, other in chosen
        if one.value is not None and other.value is not None
    ]


def metric_name(metric: str, slice_: str) -> str:
    """`auc (country=DE)`."""
    return f"{metric} ({slice_})" if slice_ else metric


def _dataset(measurement: Measurement) -> str:
    return measurement.dataset_digest or f"name {measurement.dataset}"


def _differ(one: Measurement, other: Measurement) -> bool:
    if one.dataset_digest and other.dataset_digest:
        return one.dataset_digest != other.dataset_digest
    return bool(one.dataset and other.dataset and one.dataset != other.dataset)
