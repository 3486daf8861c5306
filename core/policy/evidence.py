"""What a yes was given to: the facts, one digest over them, and what is different about two of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from core.domain.model import Measurement, ModelVersion
from core.policy.measurements import metric_name
from core.policy.stages import Stage

Facts = dict[str, Any]

#: Parts of a stage's rules that decide nothing: where it is talked about, who trains anew, who is reminded when.
_NO_RULE = ("channel", "retrain", "review")
_NO_APPROVAL = ("remind", "escalate")


def facts(
    candidate: ModelVersion,
    champion: ModelVersion | None,
    stage: Stage,
    members: Sequence[tuple[ModelVersion, ModelVersion | None]] = (),
) -> Facts:
    """Artifact digests, metric snapshots, lineage and the stage's rules, as plain JSON with defaults written out.

    Of a bundle also those of every member and its champion, in the order of their deployment.
    """
    of_members = {
        mine.model: {"candidate": _version(mine), "champion": _version(theirs) if theirs else None}
        for mine, theirs in members
    }
    bundle = {"members": of_members, "order": list(of_members)} if members else {}
    return bundle | {
        "candidate": _version(candidate),
        "champion": _version(champion) if champion else None,
        "policy": _rules(stage),
    }


def digest(evidence: Facts) -> str:
    """SHA-256 over the canonical JSON. Two promotions with one digest were decided on the same facts."""
    canonical = json.dumps(evidence, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def changes(before: Facts, after: Facts) -> list[str]:
    """What differs, one phrase each: `the champion's version from 6 to 5`. Empty when nothing does."""
    said = []
    members = [each.get("members") or {} for each in (before, after)]
    for model in dict.fromkeys([*members[0], *members[1]]):
        ours = changes(members[0].get(model) or {}, members[1].get(model) or {})
        said += [f"of {model}, {each}" for each in ours]
    before, after = ({**each, "members": None} for each in (before, after))
    champions = [(each.get("champion") or {}).get("version") for each in (before, after)]
    if champions[0] != champions[1]:
        said.append(f"the champion from {champions[0] or 'nobody'} to {champions[1] or 'nobody'}")
        before, after = ({**each, "champion": None} for each in (before, after))
    return said + [
        f"{_spelled(path)} from {_shown(one)} to {_shown(other)}" for path, one, other in _different(before, after, ())
    ]


def same_rules(stage: Stage, rules: dict[str, Any]) -> bool:
    """Whether a promotion that carries `rules` would still be judged alike."""
    return _rules(stage) == _rules(Stage.from_rules(rules))


def _rules(stage: Stage) -> Facts:
    rules = {key: value for key, value in stage.rules().items() if key not in _NO_RULE}
    if "approvals" in rules:
        rules["approvals"] = {key: value for key, value in rules["approvals"].items() if key not in _NO_APPROVAL}
    return rules


def _version(version: ModelVersion) -> Facts:
    lineage = version.lineage
    return {
        "model": version.model,
        "version": version.version,
        "digest": version.digest,
        **version.papers,
        "metrics": dict(sorted(_metrics(version.measurements))),
        "lineage": {
            "data": {each.name: each.digest for each in lineage.data},
            "repo": lineage.repo,
            "commit": lineage.commit,
            "run_url": lineage.run_url,
            "trained_by": lineage.trained_by,
            **({"retraining": lineage.retraining} if lineage.retraining else {}),
        },
    }


def _metrics(measurements: tuple[Measurement, ...]) -> Iterator[tuple[str, Any]]:
    for each in measurements:
        where = f" on {each.dataset}@{each.dataset_digest}" if each.dataset or each.dataset_digest else ""
        value = each.value if each.value is not None else each.raw
        yield f"{metric_name(each.name, each.slice)}{where}", [repr(value), each.samples or 0]


def _different(before: Any, after: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            yield from _different(before.get(key), after.get(key), (*path, str(key)))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True), 1):
            yield from _different(one, other, (*path, _gate(one, other) or str(number)))
    elif before != after:
        yield path, before, after


def _gate(one: Any, other: Any) -> str:
    """What a gate is about, where both are of the same; "" for anything else."""
    named = [metric_name(each["metric"], each.get("slice") or "") for each in (one, other) if _on_metric(each)]
    return named[0] if len(named) == 2 and named[0] == named[1] else ""


def _on_metric(rule: Any) -> bool:
    return isinstance(rule, dict) and isinstance(rule.get("metric"), str)


def _spelled(path: tuple[str, ...]) -> str:
    """The place of a difference, as people call it."""
    whose, *rest = path
    owner = {"candidate": "the candidate's", "champion": "the champion's", "policy": "the policy's"}.get(whose, whose)
    match path:
        case ("order", *places):
            return f"the order's {' › '.join(places)}. member" if places else "the order of members"
        case (_, "metrics", metric) | (_, "metrics", metric, "1"):
            return f"{owner} {metric}"
        case (_, "metrics", metric, "2"):
            return f"{owner} samples of {metric}"
        case (_, "lineage", "data", name):
            return f"{owner} data {name}"
        case (_, "lineage", fact):
            return f"{owner} {_words(fact)}"
        case ("policy", "gates", gate, rule) if not gate.isdigit():
            return f"the policy's gate on {gate} ({_words(rule)})"
    return f"{owner} {' › '.join(_words(each) for each in rest)}".strip()


def _words(key: str) -> str:
    return key.replace("_", " ")


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int):
        value = value[0]  # a measurement that was not there before, or is no longer; its samples go without saying
    if isinstance(value, list) and any(isinstance(each, dict) for each in value):
        return str(len(value))  # how many rules there are
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"
