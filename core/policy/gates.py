"""Gates: a candidate's measurements, held against bounds and against the champion. Pure.

Three answers, and only one of them lets a promotion on. What is missing, not finite, not a number or ambiguous is
inconclusive: no data is never a pass. Numbers are compared as they are written, not as binary fractions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

from core.domain.model import ModelVersion, Outcome, Verdict
from core.policy import cards, features, signatures
from core.policy.features import FeaturesGate, Looked
from core.policy.measurements import NoData, Pair, metric_name, numbers, pairs, values
from core.policy.numbers import apart, exact, number
from core.policy.papers import ModelCardGate, SignatureGate
from core.policy.stages import Gate, LineageGate, MetricGate, SameDatasetGate

__all__ = ["evaluate", "number", "overall"]

FIRST_ALLOWED = "There is no champion in this stage yet; the policy lets a first one in."
FIRST_DENIED = "There is no champion in this stage yet, and the policy lets no first one in without a comparison."
NO_GATES = Verdict("no gates", Outcome.PASSED, "The policy has no gates for this stage, so nothing was checked.")


def evaluate(
    gates: Sequence[Gate],
    candidate: ModelVersion,
    champion: ModelVersion | None,
    looks: Mapping[str, Looked] = MappingProxyType({}),
) -> tuple[Verdict, ...]:
    """One verdict for each gate, in the policy's order; where there is none, one that says so.

    `champion` is None while nobody serves the stage; `looks` is what feature stores were found to hold, by question.
    """
    verdicts = []
    for gate in gates:
        if isinstance(gate, MetricGate):
            verdicts.append(_metric(gate, candidate, champion))
        elif isinstance(gate, LineageGate):
            verdicts.append(_lineage(gate, candidate))
        elif isinstance(gate, SignatureGate | ModelCardGate):
            verdicts.append(_papers(gate, candidate))
        elif isinstance(gate, FeaturesGate):
            verdicts.append(features.judge(gate, candidate, looks))
        else:
            verdicts.append(_same_dataset(gate, gates, candidate, champion))
    return tuple(verdicts) or (NO_GATES,)


def evaluate_members(
    gates: Sequence[Gate],
    members: Iterable[tuple[ModelVersion, ModelVersion | None]],
    looks: Mapping[str, Looked] = MappingProxyType({}),
) -> tuple[Verdict, ...]:
    """The verdicts on each member of a bundle beside its own champion; each names the member."""
    if not gates:
        return (NO_GATES,)
    return tuple(
        replace(
            each,
            model=candidate.model,
            gate=f"{candidate.model}: {each.gate}",
            sentence=f"{candidate.model} {candidate.version}: {each.sentence}",
        )
        for candidate, champion in members
        for each in evaluate(gates, candidate, champion, looks)
    )


def overall(verdicts: Iterable[Verdict]) -> Outcome:
    """PASSED only when something was judged and every deciding verdict passed; FAILED comes before INCONCLUSIVE."""
    found = list(verdicts)
    if not found:
        return Outcome.INCONCLUSIVE
    return _worst([verdict.outcome for verdict in found if not verdict.advisory])


def _worst(outcomes: Sequence[Outcome]) -> Outcome:
    return next((each for each in (Outcome.FAILED, Outcome.INCONCLUSIVE) if each in outcomes), Outcome.PASSED)


# -- metrics -----------------------------------------------------------------------------------------------------


def _metric(gate: MetricGate, candidate: ModelVersion, champion: ModelVersion | None) -> Verdict:
    try:
        mine = values(candidate, gate.metric, gate.slice, f"version {candidate.version}")
    except NoData as reason:
        return _metric_verdict(gate, [(Outcome.INCONCLUSIVE, str(reason))], None, None)
    found, shown, pair = [], _worst_number(gate, numbers(mine)), None
    if gate.at_least is not None or gate.at_most is not None:
        found.append(_judge_bounds(gate, numbers(mine)))
    if gate.compared_to is not None and champion is None:
        found.append(_first(gate.first))
    elif gate.compared_to is not None and champion is not None:
        try:
            theirs = values(champion, gate.metric, gate.slice, f"the champion, version {champion.version},")
            compared = pairs(mine, theirs, metric_name(gate.metric, gate.slice))
            pair = max(compared, key=lambda each: _worse(gate, each))
            found.append(_judge_pairs(gate, compared, pair, first=not found))
        except NoData as reason:
            found.append((Outcome.INCONCLUSIVE, str(reason)))
    return _metric_verdict(gate, found, shown, pair)


def _metric_verdict(
    gate: MetricGate, found: list[tuple[Outcome, str]], shown: float | None, pair: Pair | None
) -> Verdict:
    return Verdict(
        gate=_spoken(gate),
        outcome=_worst([outcome for outcome, _ in found]),
        sentence=" ".join(sentence for _, sentence in found),
        advisory=gate.advisory,
        metric=gate.metric,
        slice=gate.slice,
        candidate=pair.candidate if pair else shown,
        champion=pair.champion if pair else None,
        change=float(exact(pair.candidate) - exact(pair.champion)) if pair else None,
        lower_is_better=gate.lower_is_better,
        threshold=_threshold(gate),
    )


def _judge_bounds(gate: MetricGate, found: list[float]) -> tuple[Outcome, str]:
    """Measured on several data sets, all must agree: which of them counts, nobody said."""
    fine = [_within(gate, value) for value in found]
    what = metric_name(gate.metric, gate.slice)
    if any(fine) and not all(fine):
        listed = " and ".join(apart(*found))
        doubt = f"{what} is {listed} on several data sets, and it cannot be told which of them counts"
        return Outcome.INCONCLUSIVE, f"{doubt}; {_wanted(gate)}."
    value = _worst_number(gate, found)
    bounds = [bound for bound in (gate.at_least, gate.at_most) if bound is not None]
    digits, *_ = apart(value, *bounds)
    return (Outcome.PASSED if all(fine) else Outcome.FAILED), f"{what} is {digits}, {_wanted(gate)}."


def _within(gate: MetricGate, value: float) -> bool:
    enough = gate.at_least is None or exact(value) >= exact(gate.at_least)
    return enough and (gate.at_most is None or exact(value) <= exact(gate.at_most))


def _worst_number(gate: MetricGate, found: list[float]) -> float:
    """The number that is least likely to pass, to be shown."""
    ceiling = gate.lower_is_better or (gate.at_least is None and gate.at_most is not None)
    outside = [value for value in found if not _within(gate, value)] or found
    return max(outside) if ceiling else min(outside)


def _wanted(gate: MetricGate) -> str:
    least = f"at least {number(gate.at_least)} is required" if gate.at_least is not None else ""
    most = f"at most {number(gate.at_most)} is allowed" if gate.at_most is not None else ""
    return " and ".join(part for part in (least, most) if part)


def _worse(gate: MetricGate, pair: Pair) -> Decimal:
    """By how much the candidate is worse; negative where it is better."""
    worse = exact(pair.champion) - exact(pair.candidate)
    return -worse if gate.lower_is_better else worse


def _judge_pairs(gate: MetricGate, compared: list[Pair], worst: Pair, first: bool) -> tuple[Outcome, str]:
    margin = exact(gate.no_worse_by)
    fine = [_worse(gate, pair) <= margin for pair in compared]
    what = metric_name(gate.metric, gate.slice)
    if any(fine) and not all(fine):
        return (
            Outcome.INCONCLUSIVE,
            f"{what} is good enough against the champion on one shared data set and too bad on another, "
            "and it cannot be told which of them counts.",
        )
    worse = _worse(gate, worst)
    edge = exact(worst.champion) + (margin if gate.lower_is_better else -margin)
    mine, theirs, _ = apart(worst.candidate, worst.champion, edge)  # a miss by a hair must not read like a hit
    by, allowed = apart(abs(worse), margin)
    if worse == 0:
        against = "the same as the champion's"
    else:
        against = f"{by} {'worse' if worse > 0 else 'better'} than the champion's {theirs}"
    rule = f"at most {allowed} worse is allowed" if margin else "it must not be worse"
    said = f"{what} is {mine}, {against}; {rule}." if first else f"It is {against}; {rule}."
    if worst.differ:
        said += " The two were measured on different data sets."
    return (Outcome.PASSED if all(fine) else Outcome.FAILED), said


def _first(rule: str) -> tuple[Outcome, str]:
    return (Outcome.PASSED, FIRST_ALLOWED) if rule == "allow" else (Outcome.FAILED, FIRST_DENIED)


def _spoken(gate: MetricGate) -> str:
    parts = []
    if gate.at_least is not None:
        parts.append(f"at least {number(gate.at_least)}")
    if gate.at_most is not None:
        parts.append(f"at most {number(gate.at_most)}")
    if gate.compared_to is not None:
        margin = f"at most {number(gate.no_worse_by)} worse" if gate.no_worse_by else "no worse"
        parts.append(f"{margin} than the champion")
    return f"{metric_name(gate.metric, gate.slice)} {' and '.join(parts)}"


def _threshold(gate: MetricGate) -> str:
    parts = []
    if gate.at_least is not None:
        parts.append(f"≥ {number(gate.at_least)}")
    if gate.at_most is not None:
        parts.append(f"≤ {number(gate.at_most)}")
    if gate.compared_to is not None:
        relation, sign = ("≤", "+") if gate.lower_is_better else ("≥", "−")
        margin = f" {sign} {number(gate.no_worse_by)}" if gate.no_worse_by else ""
        parts.append(f"{relation} champion{margin}")
    return ", ".join(parts)


# -- where it comes from -----------------------------------------------------------------------------------------


def _lineage(gate: LineageGate, candidate: ModelVersion) -> Verdict:
    problems = []
    facts = candidate.lineage
    if "data" in gate.lineage:
        unpinned = [each.name or "a data set without a name" for each in facts.data if not each.digest]
        if not facts.data:
            problems.append("no data set is recorded")
        elif unpinned:
            problems.append(f"{unpinned[0]} has no digest")
    if "code" in gate.lineage and not (facts.repo and facts.commit):
        missing = "repository" if not facts.repo else "commit"
        problems.append("no code is recorded" if not facts.repo and not facts.commit else f"the code has no {missing}")
    what = " and ".join(dict.fromkeys(gate.lineage))
    if problems:
        sentence = f"Of version {candidate.version}, {' and '.join(problems)}; lineage of {what} is required."
        return Verdict(f"lineage of {what}", Outcome.FAILED, sentence, gate.advisory, threshold="recorded")
    sentence = f"Lineage of {what} is recorded."
    return Verdict(f"lineage of {what}", Outcome.PASSED, sentence, gate.advisory, threshold="recorded")


def _papers(gate: SignatureGate | ModelCardGate, candidate: ModelVersion) -> Verdict:
    if isinstance(gate, SignatureGate):
        outcome, sentence = signatures.judge(candidate, gate.signature.keys)
        return Verdict("signed by a key of the policy", outcome, sentence, gate.advisory, threshold="signed")
    outcome, sentence = cards.judge(candidate, gate.model_card)
    rule = f"model card with {', '.join(gate.model_card)}" if gate.model_card else "model card"
    return Verdict(rule, outcome, sentence, gate.advisory, threshold="there")


def _same_dataset(
    gate: SameDatasetGate, gates: Sequence[Gate], candidate: ModelVersion, champion: ModelVersion | None
) -> Verdict:
    outcome, sentence = _first(gate.first) if champion is None else _judge_datasets(gates, candidate, champion)
    return Verdict("same data set as the champion", outcome, sentence, gate.advisory, threshold="one data set")


def _judge_datasets(gates: Sequence[Gate], candidate: ModelVersion, champion: ModelVersion) -> tuple[Outcome, str]:
    """Asked of the metrics that other gates compare; where none does, of all that both were measured by."""
    mine, theirs = _digests(candidate), _digests(champion)
    compared = [(g.metric, g.slice) for g in gates if isinstance(g, MetricGate) and g.compared_to is not None]
    asked = list(dict.fromkeys(compared)) or [key for key in mine if key in theirs]
    if not asked:
        return Outcome.INCONCLUSIVE, "Candidate and champion have no measurement in common."
    unknown = []
    for key in asked:
        ours, others = mine.get(key, set()), theirs.get(key, set())
        if not ours or not others:
            whose = f"the champion, version {champion.version}" if ours else f"version {candidate.version}"
            unknown.append(f"No data set digest is recorded for {metric_name(*key)} of {whose}.")
        elif not ours & others:
            what = metric_name(*key)
            return Outcome.FAILED, f"{what} of candidate and champion was measured on different data sets."
    if unknown:
        return Outcome.INCONCLUSIVE, unknown[0]
    return Outcome.PASSED, "Candidate and champion were measured on one data set."


def _digests(version: ModelVersion) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for each in version.measurements:
        found.setdefault((each.name, each.slice), set()).update([each.dataset_digest] if each.dataset_digest else [])
    return found
