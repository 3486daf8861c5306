"""Bringing the last good version back. Nothing is judged and nobody is asked: whoever may, does, at 3 a.m. too."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from core import members, rolling
from core.domain.errors import BadInput, Conflict
from core.domain.lifecycle import Event
from core.domain.model import Actor, Barrier, Kind, State
from core.domain.views import PromotionView, RollbackPlan
from core.policy import texts
from core.policy.schema import Stage
from core.promotions import Promotions
from core.store import barriers, registry
from core.store import promotions as store
from core.store.tables import Champion, PromotionRow, Version
from core.store.transition import record, transition

#: States in which a promotion has not touched its target yet, so that a rollback may simply drop it.
NOT_BEGUN = (State.EVALUATING, State.AWAITING_APPROVAL, State.APPROVED)
UNDER_WAY = (State.DEPLOYING, State.VERIFYING)
#: How many earlier versions a sentence names.
NAMED = 10


class Rollbacks:
    """Planning and asking for rollbacks. Shares its collaborators with `Promotions`."""

    def __init__(self, promotions: Promotions) -> None:
        self.promotions = promotions
        self.policy = promotions.policy
        self.database = promotions.database

    def stages(self, model: str) -> list[str]:
        """Stages of `model` that have a champion now, the last stage of the policy first. Raises `NotFound`."""
        with self.database.read() as session:
            found = registry.model_row(session, texts.name(model, "model"))
            return [name for name in reversed(self.policy.stage_names) if store.champion(session, found.id, name)]

    def plan(self, actor: Actor, model: str, stage: str | None, to_version: str | None) -> RollbackPlan:
        """What a rollback would change, without changing it.

        Without `stage`, the last stage that has a champion. Without `to_version`, the last version that was verified
        there and was not itself rolled back from. Raises `Refused`: not allowed, nothing serves, nothing to go back to.
        """
        found = self._stage(model, stage)
        self.promotions.permissions.refuse_rollback(actor, found.name)
        with self.database.read() as session:
            return self._plan(session, model, found, to_version)[0]

    def request(
        self,
        actor: Actor,
        model: str,
        stage: str | None,
        to_version: str | None,
        reason: str,
        shown: tuple[str, str] | None = None,
    ) -> PromotionView:
        """Roll back, now. A promotion half way there is stopped instead; one that still waits is superseded.

        Returns the rollback's own promotion, or the one that is being stopped. Raises as `plan`, `BadInput` without a
        reason, and `Conflict` where it would not do what was `shown`: which version goes, and which comes.
        """
        reason = texts.reason(reason, required=True)
        stage = self._stage(model, stage).name
        self.promotions.permissions.refuse_rollback(actor, stage)
        now = self.promotions.clock()
        with self.database.change() as session:
            if shown is None and not (to_version or "").strip():
                self._refuse_repeated(session, model, stage, now)
            return self.carry_out(session, actor, model, stage, to_version, reason, now, shown)

    def carry_out(
        self,
        session: Session,
        actor: Actor,
        model: str,
        stage: str,
        to_version: str | None,
        reason: str,
        now: datetime,
        shown: tuple[str, str] | None = None,
    ) -> PromotionView:
        """The same inside the caller's transaction, for whoever has made sure that the actor may."""
        found = self._stage(model, stage)
        plan, target = self._plan(session, model, found, to_version)
        if shown is not None and (plan.current, plan.target) != shown:
            raise Conflict(
                "changed-since",
                f"What serves {stage} has changed since you were asked: it is {plan.current} now, and would go back to "
                f"{plan.target}. Nothing was done; type /rollback again.",
            )
        active = self._active(session, target.model_id, model.strip(), found.name)
        if active is not None and State(active.state) in UNDER_WAY:
            self.promotions.abort(session, active, actor, now, reason)
            self._hold(session, active, actor, reason, now)
            return store.load(session, active.id)
        if active is not None:
            self.promotions.supersede(session, active, actor, now, f"{model} was rolled back in {found.name}")
        return store.load(session, self._open(session, actor, found, plan, target, reason, now).id)

    def _hold(self, session: Session, promotion: PromotionRow, actor: Actor, reason: str, now: datetime) -> None:
        """What was just rolled back is not to be promoted again by a program (Kargo's holds)."""
        for name in members.names(promotion):
            barriers.place(session, Barrier("hold", name, "", promotion.stage, reason, actor, now, promotion.id))

    def _stage(self, model: str, stage: str | None) -> Stage:
        if stage is None or not stage.strip():
            serving = self.stages(model)
            if not serving:
                raise Conflict(
                    "no-champion", f"Nothing serves any stage of {model} yet, so there is nothing to roll back."
                )
            stage = serving[0]
        return self.policy.known_stage(texts.name(stage, "stage"))

    def _plan(
        self, session: Session, model: str, stage: Stage, to_version: str | None
    ) -> tuple[RollbackPlan, Champion]:
        found = registry.model_row(session, texts.name(model, "model"))
        serving = store.champion(session, found.id, stage.name)
        if serving is None:
            raise Conflict(
                "no-champion", f"Nothing serves {stage.name} of {model} yet, so there is nothing to roll back."
            )
        active = self._active(session, found.id, found.name, stage.name)
        self._refuse_twice(active)
        if active is not None and State(active.state) in UNDER_WAY:
            target = serving  # what is under way is stopped; the champion that still stands is put back in full
            if to_version and to_version != serving.version.version:
                raise Conflict(
                    "other-under-way",
                    f"P-{active.id} is being deployed to {stage.name}; roll back to {serving.version.version} first, "
                    f"which stops it, then to {to_version}.",
                )
        else:
            target = self._target(session, serving, model, stage, to_version)
            self._refuse_member_moving(session, target, stage)
        return (
            RollbackPlan(
                model=model,
                stage=stage.name,
                current=members.coming(active, found.name) if target is serving and active else serving.version.version,
                current_since=serving.since,
                target=target.version.version,
                target_served=(target.since, target.until),
                warning=self._warning(session, target) if target is not serving else "",
                aborts=f"P-{active.id}" if active and State(active.state) in UNDER_WAY else "",
                supersedes=f"P-{active.id}" if active and State(active.state) in NOT_BEGUN else "",
            ),
            target,
        )

    def _active(self, session: Session, model_id: int, name: str, stage: str) -> PromotionRow | None:
        """What holds the stage: of a bundle that is on its way, also for each of its members."""
        return store.active(session, model_id, stage) or members.bundle_moving(session, name, stage)

    def _refuse_member_moving(self, session: Session, target: Champion, stage: Stage) -> None:
        """Two who move one model at once would leave nobody knowing what serves."""
        other = members.member_moving(session, target.version, stage.name)
        if other is not None:
            name = other.model.name
            raise Conflict(
                "other-under-way",
                f"P-{other.id} has {name} {other.version.version}, a member, on its way to {stage.name}; "
                f"let it end, or stop it with /rollback {name} {stage.name} because …, and then roll the bundle back.",
            )

    def _refuse_repeated(self, session: Session, model: str, stage: str, asked: datetime) -> None:
        """Raise `Conflict` where a rollback has ended since this one was `asked` for: the same was meant, by two at once."""
        serving = store.champion(session, registry.model_row(session, texts.name(model, "model")).id, stage)
        ended = store.row(session, serving.promotion_id) if serving else None
        if serving is None or ended is None or ended.kind != Kind.ROLLBACK or serving.since <= asked:
            return
        raise Conflict(
            "rolled-back-already",
            f"P-{ended.id} has just rolled {model.strip()} back to {serving.version.version} in {stage}; "
            "to go back further, name the version.",
        )

    def _refuse_twice(self, active: PromotionRow | None) -> None:
        if active is None:
            return
        stopping = any(deployment.abort for deployment in active.deployments)
        if active.state == State.ROLLING_BACK or stopping:
            raise Conflict(
                "rolling-back-already", f"P-{active.id} is being rolled back already; its card shows how far it is."
            )
        if active.kind == Kind.ROLLBACK:
            raise Conflict(
                "rolling-back-already",
                f"P-{active.id} is already rolling {active.model.name} back to {active.version.version}; "
                "its card shows how far it is.",
            )

    def _target(
        self, session: Session, serving: Champion, model: str, stage: Stage, to_version: str | None
    ) -> Champion:
        earlier = (
            select(Champion)
            .join(Version, Version.id == Champion.version_id)
            .where(Champion.model_id == serving.model_id, Champion.stage == stage.name, Champion.id != serving.id)
            .order_by(Champion.since.desc(), Champion.id.desc())
        )
        if to_version and to_version.strip():
            wanted = texts.name(to_version, "version")
            if wanted == serving.version.version:
                raise Conflict(
                    "serves-already",
                    f"{model} {wanted} serves {stage.name} already; rolling back to it would change nothing.",
                )
            found = session.scalar(earlier.where(Version.version == wanted).limit(1))
            if found is not None:
                return found
            known = _names(session, serving)
            raise BadInput("version", f"{model} {wanted} never served {stage.name}; earlier versions there: {known}.")
        bad = _rolled_back_from(serving)
        good = earlier.where(Champion.version_id != serving.version_id, Champion.version_id.not_in(bad))
        with closing(session.scalars(good.execution_options(yield_per=20))) as latest_first:
            for row in latest_first:
                if not members.vetoes(session, row.version):
                    return row
        raise Conflict(
            "nothing-to-go-back-to",
            f"There is no earlier good version of {model} in {stage.name} to go back to; "
            "promote another version instead.",
        )

    def _warning(self, session: Session, target: Champion) -> str:
        """Why whoever goes back there should look twice; a rollback is let through all the same."""
        clashes = (b for b in members.blockers(session, self.policy, target.version, target.stage) if not b.waits)
        return _warning(session, target) or next((b.sentence for b in clashes), "")

    def _open(
        self,
        session: Session,
        actor: Actor,
        stage: Stage,
        plan: RollbackPlan,
        target: Champion,
        reason: str,
        now: datetime,
    ) -> PromotionRow:
        found = self.promotions.judge.judgement(session, plan.model, target.version.version, stage.name)
        promotion = self.promotions.evaluation.open(session, Kind.ROLLBACK, found, actor, reason, now)
        self._hold(session, promotion, actor, reason, now)
        record(
            session,
            promotion,
            "rollback_asked",
            actor,
            now,
            {"reason": reason, "from": plan.current, "to": plan.target},
        )
        transition(session, promotion, State.EVALUATING, Event.AUTO_APPROVED, actor, now, reason)
        rolling.start(session, promotion, self.promotions.queue, "rollback", now)
        session.flush()
        session.refresh(promotion)
        return promotion


def _rolled_back_from(serving: Champion) -> Select[int]:
    """The versions that somebody once rolled away from, where the champion serves."""
    return (
        select(Champion.version_id)
        .join(PromotionRow, PromotionRow.id == Champion.ended_by)
        .where(Champion.model_id == serving.model_id, Champion.stage == serving.stage)
        .where(PromotionRow.kind == Kind.ROLLBACK.value)
    )


def _names(session: Session, serving: Champion) -> str:
    """The versions that served before, the latest first, as far as a sentence can name them."""
    names = session.scalars(
        select(Version.version)
        .join(Champion, Champion.version_id == Version.id)
        .where(Champion.model_id == serving.model_id, Champion.stage == serving.stage, Champion.id != serving.id)
        .group_by(Version.id)
        .order_by(func.max(Champion.since).desc(), func.max(Champion.id).desc())
        .limit(NAMED + 1)
    ).all()
    return ", ".join(names[:NAMED]) + (" and more" if len(names) > NAMED else "") if names else "none"


def was_rolled_back(session: Session, row: Champion) -> bool:
    """True when this time in service ended because somebody rolled away from it."""
    return row.ended_by is not None and session.get_one(PromotionRow, row.ended_by).kind == Kind.ROLLBACK


def _warning(session: Session, target: Champion) -> str:
    for veto in members.vetoes(session, target.version):
        what = veto.version if veto.model == target.version.model.name else f"Its member {veto.model} {veto.version}"
        return f"{what} was vetoed by {veto.by}: {texts.ended(veto.reason)}"
    if was_rolled_back(session, target):
        return f"{target.version.version} was itself rolled back from by P-{target.ended_by}."
    return ""
