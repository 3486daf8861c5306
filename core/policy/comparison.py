"""The candidate beside the champion as a picture shows it: which numbers, how sure, which way is better, where the gates
are. Pure: what is drawn is decided here, and drawn elsewhere (or written as text).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.domain.model import Measurement, ModelVersion, Outcome, Verdict
from core.domain.views import PromotionView
from core.policy.gates import NO_GATES
from core.policy.intervals import interval, is_error_of_another
from core.policy.measurements import metric_name
from core.policy.numbers import exact, number
from core.policy.schema import Stage
from core.policy.stages import MetricGate

#: Rows of a picture that a phone can still show.
ROWS = 8
#: So much of the strip is left free at each end.
MARGIN = 0.12
_UNITS = (
    (("_ms", "_millis", "_milliseconds"), "ms"),
    (("_us", "_micros"), "µs"),
    (("_s", "_sec", "_secs", "_seconds"), "s"),
    (("_pct", "_percent"), "%"),
    (("_mb",), "MB"),
    (("_gb",), "GB"),
    (("_kb",), "kB"),
    (("_bytes",), "B"),
    (("_usd",), "USD"),
    (("_eur",), "EUR"),
)
_WORST_FIRST = (Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.PASSED)


@dataclass(frozen=True)
class Spot:
    """One version's number, with its interval where there is a legitimate one; `how` names that, "" where none is."""

    value: float
    low: float | None = None
    high: float | None = None
    how: str = ""
    samples: int | None = None


@dataclass(frozen=True)
class Edge:
    """A gate's limit. `above`: what is above it fails, else what is below."""

    value: float
    label: str
    above: bool


@dataclass(frozen=True)
class Strip:
    """One metric and slice. `lower_is_better` is None where no gate says which way is better.

    `low` and `high` are the ends of what is drawn; `outcome` is "" where no gate holds it.
    """

    name: str
    unit: str
    candidate: Spot | None
    champion: Spot | None
    lower_is_better: bool | None
    edges: tuple[Edge, ...]
    outcome: str
    advisory: bool
    low: float
    high: float

    @property
    def change(self) -> float | None:
        """Candidate minus champion, as the two are written."""
        if self.candidate is None or self.champion is None:
            return None
        return float(exact(self.candidate.value) - exact(self.champion.value))

    @property
    def better(self) -> bool | None:
        """Whether the candidate is better; None where that is not known, or both are the same."""
        if not self.change or self.lower_is_better is None:
            return None
        return (self.change < 0) is self.lower_is_better

    def place(self, value: float) -> float:
        """Where a number stands from 0 to 1, better to the right."""
        where = (value - self.low) / (self.high - self.low)
        return 1 - where if self.lower_is_better else where


@dataclass(frozen=True)
class Comparison:
    """Everything that one picture says."""

    title: str
    candidate: str
    champion: str  #: "" while nobody serves the stage
    standing: str
    strips: tuple[Strip, ...]
    legend: tuple[str, ...]  #: how to read the drawing; words alone do not need it
    caution: str  #: "" where there is none
    left_out: int = 0


def compare(view: PromotionView) -> Comparison | None:
    """What to draw of a promotion's evidence; None where no number is there to be drawn."""
    gated = _gated(view)
    free = [] if len(gated) > ROWS else _ungated(view, {(name, slice_) for name, slice_, _ in gated})
    strips = [_strip(view, *each) for each in [*gated, *free]]
    strips = [each for each in strips if each.candidate or each.champion]
    if not strips:
        return None
    return Comparison(
        title=f"Promote {view.model} to {view.stage}?",
        candidate=view.version.version,
        champion=view.champion.version if view.champion else "",
        standing=_standing(view.verdicts),
        strips=tuple(strips[:ROWS]),
        legend=_legend(strips[:ROWS]),
        caution=_caution(view),
        left_out=max(0, len(strips) - ROWS),
    )


def _standing(verdicts: Sequence[Verdict]) -> str:
    deciding = [each for each in verdicts if not each.advisory and each.gate != NO_GATES.gate]
    if not deciding:
        return "no gate decides here"
    passed = sum(each.outcome is Outcome.PASSED for each in deciding)
    if passed == len(deciding):
        return "the gate passed" if passed == 1 else f"all {passed} gates passed"
    return f"{passed} of {len(deciding)} gates passed"


def _gated(view: PromotionView) -> list[tuple[str, str, list[Verdict]]]:
    """What the gates hold, what stops it first."""
    found: dict[tuple[str, str], list[Verdict]] = {}
    for each in view.verdicts:
        if each.metric:
            found.setdefault((each.metric, each.slice), []).append(each)
    ordered = sorted(found.items(), key=lambda item: _rank(_worst(item[1])))
    return [(name, slice_, verdicts) for (name, slice_), verdicts in ordered]


def _rank(verdict: Verdict) -> tuple[bool, int]:
    return not verdict.decides, _WORST_FIRST.index(verdict.outcome)


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    return min(verdicts, key=_rank)


def _ungated(view: PromotionView, gated: set[tuple[str, str]]) -> list[tuple[str, str, list[Verdict]]]:
    """What was measured of both and no gate holds: whole data sets before slices."""
    names = {each.name for each in view.version.measurements}
    keys = dict.fromkeys((each.name, each.slice) for each in view.version.measurements if each.value is not None)
    free = [key for key in keys if key not in gated and not is_error_of_another(key[0], names)]
    return [(name, slice_, []) for name, slice_ in sorted(free, key=lambda key: bool(key[1]))]


def _strip(view: PromotionView, name: str, slice_: str, verdicts: list[Verdict]) -> Strip:
    wanted = [
        gate
        for gate in Stage.from_rules(view.rules).gates
        if isinstance(gate, MetricGate) and (gate.metric, gate.slice) == (name, slice_)
    ]
    deciding = [gate for gate in wanted if not gate.advisory]
    lower = any(map(_lower_is_better, wanted)) if wanted else None
    mine = _spot(view.version, name, slice_, _judged(verdicts, "candidate"))
    theirs = _spot(view.champion, name, slice_, _judged(verdicts, "champion")) if view.champion else None
    edges = _strictest([edge for gate in deciding or wanted for edge in _edges(gate, theirs)])
    low, high = _ends([mine, theirs], edges)
    worst = _worst(verdicts) if verdicts else None
    return Strip(
        name=metric_name(name, slice_),
        unit=unit(name),
        candidate=mine,
        champion=theirs,
        lower_is_better=lower,
        edges=edges,
        outcome=worst.outcome.value if worst else "",
        advisory=worst.advisory if worst else False,
        low=low,
        high=high,
    )


def _judged(verdicts: Sequence[Verdict], whose: str) -> float | None:
    return next((value for each in verdicts if (value := getattr(each, whose)) is not None), None)


def _spot(version: ModelVersion, name: str, slice_: str, judged: float | None) -> Spot | None:
    """The number that the gates judged, else the first that was measured."""
    found = [
        each
        for each in version.measurements
        if (each.name, each.slice) == (name, slice_) and each.value is not None and math.isfinite(each.value)
    ]
    if judged is not None:
        found = [each for each in found if each.value == judged] or [Measurement(name, judged, slice=slice_)]
    if not found:
        return None
    [first, *_] = found
    sure = interval(version, first)
    value = first.value if first.value is not None else math.nan
    return Spot(value, sure.low, sure.high, sure.how, first.samples) if sure else Spot(value, samples=first.samples)


def _lower_is_better(gate: MetricGate) -> bool:
    return gate.lower_is_better or (gate.at_most is not None and gate.at_least is None)


def _edges(gate: MetricGate, champion: Spot | None) -> list[Edge]:
    found = []
    if gate.at_least is not None:
        found.append(Edge(gate.at_least, f"≥ {said(gate.at_least, unit(gate.metric))}", above=False))
    if gate.at_most is not None:
        found.append(Edge(gate.at_most, f"≤ {said(gate.at_most, unit(gate.metric))}", above=True))
    if gate.compared_to is not None and champion is not None:
        margin = exact(gate.no_worse_by)
        value = exact(champion.value) + (margin if gate.lower_is_better else -margin)
        sign = "≤" if gate.lower_is_better else "≥"
        by = f" {'+' if gate.lower_is_better else '−'} {said(gate.no_worse_by, unit(gate.metric))}" if margin else ""
        found.append(Edge(float(value), f"{sign} champion{by}", above=gate.lower_is_better))
    return found


def _strictest(edges: Sequence[Edge]) -> tuple[Edge, ...]:
    """The limit that counts on each side."""
    floors = [edge for edge in edges if not edge.above]
    ceilings = [edge for edge in edges if edge.above]
    found = [max(floors, key=lambda edge: edge.value)] if floors else []
    return (*found, *([min(ceilings, key=lambda edge: edge.value)] if ceilings else []))


def _ends(spots: Sequence[Spot | None], edges: Sequence[Edge]) -> tuple[float, float]:
    """From where to where a strip goes: all that is on it, and some air. Never of no width."""
    shown = [edge.value for edge in edges]
    for spot in spots:
        if spot is not None:
            shown += [spot.value, *(each for each in (spot.low, spot.high) if each is not None)]
    if not shown:
        return 0.0, 1.0
    low, high = min(shown), max(shown)
    width = high - low or abs(high) * 0.2 or 1.0
    if high == low:
        low, high = low - width / 2, high + width / 2
    return low - MARGIN * width, high + MARGIN * width


def _legend(strips: Sequence[Strip]) -> tuple[str, ...]:
    spots = [spot for each in strips for spot in (each.candidate, each.champion) if spot is not None]
    with_interval = sorted({spot.how for spot in spots if spot.how})
    lines = [f"Lines are 95 % intervals ({', '.join(with_interval)})."] if with_interval else []
    if any(not spot.how for spot in spots):
        lines.append("A mark without a line is a single value: no interval is known.")
    return tuple(lines)


def _caution(view: PromotionView) -> str:
    mine, theirs = _datasets(view.version), _datasets(view.champion) if view.champion else set()
    apart = mine and theirs and mine.isdisjoint(theirs)
    return "Candidate and champion were measured on different data." if apart else ""


def _datasets(version: ModelVersion) -> set[str]:
    return {each.dataset_digest for each in version.measurements if each.dataset_digest}


def unit(name: str) -> str:
    """What a metric's name says that it is measured in; "" where it says nothing."""
    lowered = name.lower()
    return next((said for endings, said in _UNITS if lowered.endswith(endings)), "")


def said(value: float, in_unit: str) -> str:
    """`31 ms`, `0.9134`."""
    return f"{number(value)} {in_unit}".rstrip()


def signed(change: float) -> str:
    """`+0.01`, `−3`, `±0`."""
    return "±0" if change == 0 else f"{'+' if change > 0 else '−'}{number(abs(change), 2)}"


def alt_text(found: Comparison) -> str:
    """The whole picture in words, for whoever does not see it."""
    against = f" against champion {found.champion}" if found.champion else ", no champion yet"
    lines = [f"{found.title} Candidate {found.candidate}{against}; {found.standing}."]
    lines += [f"{_in_words(each)}." for each in found.strips]
    lines += [found.caution] if found.caution else []
    if found.left_out:
        lines.append(f"{found.left_out} more under Details.")
    return " ".join(re.sub(r"\s+", " ", line) for line in lines)


def _in_words(strip: Strip) -> str:
    parts = [f"{strip.name} {_spoken(strip.candidate, strip)}"]
    if strip.champion is not None:
        parts.append(f"champion {_spoken(strip.champion, strip)}")
    if strip.change is not None:
        how = {True: ", better", False: ", worse", None: ""}[strip.better]
        parts.append(f"change {signed(strip.change)}{how}")
    parts += [f"gate {edge.label}" for edge in strip.edges]
    if strip.outcome:
        parts.append(f"{strip.outcome}{' (advisory)' if strip.advisory else ''}")
    return ", ".join(parts)


def _spoken(spot: Spot | None, strip: Strip) -> str:
    if spot is None:
        return "no data"
    if spot.low is None or spot.high is None:
        return said(spot.value, strip.unit)
    return f"{said(spot.value, strip.unit)} ({number(spot.low)} to {number(spot.high)})"
