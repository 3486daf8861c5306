"""Taking a look: every query of an analysis, filled in for the candidate and again for the champion."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.policy.measuring import is_asked
from core.policy.queries import BadQuery, fill
from core.policy.readings import Look, Missing, Reading, Rival, Unanswered
from core.policy.rollout import Analysis, AnalysisMetric
from core.ports import MetricsSource


@dataclass(frozen=True)
class Subject:
    """Who is watched. `champion` is "" while the stage has none; `champion_serves` says whether it gets traffic now."""

    model: str
    stage: str
    version: str
    champion: str = ""
    champion_serves: bool = True

    @property
    def rival(self) -> Rival:
        """Whom the candidate can be compared with."""
        if not self.champion:
            return Rival.ABSENT
        return Rival.SERVES if self.champion_serves else Rival.RESTS


def take_looks(source: MetricsSource, analysis: Analysis, subject: Subject, at: datetime) -> dict[str, Look]:
    """One look at each metric that there is something to ask of. All queries are asked as of one moment."""
    return {
        metric.name: _look(source, metric, subject, at)
        for metric in analysis.metrics
        if is_asked(metric, subject.rival)
    }


def _look(source: MetricsSource, metric: AnalysisMetric, subject: Subject, at: datetime) -> Look:
    candidate = tuple(_ask(source, query, subject, subject.version, at) for query in metric.queries)
    champion = None
    if metric.compared_to is not None and subject.rival is Rival.SERVES:
        champion = tuple(_ask(source, query, subject, subject.champion, at) for query in metric.queries)
    return Look(candidate, champion, subject.rival)


def _ask(source: MetricsSource, query: str, subject: Subject, version: str, at: datetime) -> Reading:
    names = {"model": subject.model, "stage": subject.stage, "version": version}
    if subject.champion:
        names["champion"] = subject.champion
    try:
        filled = fill(query, names)
    except KeyError:
        return Missing("the query names {{champion}}, and there is none in this stage yet.")
    except BadQuery as error:
        return Unanswered(f"the query cannot be asked: it {error.problem}.")
    return source.ask(filled, at)
