"""One look at one metric, judged. Pure. What is missing, not finite or nonsense is inconclusive: never a pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from core.domain.model import Measurement, ModelVersion, Outcome
from core.policy import gates
from core.policy.numbers import exact, number
from core.policy.readings import Counting, Look, Measured, Missing, Reading, Rival, Standing, Unanswered, Value
from core.policy.rollout import AnalysisMetric
from core.policy.sequential import LOOKS_TO_ALARM, Counts
from core.policy.stages import MetricGate

BEGAN = "Counting began; the next look has the first numbers."

#: Beyond this no counter can count by ones.
MOST = 2.0**53
AT_REST = "The champion has no traffic now, so nothing was compared."


def is_asked(metric: AnalysisMetric, rival: Rival) -> bool:
    """Whether there is anything to ask now: while the champion rests, a comparison alone says nothing."""
    return rival is not Rival.RESTS or metric.at_least is not None or metric.at_most is not None


def measure(metric: AnalysisMetric, look: Look, counting: Counting) -> tuple[Measured, Counting]:
    """What the look found, and what was counted by now."""
    found, counted = _number(metric, look, counting) if metric.query is not None else _count(metric, look, counting)
    if metric.compared_to is not None and look.rival is Rival.RESTS:
        found = replace(found, sentence=f"{found.sentence} {AT_REST}")
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
    compares = metric.compared_to is not None and look.rival is not Rival.RESTS
    theirs = _numbers(_champions(look), "the champion") if compares and look.rival is Rival.SERVES else ()
    if not isinstance(theirs, Measured):
        return _gate(metric, mine[0], theirs[0] if theirs else None, compares), counting
    bounded = metric.at_least is not None or metric.at_most is not None
    found = _gate(metric, mine[0], None, compares=False) if bounded else theirs
    return (found if found.outcome is Standing.FAILED else replace(theirs, candidate=mine[0])), counting


def _champions(look: Look) -> tuple[Reading, ...]:
    return look.champion or (Missing("it was not asked for."),)


def _gate(metric: AnalysisMetric, mine: float, theirs: float | None, compares: bool) -> Measured:
    # Not checked again: the policy's metric was, and the name of a bundle's is longer by its member's.
    rule = MetricGate.model_construct(
        metric=metric.name,
        slice="",
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
    mine = _numbers(_hinted(look.candidate), "the candidate")
    if isinstance(mine, Measured):
        return mine, counting
    now = Counts(*mine)
    added = now - counting.seen if counting.seen is not None else None
    counted = replace(counting, seen=now)
    problem = _problem(added, "the candidate")
    if added is not None and problem is None:
        counted = replace(counted, own=counted.own + added)
        for counts in (added, counted.own):
            if _is_breached(metric, counts):
                return _found(metric, Standing.FAILED, counts, _allowed(metric, counts)), counted
    if metric.compared_to is not None and look.rival is Rival.SERVES:
        return _compare(metric, look, now, counted)
    if metric.compared_to is not None and look.rival is Rival.ABSENT:
        said, outcome = gates.FIRST_ALLOWED, Standing.PASSED
        if metric.first == "deny":
            return Measured(Standing.FAILED, gates.FIRST_DENIED), counted
    else:
        said, outcome = _allowed(metric, counted.own), Standing.PASSED
    return problem or _found(metric, outcome, counted.own, said), counted


def _hinted(readings: tuple[Reading, ...]) -> tuple[Reading, ...]:
    """A counter that never counted anything is often not there at all, which looks the same as a name misspelt."""
    bad, total = readings
    if isinstance(bad, Missing) and isinstance(total, Value):
        hint = "If there is none until a request is bad, write “or vector(0)” behind the query of bad."
        return Missing(f"{bad.reason} {hint}"), total
    return readings


def _problem(added: Counts | None, whose: str) -> Measured | None:
    """Why what was added since the last look says nothing; None if it does."""
    if added is None:
        return Measured(Standing.INCONCLUSIVE, BEGAN, is_open=True)
    if added.bad < 0 or added.total < 0:
        reason = "a counter went back, as after a restart; counting goes on from here"
    elif added.total == 0:
        reason = "no request since the last look"
    elif added.bad > added.total or added.total > MOST:
        reason = f"{number(added.bad)} bad requests of {number(added.total)}, which cannot be"
    else:
        return None
    return Measured(Standing.INCONCLUSIVE, f"Of {whose}: {reason}.")


def _compare(metric: AnalysisMetric, look: Look, mine: Counts, counted: Counting) -> tuple[Measured, Counting]:
    read = _numbers(_hinted(look.champion) if look.champion else _champions(look), "the champion")
    if isinstance(read, Measured):
        return read, counted
    now = (mine, Counts(*read))
    if counted.pair_seen is None:
        return Measured(Standing.INCONCLUSIVE, BEGAN, is_open=True), replace(counted, pair_seen=now)
    added = (now[0] - counted.pair_seen[0], now[1] - counted.pair_seen[1])
    problem = _problem(added[0], "the candidate") or _problem(added[1], "the champion")
    if not _is_idle(added):  # of an idle side nothing can be said yet: the next look covers this one's time too
        counted = replace(counted, pair_seen=now)
    if problem is not None:
        return problem, counted
    evidence = counted.evidence.after(*added, metric.tolerance, metric.alpha)
    counted = replace(counted, mine=counted.mine + added[0], theirs=counted.theirs + added[1], evidence=evidence)
    return _weighed(metric, counted), counted


def _is_idle(added: tuple[Counts, Counts]) -> bool:
    return min(each.total for each in added) == 0 and min(each.bad for each in added) >= 0


def _weighed(metric: AnalysisMetric, counted: Counting) -> Measured:
    """What the sequential test says after a look."""
    evidence = counted.evidence
    said = f"evidence of harm {number(evidence.e, 3)}, and {number(1 / metric.alpha, 3)} raises an alarm."
    outcome = Standing.PASSED
    if evidence.is_alarm:
        outcome, said = Standing.FAILED, f"{said} It did in {LOOKS_TO_ALARM} looks in a row."
    elif evidence.alarms:
        outcome, said = Standing.INCONCLUSIVE, f"{said} The next look must confirm it."
    return replace(
        _found(metric, outcome, counted.mine, said, counted.theirs),
        evidence=evidence.e,
        is_open=outcome is Standing.INCONCLUSIVE,
    )


def _is_breached(metric: AnalysisMetric, counts: Counts) -> bool:
    """Too many bad ones even if, up to `min_samples`, no other were: so that one of three requests is no breach."""
    if metric.at_most is None:
        return False
    return exact(counts.bad) > exact(metric.at_most) * exact(max(counts.total, metric.min_samples))


def _allowed(metric: AnalysisMetric, counts: Counts) -> str:
    if metric.at_most is None:
        return "No bound is set, and nothing was compared."
    of = f" of {number(metric.min_samples)}" if counts.total < metric.min_samples else ""
    return f"at most {_percent(metric.at_most)}{of} is allowed."


def _found(
    metric: AnalysisMetric, outcome: Standing, mine: Counts, said: str, theirs: Counts | None = None
) -> Measured:
    sentence = f"{metric.name}: {_share(mine)} requests were bad"
    if theirs is not None:
        sentence += f", {_share(theirs)} of the champion's"
    joint = "; " if said[:1].islower() else ". "
    return Measured(outcome, f"{sentence}{joint}{said}", mine.rate, theirs.rate if theirs is not None else None)


def _share(counts: Counts) -> str:
    return f"{number(counts.bad)} of {number(counts.total)} ({_percent(counts.rate)})"


def _percent(rate: float) -> str:
    return f"{number(exact(rate) * 100, 3)} %"
