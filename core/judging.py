"""Reading everything that decides about a promotion, and what follows from it. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from core import members as bundle_members
from core.domain.model import Barrier, Blocker, ModelVersion, Verdict
from core.members import Member
from core.policy import eligibility, evidence, gates
from core.policy.features import FeaturesGate, Looked, Wanted, questions
from core.policy.schema import Policy, Stage
from core.store import barriers, feature_tables, registry
from core.store import promotions as store
from core.store.tables import Champion, PromotionRow, Version


@dataclass(frozen=True)
class Judgement:
    """The facts about one version and one stage at one moment."""

    stage: Stage
    version: Version
    serving: Champion | None
    active: PromotionRow | None
    barriers: tuple[Barrier, ...]
    candidate: ModelVersion
    champion: ModelVersion | None
    members: tuple[Member, ...] = ()  #: of a bundle, in the order of deployment
    looks: Mapping[str, Looked] = field(default_factory=dict)  #: what feature stores said of it

    def questions(self) -> list[Wanted]:
        """What feature stores must be asked before the gates can be judged."""
        versions = [each.candidate for each in self.members] or [self.candidate]
        return list(questions(self.stage.gates, versions))

    @property
    def champion_id(self) -> int | None:
        """The row of the version that serves the stage."""
        return self.serving.version_id if self.serving else None

    @property
    def whole(self) -> bool:
        """False where a bundle's champion is the stage's only in name: a member was replaced since."""
        return all(each.unchanged for each in self.members)

    def verdicts(self) -> tuple[Verdict, ...]:
        """What the stage's gates find; of a bundle, what they find of each member beside its own champion."""
        if not self.members:
            return gates.evaluate(self.stage.gates, self.candidate, self.champion, self.looks)
        pairs = [(each.candidate, each.champion) for each in self.members]
        return gates.evaluate_members(self.stage.gates, pairs, self.looks)

    def evidence(self) -> evidence.Facts:
        """What a yes would be given to."""
        members = [(each.candidate, each.champion) for each in self.members]
        return evidence.facts(self.candidate, self.champion, self.stage, members)


class Judge:
    """Reads facts by a policy. Safe to share between threads."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def judgement(self, session: Session, model: str, version: str, stage_name: str) -> Judgement:
        """The facts as they are now. Raises `NotFound` for a model, version or stage that there is not."""
        stage = self.policy.known_stage(stage_name)
        return self._read(session, registry.version_row(session, model, version), stage)

    def again(self, session: Session, promotion: PromotionRow) -> Judgement:
        """The facts about a promotion's version and stage as they are now. Raises `NotFound` as `judgement` does."""
        return self.judgement(session, promotion.model.name, promotion.version.version, promotion.stage)

    def _read(self, session: Session, version: Version, stage: Stage) -> Judgement:
        serving = store.champion(session, version.model_id, stage.name)
        active = store.active(session, version.model_id, stage.name)
        asks = any(isinstance(each, FeaturesGate) for each in stage.gates)
        mine = active if asks and active is not None and active.version_id == version.id else None
        return Judgement(
            stage=stage,
            version=version,
            serving=serving,
            active=active,
            looks=feature_tables.looks(session, mine.id) if mine is not None else {},
            barriers=barriers.standing(session, version.model.name),
            candidate=registry.to_model_version(version),
            champion=registry.to_model_version(serving.version) if serving else None,
            members=bundle_members.of_version(session, self.policy, version, stage.name),
        )

    def blockers(self, session: Session, found: Judgement, now: datetime, deliberate: bool) -> list[Blocker]:
        """Everything but gates and approvals, in the way or not. `deliberate`: a person asks, no program."""
        active = found.active
        blockers = eligibility.check(
            eligibility.Facts(
                model=found.version.model.name,
                version=found.version.version,
                stage=found.stage,
                stage_names=self.policy.stage_names,
                first_stage=self.policy.first_stage.name,
                served=store.served(session, found.version.id),
                champion=found.serving.version.version if found.serving and found.whole else None,
                active=(f"P-{active.id}", active.version.version, active.state) if active else None,
                barriers=found.barriers,
                registered_at=found.version.registered_at,
                deliberate=deliberate,
                now=now,
            )
        )
        rule = found.stage.approvals
        by_itself = rule is not None and rule.automatic and not deliberate
        beside = bundle_members.blockers(session, self.policy, found.version, found.stage.name, by_itself=by_itself)
        return blockers + beside + _parted(found)

    def standing(self, session: Session, promotion: PromotionRow, now: datetime) -> list[Blocker]:
        """What bars an approved promotion for good, and what it must wait for; only what stands in the way."""
        stage = self.policy.stage(promotion.stage)
        facts = eligibility.Facts(
            model=promotion.model.name,
            version=promotion.version.version,
            stage=stage,
            stage_names=self.policy.stage_names,
            first_stage=self.policy.first_stage.name,
            served=store.served(session, promotion.version_id) if stage and stage.requires else {},
            barriers=barriers.standing(session, promotion.model.name),
            registered_at=promotion.version.registered_at,
            deliberate=True,
            now=now,
        )
        beside = bundle_members.blockers(session, self.policy, promotion.version, promotion.stage, promotion)
        return [b for b in (*eligibility.bars(facts), *eligibility.waits(facts), *beside) if b.blocking]

    def clashes(self, session: Session, promotion: PromotionRow) -> list[Blocker]:
        """What of another model bars a promotion for good as things stand: a conflict, a member's veto."""
        found = bundle_members.blockers(session, self.policy, promotion.version, promotion.stage, promotion)
        return [each for each in found if each.blocking and not each.waits]

    def changes(self, session: Session, promotion: PromotionRow) -> list[str]:
        """What is different about the evidence since a promotion was judged; raises `NotFound` as `judgement` does."""
        if promotion.evidence is None:  # judged by a release that did not keep it
            return []
        return evidence.changes(promotion.evidence, self.again(session, promotion).evidence())

    def looks_changed(self, session: Session, promotion_id: int, stage_name: str, rules: dict[str, object]) -> bool:
        """The same question asked cheaply, at every click: versions never change, so only rules and champion can."""
        stage = self.policy.stage(stage_name)
        if stage is None or not evidence.same_rules(stage, dict(rules)):
            return True
        return store.champion_moved(session, promotion_id)


def _parted(found: Judgement) -> list[Blocker]:
    """Where the bundle's version is the champion by name, and a member of another version serves."""
    name, stage = found.version.model.name, found.stage.name
    if found.serving is None or found.serving.version_id != found.version.id or found.whole:
        return []
    others = [
        f"{each.candidate.model} {each.champion.version if each.champion else 'nobody'}"
        for each in found.members
        if not each.unchanged
    ]
    sentence = f"{stage} no longer holds {name} {found.version.version} whole: {', '.join(others)} serves there."
    return [Blocker("whole", name, False, sentence)]
