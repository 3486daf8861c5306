"""The members of a bundle that is promoted: what they are judged by, what bars them, and which of them goes when.

A bundle is a model whose versions are made of others' versions. Its promotion carries one entry a member, in the order
of deployment: `model`, `version` and its row `version_id`, `champion` and its row `champion_id`, `turn` (which
deployment of how many; None where the version serves already), and `parted` (what took its place since).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import null, select
from sqlalchemy.orm import Session

from core.domain.model import Barrier, Blocker, Kind, ModelVersion, State
from core.policy import bundles
from core.policy.analysis import Watch, watches
from core.policy.rollout import Analysis
from core.policy.schema import Policy
from core.store import barriers, registry
from core.store import promotions as store
from core.store.tables import Champion, PromotionRow, RegisteredModel, Version

#: The target has been asked, so that the stage is changing.
MOVING = (State.DEPLOYING, State.VERIFYING, State.ROLLING_BACK)


@dataclass(frozen=True)
class Member:
    """One member's version beside the champion of its own model."""

    version: Version
    serving: Champion | None
    candidate: ModelVersion
    champion: ModelVersion | None

    @property
    def unchanged(self) -> bool:
        """True where it serves already."""
        return self.serving is not None and self.serving.version_id == self.version.id

    def entry(self) -> dict[str, Any]:
        """As its bundle's promotion keeps it."""
        return {
            "model": self.candidate.model,
            "version": self.candidate.version,
            "version_id": self.version.id,
            "champion": self.champion.version if self.champion else None,
            "champion_id": self.serving.version_id if self.serving else None,
            "turn": None,
        }


def of_version(session: Session, policy: Policy, version: Version, stage: str) -> tuple[Member, ...]:
    """The members of a bundle's version in the order of deployment; none of any other. Raises `NotFound`."""
    made_of = version.members or {}
    bundle = policy.bundles.get(version.model.name)
    order = [each for each in bundle.sequence if each in made_of] if bundle else []
    found = []
    for model in [*order, *(each for each in made_of if each not in order)]:
        row = registry.version_row(session, model, made_of[model])
        serving = store.champion(session, row.model_id, stage)
        theirs = registry.to_model_version(serving.version) if serving else None
        found.append(Member(row, serving, registry.to_model_version(row), theirs))
    return tuple(found)


def entries(found: Iterable[Member], backwards: bool) -> list[dict[str, Any]] | None:
    """What a promotion keeps of them; None where there are none. `backwards`: a rollback takes them the other way."""
    listed = [each.entry() for each in found]
    return (listed[::-1] if backwards else listed) or None


# -- what is in the way ------------------------------------------------------------------------------------------


def blockers(
    session: Session,
    policy: Policy,
    version: Version,
    stage: str,
    mine: PromotionRow | None = None,
    by_itself: bool = False,
) -> list[Blocker]:
    """What bundles put in the way of a version, alone or with its members. `mine` is its promotion, once there is one.

    `by_itself`: no person asks, and nobody is asked. Before there is a promotion, `members_alone` says whether what is under way refuses it; afterwards it only waits.
    """
    name = version.model.name
    if not policy.bundles and version.members is None:
        return []
    members: dict[str, str] | None = version.members
    found = list(bundles.unfit(name, version.version, policy.bundles.get(name), members))
    if not found:
        made = bundles.Made(name, version.version, members or {}, stage, policy.stage_names)
        found += bundles.barred(made, lambda model: barriers.standing(session, model), by_itself)
        changed = members if members else {name: version.version}
        serving = champions(session, stage, bundles.partners(policy.bundles, changed))
        who = f"{name} {version.version}" if members else ""
        found += bundles.ill_matched(policy.bundles, bundles.Move(stage, changed, serving, who))
    return found + list(_under_way(session, policy, name, stage, mine))


def _under_way(session: Session, policy: Policy, name: str, stage: str, mine: PromotionRow | None) -> Iterator[Blocker]:
    """Promotions that would move the same models: a bundle and its members, and what rules set beside one another."""
    family = {
        each: bundle
        for key, bundle in policy.bundles.items()
        for each in (bundle.names if key == name else (key,) if name in bundle.names else ())
    }
    # Two bundles with a member in common move the same models too.
    for key, bundle in policy.bundles.items():
        if name in policy.bundles and key != name and set(bundle.names) & set(policy.bundles[name].names):
            family[key] = bundle
    own = policy.bundles[name].names if name in policy.bundles else (name,)
    beside = bundles.partners(policy.bundles, dict.fromkeys(own)) - {name}
    beside |= {key for key, bundle in policy.bundles.items() if beside & set(bundle.names) and key != name}
    for other in _active(session, stage, {*family, *beside}):
        moving = State(other.state) in MOVING
        goes_first = moving or (mine is not None and other.id < mine.id)
        theirs = other.model.name
        if theirs not in family:
            if moving:
                yield _waits_for(other, name, True)
        elif mine is None:
            yield _waits_for(other, name, family[theirs].members_alone == "wait")
        elif goes_first:
            yield _waits_for(other, name, True)


def _waits_for(other: PromotionRow, name: str, waits: bool) -> Blocker:
    what = f"{other.model.name} {other.version.version}"
    ref, words = f"P-{other.id}", other.state.replace("_", " ")
    of = f", of which {name} is a member," if name in (other.version.members or {}) else ""
    sentence = f"{ref} has {what}{of} on its way to {other.stage}: it is {words}."
    clears = f"It goes on when {ref} has ended." if waits else f"Wait until {ref} has ended, or stop it."
    return Blocker("bundle", ref, True, sentence, clears, waits)


def _active(session: Session, stage: str, models: set[str]) -> list[PromotionRow]:
    if not models:
        return []
    query = select(PromotionRow).join(RegisteredModel, RegisteredModel.id == PromotionRow.model_id)
    query = query.where(PromotionRow.stage == stage, PromotionRow.state.in_(store.ACTIVE_STATES))
    return list(session.scalars(query.where(RegisteredModel.name.in_(models)).order_by(PromotionRow.id)))


def champions(session: Session, stage: str, models: Iterable[str]) -> dict[str, str]:
    """Which version of each of these models serves the stage."""
    query = (
        select(RegisteredModel.name, Version.version)
        .join(Champion, Champion.model_id == RegisteredModel.id)
        .join(Version, Version.id == Champion.version_id)
        .where(Champion.stage == stage, Champion.until.is_(None), RegisteredModel.name.in_(list(models)))
    )
    return {row.name: row.version for row in session.execute(query)}


def moved(session: Session, stage: str, judged: Mapping[str, str | None]) -> bool:
    """Whether a member's champion is not the one it was judged against."""
    now = champions(session, stage, judged)
    return any(now.get(model) != version for model, version in judged.items())


def bundle_moving(session: Session, model: str, stage: str) -> PromotionRow | None:
    """The bundle's promotion that is changing this member in the stage now, if there is one."""
    query = select(PromotionRow).where(
        PromotionRow.stage == stage,
        PromotionRow.state.in_([each.value for each in MOVING]),
        PromotionRow.members.is_not(null()),
    )
    return next((row for row in session.scalars(query) if any(m["model"] == model for m in row.members or ())), None)


def coming(promotion: PromotionRow, model: str) -> str:
    """The version of a model that a promotion brings, itself or as a member."""
    brought = {each["model"]: str(each["version"]) for each in promotion.members or ()}
    return brought.get(model, promotion.version.version)


def watched(session: Session, promotion: PromotionRow, analysis: Analysis) -> tuple[Watch, ...]:
    """What an analysis asks of whom: of the promoted version beside the champion of now, or of every member of it."""
    serving = store.champion(session, promotion.model_id, promotion.stage)
    listed = [(each["model"], each["version"], each["champion"] or "") for each in promotion.members or ()]
    champion = serving.version.version if serving else ""
    return watches(analysis, promotion.model.name, promotion.version.version, champion, listed)


def names(promotion: PromotionRow) -> list[str]:
    """The model of a promotion, and the members that it brings or brought another version."""
    listed = [each["model"] for each in promotion.members or () if each["version"] != each["champion"]]
    return [promotion.model.name, *listed]


def vetoes(session: Session, version: Version) -> list[Barrier]:
    """What bars a version, or one of its members."""
    named = {version.model.name: version.version, **(version.members or {})}
    return [each for model, number in named.items() for each in barriers.vetoes(session, model, number)]


def holding(session: Session, model: str, stage: str) -> list[Champion]:
    """The champions of the stage that are bundles with this member."""
    query = select(Champion).join(Version, Version.id == Champion.version_id)
    query = query.where(Champion.stage == stage, Champion.until.is_(None), Version.members.is_not(null()))
    return [each for each in session.scalars(query) if model in (each.version.members or {})]


def member_moving(session: Session, version: Version, stage: str) -> PromotionRow | None:
    """The own promotion of one of a bundle's members that is changing the stage now, if there is one."""
    found = _active(session, stage, set(version.members or ()))
    return next((row for row in found if State(row.state) in MOVING or row.kind == Kind.ROLLBACK), None)


# -- whose turn it is --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Turn:
    """One deployment of several: which version, in whose place."""

    version_id: int
    previous_id: int | None


def take_turns(session: Session, promotion: PromotionRow) -> tuple[Turn, ...]:
    """Settle which members are deployed, and when: those that do not serve already. Part of the promotion's start."""
    turn, settled = 0, []
    for each in promotion.members or ():
        version = session.get_one(Version, each["version_id"])
        serving = store.champion(session, version.model_id, promotion.stage)
        now = {"champion": serving.version.version, "champion_id": serving.version_id} if serving else {}
        entry = each | {"champion": None, "champion_id": None, "turn": None} | now
        if entry["champion_id"] != version.id:
            entry["turn"], turn = turn, turn + 1
        settled.append(entry)
    promotion.members = settled
    session.flush()
    return turns(promotion)


def turns(promotion: PromotionRow) -> tuple[Turn, ...]:
    """What is deployed one after the other; empty where it is one version alone, or nothing."""
    taken = [each for each in promotion.members or () if each["turn"] is not None]
    return tuple(Turn(each["version_id"], each["champion_id"]) for each in sorted(taken, key=lambda e: int(e["turn"])))
