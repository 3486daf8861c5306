"""What only the whole policy file can tell: names that name nothing, stages out of order, a quorum nobody can fill."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.policy import seats
from core.policy.features import FeaturesGate
from core.policy.fields import shown
from core.policy.findings import Path, Wrong, nearest
from core.policy.schema import Policy
from core.policy.stages import Approvals, Stage


def cross_check(policy: Policy) -> Iterator[Wrong]:
    """Every contradiction between the parts of a policy."""
    yield from _arrival(policy.first_stage)
    names = policy.stage_names
    for number, stage in enumerate(policy.stages):
        here: Path = ("stages", number)
        if stage.name in names[:number]:
            yield (*here, "name"), f"there is another stage {shown(stage.name)} above", "name each stage once"
        yield from _requirements(stage, number, names)
        yield from _stage(policy, stage, here)
        if stage.approvals is not None:
            yield from _approvals(policy, stage.approvals, (*here, "approvals"))
    for index, group in enumerate(policy.stop.allowed if policy.stop else ()):
        yield from _known(("stop", "allowed", index), group, "group", policy.groups)
    for pattern, override in policy.models.items():
        if override.registry is not None:
            yield from _known(("models", pattern, "registry"), override.registry, "registry", policy.registries)
        yield from _write_back(policy, pattern)
        if override.write_back is not None and not policy.registries:
            yield (
                ("models", pattern, "write_back"),
                "there is no registry to write back to",
                "define one under registries",
            )
    for name, each in policy.registries.items():
        if each.type == "sagemaker" and each.request is not None:
            asked: Path = ("registries", name, "request")
            yield from _known(asked, each.request, "stage", dict.fromkeys(policy.stage_names))
            if each.request == policy.stage_names[0]:
                yield asked, "versions arrive there by being registered", "name a later stage"
    yield from _bundles(policy)
    if len(policy.registries) > 1 and not any(each.registry for each in policy.models.values()):
        problem = f"there are {len(policy.registries)}, and no model says which of them is its own"
        yield ("registries",), problem, 'name one in models, such as "*": {registry: NAME}'


def _write_back(policy: Policy, pattern: str) -> Iterator[Wrong]:
    """An alias is MLflow's, an approval status SageMaker's."""
    said, only = policy.models[pattern], next(iter(policy.registries.values()), None)
    registry = policy.registries.get(said.registry or "") or (only if len(policy.registries) == 1 else None)
    fitting = {"sagemaker": ("status", "tags-only"), "mlflow": ("alias", "stage", "copy", "tags-only")}
    if registry is not None and said.write_back is not None and said.write_back not in fitting[registry.type]:
        problem = f"{said.write_back} is nothing that a registry of type {registry.type} has"
        yield ("models", pattern, "write_back"), problem, f"write {' or '.join(fitting[registry.type])}"


def _bundles(policy: Policy) -> Iterator[Wrong]:
    for name, bundle in policy.bundles.items():
        for number, each in enumerate(bundle.members):
            if each.model in policy.bundles:
                problem = f"{shown(each.model)} is a bundle itself"
                yield ("bundles", name, "members", number), problem, "name its members here instead"


def _arrival(stage: Stage) -> Iterator[Wrong]:
    for key in (
        "requires",
        "soak",
        "gates",
        "approvals",
        "freeze",
        "deploy",
        "rollout",
        "verify",
        "rollback",
        "break_glass",
        "retrain",
        "review",
    ):
        if getattr(stage, key) != type(stage).model_fields[key].default:
            problem = f"versions arrive in {shown(stage.name)} by being registered, so this would never act"
            yield ("stages", 0, key), problem, "remove it, or put a stage such as development before this one"


def _requirements(stage: Stage, number: int, names: tuple[str, ...]) -> Iterator[Wrong]:
    for index, required in enumerate(stage.requires):
        at: Path = ("stages", number, "requires", index)
        if required not in names:
            yield from _known(at, required, "stage", dict.fromkeys(names))
        elif required == stage.name:
            yield at, "a stage cannot require itself", "name an earlier stage"
        elif required not in names[:number]:
            yield (
                at,
                f"{shown(required)} comes later than {shown(stage.name)}",
                "name an earlier stage, or reorder them",
            )


def _stage(policy: Policy, stage: Stage, here: Path) -> Iterator[Wrong]:
    if stage.deploy is not None:
        yield from _known((*here, "deploy", "target"), stage.deploy.target, "target", policy.targets)
        found = policy.targets.get(stage.deploy.target)
        if found is not None and found.type == "sagemaker_endpoint" and stage.rollout.strategy != "all_at_once":
            problem = f"{shown(stage.deploy.target)} moves the traffic itself"
            yield (*here, "rollout", "strategy"), problem, "remove it, and give the target a canary instead"
    if stage.review is not None and not (stage.approvals and stage.approvals.from_):
        problem = "nobody may approve here, so nobody could re-certify"
        yield (*here, "review"), problem, "say who in approvals.from, or remove it"
    if stage.retrain is not None:
        hooks = {name: each for name, each in policy.targets.items() if each.type == "webhook"}
        named: Path = (*here, "retrain", "target")
        if stage.retrain.target in policy.targets and stage.retrain.target not in hooks:
            problem = f"{shown(stage.retrain.target)} is of type {policy.targets[stage.retrain.target].type}"
            yield named, problem, "name a target of type webhook"
        else:
            yield from _known(named, stage.retrain.target, "target", hooks)
    if stage.rollout.analysis is not None:
        at = (*here, "rollout", "analysis", "source")
        yield from _source(at, stage.rollout.analysis.source, "prometheus", policy)
    for index, gate in enumerate(stage.gates):
        if isinstance(gate, FeaturesGate):
            yield from _source((*here, "gates", index, "features", "source"), gate.features.source, "feast", policy)
    for index, group in enumerate(stage.rollback.allowed):
        yield from _known((*here, "rollback", "allowed", index), group, "group", policy.groups)
    for index, group in enumerate(stage.break_glass.allowed if stage.break_glass else ()):
        yield from _known((*here, "break_glass", "allowed", index), group, "group", policy.groups)


def _source(at: Path, name: str, kind: str, policy: Policy) -> Iterator[Wrong]:
    """A source there is, and of the kind that can be asked this."""
    fit = {key: each for key, each in policy.sources.items() if each.type == kind}
    if name in policy.sources and name not in fit:
        yield at, f"{shown(name)} is of type {policy.sources[name].type}", f"name a source of type {kind}"
    else:
        yield from _known(at, name, "source", fit)


def _approvals(policy: Policy, rule: Approvals, here: Path) -> Iterator[Wrong]:
    unknown = [
        wrong
        for index, each in enumerate(rule.from_)
        for wrong in _known((*here, "from", index, "group"), each.group, "group", policy.groups)
    ]
    yield from unknown
    if rule.escalate is not None:
        yield from _known((*here, "escalate", "to"), rule.escalate.to, "group", policy.groups)
    if rule.from_ and not unknown:
        yield from _quorum(policy, rule, here)


def _quorum(policy: Policy, rule: Approvals, here: Path) -> Iterator[Wrong]:
    """Only where every member is a person: how many a user group holds, Slack knows.

    An id and an e-mail address may be one person, so what is refused here is the surely impossible.
    """
    members = {each.group: set(policy.groups[each.group]) for each in rule.from_}
    people = sorted(set().union(*members.values()))
    if any(each.startswith("@") for each in people):
        return
    if len(people) < rule.quorum:
        problem = f"{rule.quorum} people must approve, and {_and(list(members))} name {len(people)} together"
        yield (*here, "quorum"), problem, "lower it, or add people to the groups"
        return
    wanted = [(each.group, each.at_least) for each in rule.from_]
    filled = seats.fill(wanted, [{group for group, ids in members.items() if each in ids} for each in people])
    for index, (each, seated) in enumerate(zip(rule.from_, filled, strict=True)):
        if len(seated) < each.at_least:
            problem = f"{each.at_least} of {shown(each.group)} must approve, and its people do not suffice"
            yield (*here, "from", index, "at_least"), problem, "lower it, or add people to the group"
            return


def _known(at: Path, name: str, kind: str, known: Mapping[str, Any]) -> Iterator[Wrong]:
    if name in known:
        return
    meant = nearest(name, known)
    if meant is not None:
        remedy = f"write {meant}, or define it"
    elif known:
        remedy = f"define it, or name one of {', '.join(known)}"
    else:
        remedy = "define it" if kind == "stage" else f"define it under {_PLURAL[kind]}"
    yield at, f"there is no {kind} {shown(name)}", remedy


_PLURAL = {"group": "groups", "target": "targets", "source": "sources", "registry": "registries"}


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
