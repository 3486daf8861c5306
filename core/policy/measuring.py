"""One look at one metric, judged. Pure. What is missing, not finite or nonsense is inconclusive: never a pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from core.domain.model import Measurement, ModelVersion, Outcome
from core.policy import gates
from core.policy.numbers import apart, exact, number
from core.policy.readings import Counting, Look, Measured, Missing, Reading, Rival, Standing, Unanswered, Value
from core.policy.rollout import AnalysisMetric
from core.policy.sequential import LOOKS_TO_ALARM, Counts
from core.policy.stages import MetricGate

BEGAN = "Counting began; the next look has the first numbers."


def is_asked(metric: AnalysisMetric, rival: Rival) -> bool:
    """Whether there is anything to ask now: while the champion rests, a comparison alone says nothing."""
    return rival is not Rival.RESTS or metric.at_least is not None or metric.at_most is not None


def measure(metric: AnalysisMetric, look: Look, counting: Counting) -> tuple[Measured, Counting]:
    """What the look found, and what was counted by now."""
    found, counted = _number(metric, look, counting) if metric.query is not None else _count(metric, look, counting)
    warnings = {each.warning for each in (*look.candidate, *(look.champion or ())) if isinstance(each, Value)} - {""}
    if warnings:
        found = replace(found, sentence=f"{found.sentence} The source warns: {'; '.join(sorted(warnings))}")
    return found, counted


def _numbers(readings: Sequence[Reading], whose: str) -> tuple[float, ...] | Measured:
    """The numbers read, or why there are none: no answer at all weighs more than an answer without a number."""
    for reading in sorted(readings, key=lambda each: isinstance(each, Missing)):
        if isinstance(reading, Unanswered):
            return Measured(Standing.ERRORED, f"Of {whose}: {reading.reason}")
        if isinstance(reading, Missing):
            return Measured(Standing.INCONCLUSIVE, f"Of {whose}: {reading.reason}")
    values = [each.number for each in readings if isinstance(each, Value)]
    if not all(map(math.isfinite, values)):
        return Measured(Standing.INCONCLUSIVE, f"Of {whose}: the answer is not a finite number.")
    return tuple(values)


# -- one number: judged as a gate would judge it -------------------------------------------------------------------


def _number(metric: AnalysisMetric, look: Look, counting: Counting) -> tuple[Measured, Counting]:
    mine = _numbers(look.candidate, "the candidate")
    if isinstance(mine, Measured):
        return mine, counting
    theirs = _numbers(look.champion, "the champion") if look.champion is not None else ()
    compares = metric.compared_to is not None and look.rival is not Rival.RESTS
    if not isinstance(theirs, Measured):
        return _gate(metric, mine[0], theirs[0] if theirs else None, compares), counting
    bounded = metric.at_least is not None or metric.at_most is not None
    found = _gate(metric, mine[0], None, False) if bounded else theirs
    return (found if found.outcome is Standing.FAILED else replace(theirs, candidate=mine[0])), counting


def _gate(metric: AnalysisMetric, mine: float, theirs: float | None, compares: bool) -> Measured:
    rule = MetricGate(
        metric=metric.name,
        at_least=metric.at_least,
        at_most=metric.at_most,
        compared_to=metric.compared_to if compares else None,
        no_worse_by=metric.no_worse_by if compares else 0.0,
        lower_is_better=metric.lower_is_better,
        first=metric.first if compares else "allow",
    )
    champion = None if theirs is None else _version(metric.name, theirs)
    (verdict,) = gates.evaluate([rule], _version(metric.name, mine), champion)
    return Measured(_STANDINGS[verdict.outcome], verdict.sentence, mine, theirs)


_STANDINGS = {
    Outcome.PASSED: Standing.PASSED,
    Outcome.FAILED: Standing.FAILED,
    Outcome.INCONCLUSIVE: Standing.INCONCLUSIVE,
}


def _version(name: str, value: float) -> ModelVersion:
    return ModelVersion("", "", "", "", measurements=(Measurement(name, value),))


# -- counts --------------------------------------------------------------------------------------------------------


def _count(metric: AnalysisMetric, look: Look, counting: Counting) -> tuple[Measured, Counting]:
    mine = _numbers(look.candidate, "the candidate")
    if isinstance(mine, Measured):
        return mine, counting
    now = Counts(*mine)
    added = now - counting.seen if counting.seen is not None else None
    counted = replace(counting, seen=now)
    problem = _problem(added, "the candidate")
    if added is not None and problem is None:
        counted = replace(counted, own=counted.own + added)
        if _is_breached(metric, added) or _is_breached(metric, counted.own):
            return _found(metric, Standing.FAILED, counted, _allowed(metric, counted.own)), counted
    if metric.compared_to is not None and look.rival is Rival.ABSENT and metric.first == "deny":
        return Measured(Standing.FAILED, gates.FIRST_DENIED), counted
    if metric.compared_to is not None and look.rival is Rival.SERVES:
        return _compare(metric, look, now, counted)
    if problem is not None:
        return problem, counted
    if look.rival is Rival.ABSENT and metric.compared_to is not None:
        return _found(metric, Standing.PASSED, counted, gates.FIRST_ALLOWED), counted
    return _found(metric, Standing.PASSED, counted, _allowed(metric, counted.own)), counted


def _problem(added: Counts | None, whose: str) -> Measured | None:
    """Why what was added since the last look says nothing; None if it does."""
    if added is None:
        return Measured(Standing.INCONCLUSIVE, BEGAN, is_open=True)
    if added.bad < 0 or added.total < 0:
        reason = "a counter went back, as after a restart; counting goes on from here"
    elif added.total == 0:
        reason = "no request since the last look"
    elif added.bad > added.total:
        reason = f"{number(added.bad)} bad requests of {number(added.total)}, which cannot be"
    else:
        return None
    return Measured(Standing.INCONCLUSIVE, f"Of {whose}: {reason}.")


def _compare(metric: AnalysisMetric, look: Look, mine: Counts, counted: Counting) -> tuple[Measured, Counting]:
    read = _numbers(look.champion or (), "the champion")
    if isinstance(read, Measured):
        return read, counted
    theirs = Counts(*read)
    added = (mine - counted.pair_seen[0], theirs - counted.pair_seen[1]) if counted.pair_seen is not None else None
    problem = (
        _problem(None, "")
        if added is None
        else _problem(added[0], "the candidate") or _problem(added[1], "the champion")
    )
    idle = added is not None and min(*(each.total for each in added)) == 0 and min(*(each.bad for each in added)) >= 0
    if not idle:  # of an idle side nothing can be said yet: the next look covers this one's time too
        counted = replace(counted, pair_seen=(mine, theirs))
    if problem is not None or added is None:
        return problem or Measured(Standing.INCONCLUSIVE, BEGAN, is_open=True), counted
    evidence = counted.evidence.after(*added, metric.tolerance, metric.alpha)
    counted = replace(counted, mine=counted.mine + added[0], theirs=counted.theirs + added[1], evidence=evidence)
    enough = 1 / metric.alpha
    said = f"evidence of harm {number(evidence.e, 3)}, and {number(enough, 3)} raises an alarm."
    if evidence.is_alarm:
        return _found(metric, Standing.FAILED, counted, f"{said} It did in {LOOKS_TO_ALARM} looks in a row."), counted
    if evidence.alarms:
        waiting = _found(metric, Standing.INCONCLUSIVE, counted, f"{said} The next look must confirm it.")
        return replace(waiting, is_open=True), counted
    return _found(metric, Standing.PASSED, counted, said), counted


def _is_breached(metric: AnalysisMetric, counts: Counts) -> bool:
    """Too many bad ones even if, up to `min_samples`, no other were: so that one of three requests is no breach."""
    if metric.at_most is None:
        return False
    return exact(counts.bad) > exact(metric.at_most) * exact(max(counts.total, metric.min_samples))


def _allowed(metric: AnalysisMetric, own: Counts) -> str:
    if metric.at_most is None:
        return "Nothing was compared in this look."
    of = f" of {number(metric.min_samples)} or more" if own.total < metric.min_samples else ""
    return f"At most {_percent(metric.at_most)}{of} is allowed."


def _found(metric: AnalysisMetric, outcome: Standing, counted: Counting, said: str) -> Measured:
    compared = counted.theirs.total > 0
    mine = counted.mine if compared and outcome is not Standing.FAILED else counted.own
    sentence = f"{metric.name}: {_share(mine)} requests were bad"
    if compared:
        sentence += f", and {_share(counted.theirs)} of the champion's"
    return Measured(
        outcome,
        f"{sentence}{'; ' if said[:1].islower() else '. '}{said}",
        candidate=mine.rate,
        champion=counted.theirs.rate if compared else None,
        evidence=counted.evidence.e if compared else None,
    )


def _share(counts: Counts) -> str:
    return f"{number(counts.bad)} of {number(counts.total)} ({_percent(counts.rate)})"


def _percent(rate: float) -> str:
    return f"{number(exact(rate) * 100, 3)} %"
