"""A rollout's analysis over time as a picture shows it: each metric look by look, its limit, the steps, how it ended. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.domain.model import DeploymentState, State
from core.domain.views import PromotionView
from core.policy.analysis import watches, whole
from core.policy.comparison import Edge, said, unit
from core.policy.numbers import exact, number
from core.policy.readings import Standing
from core.policy.rollout import AnalysisMetric
from core.policy.schema import Stage

#: Panels of a picture that a phone can still show, and looks in a panel; what failed or told nothing is never left out.
PANELS, LOOKS = 4, 160
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class TakenLook:
    """One look at all metrics, as kept: by name `[outcome, candidate, champion]`."""

    at: datetime
    traffic: int
    found: Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Point:
    """What one look found of one metric, so many seconds after the first traffic. None is no data."""

    at: float
    outcome: str
    candidate: float | None
    champion: float | None


@dataclass(frozen=True)
class Panel:
    """One metric over all looks."""

    name: str
    unit: str
    lower_is_better: bool
    edges: tuple[Edge, ...]
    points: tuple[Point, ...]
    dry_run: bool
    share: bool  #: of requests, to be shown in per cent


@dataclass(frozen=True)
class Step:
    """Traffic moved to `traffic` per cent, so many seconds after the first."""

    at: float
    traffic: int


@dataclass(frozen=True)
class Timeline:
    """Everything that one picture says. `standing`: running, asking, passed, failed or errored."""

    title: str
    candidate: str
    champion: str
    standing: str
    verdict: str
    seconds: float
    panels: tuple[Panel, ...]
    steps: tuple[Step, ...]
    left_out: int = 0


def over_time(view: PromotionView, looks: Sequence[TakenLook]) -> Timeline | None:
    """What to draw of a rollout's analysis; None where nothing was looked at."""
    wanted = Stage.from_rules(view.rules).rollout.analysis
    if wanted is None or not looks:
        return None
    moved = _moves(view)
    began = min([looks[0].at, *(at for at, _ in moved)])
    members = [(each.model, each.version, each.champion or "") for each in view.members]
    wanted = whole(wanted, watches(wanted, view.model, view.version.version, "", members))
    panels = [_panel(metric, looks, began) for metric in wanted.metrics]
    panels = [each for each in panels if each.points]
    if not panels:
        return None
    panels.sort(key=lambda each: (not _failed(each), each.dry_run))
    standing, verdict = _standing(view)
    return Timeline(
        title=f"Rollout of {view.model} to {view.stage}",
        candidate=view.version.version,
        champion=view.champion.version if view.champion else "",
        standing=standing,
        verdict=verdict,
        seconds=max(1.0, (looks[-1].at - began).total_seconds()),
        panels=tuple(panels[:PANELS]),
        steps=tuple(Step((at - began).total_seconds(), traffic) for at, traffic in moved),
        left_out=max(0, len(panels) - PANELS),
    )


def _moves(view: PromotionView) -> list[tuple[datetime, int]]:
    """When the candidate got how much of the traffic; of a bundle, when the last of its members did."""
    taking = [each for each in view.members if each.turn is not None]
    last = max(taking, key=lambda each: each.turn or 0, default=None)
    what = (last.model, last.version) if last else (view.model, view.version.version)
    return [
        (each.finished_at, each.traffic)
        for each in view.deployments
        if each.finished_at and each.state is DeploymentState.SUCCEEDED and (each.model, each.version) == what
    ]


def _panel(metric: AnalysisMetric, looks: Sequence[TakenLook], began: datetime) -> Panel:
    points = [
        Point((look.at - began).total_seconds(), *_numbers(look.found[metric.name]))
        for look in looks
        if metric.name in look.found
    ]
    lower = metric.lower_is_better or metric.query is None or (metric.at_most is not None and metric.at_least is None)
    edges = []
    if metric.at_least is not None:
        edges.append(Edge(metric.at_least, f"at least {_limit(metric, metric.at_least)}", above=False))
    if metric.at_most is not None:
        edges.append(Edge(metric.at_most, f"at most {_limit(metric, metric.at_most)}", above=True))
    return Panel(
        metric.name, unit(metric.name), lower, tuple(edges), _thinned(points), metric.dry_run, metric.query is None
    )


def _numbers(found: Sequence[Any]) -> tuple[str, float | None, float | None]:
    outcome, mine, theirs = found
    return str(outcome), _finite(mine), _finite(theirs)


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _limit(metric: AnalysisMetric, value: float) -> str:
    return shown(value, share=metric.query is None, in_unit=unit(metric.name))


def shown(value: float, *, share: bool, in_unit: str) -> str:
    """A metric's number: `0.41 %` where it is a share of requests, else `31 ms`."""
    return f"{number(exact(value) * 100, 3)} %" if share else said(value, in_unit)


def _thinned(points: list[Point]) -> tuple[Point, ...]:
    every = -(-len(points) // LOOKS)
    kept = (
        each
        for index, each in enumerate(points)
        if index % every == 0 or index == len(points) - 1 or each.outcome != Standing.PASSED
    )
    return tuple(kept)


def _failed(panel: Panel) -> bool:
    return not panel.dry_run and any(each.outcome == Standing.FAILED for each in panel.points)


def _standing(view: PromotionView) -> tuple[str, str]:
    rollout = view.rollout
    if view.state is State.SUCCEEDED:
        return "passed", f"Passed: {view.version.version} is champion"
    if view.state is State.ERRORED:
        return "errored", "Ended in an error: a person must look"
    if not view.active or view.state is State.ROLLING_BACK:
        back = f"{view.champion.version} serves again" if view.champion else "it was stopped"
        return "failed", f"Rolled back: {back}"
    if rollout is not None and rollout.phase == "asking":
        return "asking", "Somebody must say how to go on"
    traffic = rollout.traffic if rollout is not None else 100
    return "running", f"Running, at {traffic} % of the traffic"


def spoken_time(seconds: float) -> str:
    """`45 s`, `12 min`, `3.5 h`, `2 d`: how long ago something is."""
    for size, name in ((172_800, "d"), (7_200, "h"), (120, "min")):
        if seconds >= size:
            return f"{number(seconds / {'d': 86_400, 'h': 3_600, 'min': 60}[name], 2)} {name}"
    return f"{round(seconds)} s"


def sparkline(panel: Panel, width: int = 24) -> str:
    """The candidate's numbers as bars; `×` where a look failed, `·` where there was no number."""
    points = panel.points[-width:]
    known = [each.candidate for each in points if each.candidate is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    low = min(low, 0.0) if low <= high / 2 else low
    return "".join(_bar(each, low, high) for each in points)


def _bar(point: Point, low: float, high: float) -> str:
    if point.outcome == Standing.FAILED:
        return "×"
    if point.candidate is None:
        return "·"
    return BARS[0] if high == low else BARS[round((point.candidate - low) / (high - low) * (len(BARS) - 1))]


def summary(panel: Panel) -> str:
    """`error_rate last 0.9 %, champion 1 %, at most 2 %; 9 looks, 1 failed`."""
    last = next((each for each in reversed(panel.points) if each.candidate is not None), None)
    parts = [f"{panel.name} {'(dry run) ' if panel.dry_run else ''}"]
    if last is None or last.candidate is None:
        parts[0] += "has no data"
    else:
        parts[0] += f"last {shown(last.candidate, share=panel.share, in_unit=panel.unit)}"
        if last.champion is not None:
            parts.append(f"champion {shown(last.champion, share=panel.share, in_unit=panel.unit)}")
    parts += [edge.label for edge in panel.edges]
    counted = [
        f"{count} {name}"
        for name in (Standing.FAILED.value, Standing.INCONCLUSIVE.value, Standing.ERRORED.value)
        if (count := sum(each.outcome == name for each in panel.points))
    ]
    looks = f"{len(panel.points)} look{'' if len(panel.points) == 1 else 's'}"
    return f"{', '.join(parts)}; {', '.join([looks, *counted])}"


def alt_text(found: Timeline) -> str:
    """The whole picture in words, for whoever does not see it."""
    against = f"champion {found.champion}" if found.champion else "no champion"
    lines = [f"{found.title}: candidate {found.candidate} beside {against}. {found.verdict}."]
    if found.steps:
        steps = ", ".join(f"{step.traffic} % after {spoken_time(step.at)}" for step in found.steps)
        lines.append(f"Traffic: {steps}.")
    lines += [f"{summary(each)}." for each in found.panels]
    return " ".join(lines)
