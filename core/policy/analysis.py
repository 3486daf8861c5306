"""A rollout's analysis, in Argo Rollouts' vocabulary: looks, limits, and where it stands. Pure.

`begin`, then `observe` whenever `next_look` is due; `verdict` after each look, `conclude` when the time is up. The
`Progress` between two looks is kept as JSON. Only `conclude` can answer PASSED, and never for an analysis that ended
early, that found nothing, or whose last look had no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from core.policy.measuring import measure
from core.policy.numbers import number
from core.policy.queries import holes, is_outline
from core.policy.readings import Counting, Look, Measured, Standing
from core.policy.rollout import Analysis, AnalysisMetric

#: As many looks at a metric are remembered with their sentences.
REMEMBERED = 10
#: More metrics than this are counted on the card, not named.
NAMED = 6

Judge = Callable[[AnalysisMetric, "Watched"], tuple[Standing, str]]


@dataclass(frozen=True)
class Watched:
    """What the looks at one metric found so far.

    `inconclusive` and `errored` count looks since a person last let the analysis go on; looks that are still open are not
    counted at all.
    """

    name: str
    passed: int = 0
    failed: int = 0
    inconclusive: int = 0
    errored: int = 0
    errors_in_a_row: int = 0
    counting: Counting = field(default_factory=Counting)
    recent: tuple[Measured, ...] = ()

    @property
    def last(self) -> Measured | None:
        """The latest look."""
        return self.recent[-1] if self.recent else None

    def last_that(self, outcome: Standing) -> str:
        """What the latest look with this outcome said, as far as remembered."""
        return next((each.sentence for each in reversed(self.recent) if each.outcome is outcome), f"{self.name}.")

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Watched:
        """What `Progress.to_json` made of it."""
        counting, recent = Counting.from_json(kept["counting"]), tuple(map(Measured.from_json, kept["recent"]))
        return cls(**{**kept, "counting": counting, "recent": recent})


@dataclass(frozen=True)
class Progress:
    """An analysis between two looks."""

    began: datetime
    looks: int = 0
    looked: datetime | None = None
    metrics: tuple[Watched, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        looked = self.looked.isoformat() if self.looked else None
        return {**asdict(self), "began": self.began.isoformat(), "looked": looked}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Progress:
        """What `to_json` made of it. Raises `KeyError`, `TypeError` or `ValueError` for anything else."""
        looked = datetime.fromisoformat(kept["looked"]) if kept["looked"] else None
        metrics = tuple(map(Watched.from_json, kept["metrics"]))
        return cls(datetime.fromisoformat(kept["began"]), kept["looks"], looked, metrics)


@dataclass(frozen=True)
class MetricVerdict:
    """Where one metric stands: one sentence, and the numbers of its last look. It does not decide on `dry_run`."""

    name: str
    standing: Standing
    sentence: str
    watched: Watched
    dry_run: bool = False


@dataclass(frozen=True)
class AnalysisVerdict:
    """Where the analysis stands: one sentence, and every metric's own."""

    standing: Standing
    sentence: str
    metrics: tuple[MetricVerdict, ...] = ()


@dataclass(frozen=True)
class Watch:
    """The part of an analysis that is asked of one version; `champion` is what served before it, "" for nothing."""

    model: str
    version: str
    champion: str
    analysis: Analysis


def watches(
    analysis: Analysis, model: str, version: str, champion: str, members: Iterable[tuple[str, str, str]] = ()
) -> tuple[Watch, ...]:
    """What is asked of whom. `members` are a bundle's, as `(model, version, champion)`.

    Of a bundle, a metric whose queries name a version or a model is asked of every member, and named after it; any other
    is asked once. A member that serves already has nobody to be compared with: its bounds alone are watched.
    """
    listed = tuple(members)
    if not listed:
        return (Watch(model, version, champion, analysis),)
    about_members = [metric for metric in analysis.metrics if _names_a_member(metric)]
    once = tuple(metric for metric in analysis.metrics if metric not in about_members)
    found = [Watch(model, version, champion, analysis.model_copy(update={"metrics": once}))] if once else []
    for name, mine, served in listed:
        wanted = (_alone(metric) if served == mine else metric for metric in about_members)
        metrics = tuple(
            metric.model_copy(update={"name": f"{name} {mine}: {metric.name}"})
            for metric in wanted
            if metric is not None
        )
        if metrics:
            found.append(Watch(name, mine, served, analysis.model_copy(update={"metrics": metrics})))
    return tuple(found)


def whole(analysis: Analysis, parts: Iterable[Watch]) -> Analysis:
    """The analysis over everything that is watched: what fails of one part fails the rollout."""
    return analysis.model_copy(update={"metrics": tuple(metric for part in parts for metric in part.analysis.metrics)})


def _names_a_member(metric: AnalysisMetric) -> bool:
    return any(is_outline(query) or holes(query) - {"stage"} for query in metric.queries)


def _alone(metric: AnalysisMetric) -> AnalysisMetric | None:
    """A metric without its comparison; None where it has no bound beside it."""
    if metric.at_least is None and metric.at_most is None:
        return None
    return metric.model_copy(update={"compared_to": None, "no_worse_by": 0.0, "tolerance": 1.0, "first": "allow"})


def begin(analysis: Analysis, now: datetime) -> Progress:
    """An analysis before its first look."""
    return Progress(now, metrics=tuple(Watched(metric.name) for metric in analysis.metrics))


def next_look(analysis: Analysis, progress: Progress) -> datetime:
    """When to look next. Looks that a dead process missed are not made up for."""
    if progress.looked is not None:
        return progress.looked + analysis.interval
    return progress.began + (analysis.initial_delay or analysis.interval)


def observe(analysis: Analysis, progress: Progress, looks: Mapping[str, Look], now: datetime) -> Progress:
    """The analysis after one more look; a metric that is not among `looks` was not asked."""
    watched = {each.name: each for each in progress.metrics}
    metrics = []
    for metric in analysis.metrics:
        each = watched.get(metric.name, Watched(metric.name))
        look = looks.get(metric.name)
        metrics.append(each if look is None else _add(metric, each, look, now))
    return Progress(progress.began, progress.looks + 1, now, tuple(metrics))


def _add(metric: AnalysisMetric, watched: Watched, look: Look, now: datetime) -> Watched:
    measured, counting = measure(metric, look, watched.counting)
    recent = (*watched.recent, replace(measured, at=now.isoformat()))[-REMEMBERED:]
    watched = replace(watched, counting=counting, recent=recent)
    if measured.is_open:
        return replace(watched, errors_in_a_row=0)
    errors = watched.errors_in_a_row + 1 if measured.outcome is Standing.ERRORED else 0
    tally = {measured.outcome.value: getattr(watched, measured.outcome.value) + 1}
    return replace(watched, errors_in_a_row=errors, **tally)


def resume(progress: Progress) -> Progress:
    """The analysis after a person said to go on: what was not known is forgiven, what failed is not."""
    forgiven = (replace(each, inconclusive=0, errored=0, errors_in_a_row=0) for each in progress.metrics)
    return replace(progress, metrics=tuple(forgiven))


def verdict(analysis: Analysis, progress: Progress) -> AnalysisVerdict:
    """Where it stands while there is time left: RUNNING, or why it must not go on."""
    return _overall(progress, _each(analysis, progress, _so_far))


def conclude(analysis: Analysis, progress: Progress, complete: bool) -> AnalysisVerdict:
    """Where it stands at its end. Not `complete`, it was ended before its time: that is never a success."""
    if complete:
        return _overall(progress, _each(analysis, progress, _at_the_end))
    standing = verdict(analysis, progress)
    if standing.standing is not Standing.RUNNING:
        return standing
    early = f"The analysis was ended early, after {_times(progress.looks, 'look')}; that is no success."
    return AnalysisVerdict(Standing.INCONCLUSIVE, early, standing.metrics)


def _each(analysis: Analysis, progress: Progress, judge: Judge) -> tuple[MetricVerdict, ...]:
    watched = {each.name: each for each in progress.metrics}
    found = []
    for metric in analysis.metrics:
        each = watched.get(metric.name, Watched(metric.name))
        standing, sentence = judge(metric, each)
        found.append(MetricVerdict(metric.name, standing, sentence, each, metric.dry_run))
    return tuple(found)


def _so_far(metric: AnalysisMetric, watched: Watched) -> tuple[Standing, str]:
    if watched.failed > metric.failure_limit:
        said = watched.last_that(Standing.FAILED)
        return Standing.FAILED, _over(said, "It failed", watched.failed, metric.failure_limit)
    if watched.errors_in_a_row > metric.consecutive_error_limit:
        said = f"{metric.name} could not be looked at. {watched.last_that(Standing.ERRORED)}"
        limit = metric.consecutive_error_limit
        return Standing.ERRORED, _over(said, "That happened", watched.errors_in_a_row, limit, " in a row")
    if watched.inconclusive > metric.inconclusive_limit:
        said = f"{metric.name} cannot be judged. {watched.last_that(Standing.INCONCLUSIVE)}"
        return Standing.INCONCLUSIVE, _over(said, "That happened", watched.inconclusive, metric.inconclusive_limit)
    return Standing.RUNNING, watched.last.sentence if watched.last else f"{metric.name} was not looked at yet."


def _over(said: str, what: str, times: int, limit: int, how: str = "") -> str:
    return said if times == 1 and limit == 0 else f"{said} {what} {_times(times, 'time')}{how}; {limit} may be."


def _at_the_end(metric: AnalysisMetric, watched: Watched) -> tuple[Standing, str]:
    standing, said = _so_far(metric, watched)
    if standing is not Standing.RUNNING:
        return standing, said
    if watched.last is None:
        return Standing.INCONCLUSIVE, f"{metric.name} was never looked at."
    if watched.last.outcome in (Standing.ERRORED, Standing.INCONCLUSIVE):
        return watched.last.outcome, f"{metric.name}: the last look has no answer. {said}"
    if not watched.passed:
        return Standing.INCONCLUSIVE, f"{metric.name} never passed. {said}"
    few = _too_few(metric, watched.counting)
    if few is not None:
        lacking = (
            f"{metric.name}: {number(few)} requests were seen, and at least {number(metric.min_samples)} are needed"
        )
        return Standing.INCONCLUSIVE, f"{lacking}; that is too few to tell."
    return Standing.PASSED, said


def _too_few(metric: AnalysisMetric, counting: Counting) -> float | None:
    """How many requests were seen, where those are not enough. Both sides of a comparison need enough."""
    if metric.query is not None:
        return None
    compared = min(counting.mine.total, counting.theirs.total)
    seen = compared if counting.pair_seen is not None else counting.own.total
    return seen if seen < metric.min_samples else None


#: The worst of them is where the whole stands.
_WORST_FIRST = (Standing.FAILED, Standing.ERRORED, Standing.INCONCLUSIVE, Standing.RUNNING, Standing.PASSED)


def _overall(progress: Progress, metrics: tuple[MetricVerdict, ...]) -> AnalysisVerdict:
    deciding = [each for each in metrics if not each.dry_run]
    if not deciding:
        return AnalysisVerdict(Standing.INCONCLUSIVE, "Nothing that decides is watched.", metrics)
    worst = min(deciding, key=lambda each: _WORST_FIRST.index(each.standing))
    names = ", ".join(each.name for each in deciding) if len(deciding) <= NAMED else f"{len(deciding)} metrics"
    if worst.standing is Standing.RUNNING:
        said = f"Watching {names}; {_times(progress.looks, 'look')} so far, and no limit is passed."
    elif worst.standing is Standing.PASSED:
        said = f"Passed after {_times(progress.looks, 'look')} at {names}."
    else:
        said = worst.sentence
    return AnalysisVerdict(worst.standing, said, metrics)


def _times(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
