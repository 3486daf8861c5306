"""Stopping everything, vetoing a version, and lifting what stands in the way. A rollback places its hold by itself."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from core.domain.errors import Conflict
from core.domain.lifecycle import Event
from core.domain.model import Actor, Barrier, State
from core.evaluation import drop_deployments
from core.policy import texts
from core.promotions import WAITING, Promotions
from core.store import audit, barriers, registry
from core.store import promotions as store
from core.store.tables import PromotionRow
from core.store.transition import transition


class Barriers:
    """Each act is one short transaction with its audit event. Shares its collaborators with `Promotions`."""

    def __init__(self, promotions: Promotions) -> None:
        self.promotions = promotions
        self.policy = promotions.policy
        self.database = promotions.database

    def stop(self, actor: Actor, model: str, reason: str) -> str:
        """Nothing more is deployed, of one model or (`model` "") of all; rollbacks still are. What to say.

        Promotions go on being asked for and approved, and wait. Raises `Refused`.
        """
        reason = texts.reason(reason, required=True)
        self.promotions.permissions.refuse_stop(actor)
        now = self.promotions.clock()
        with self.database.change() as session:
            name = self._model(session, model)
            if not barriers.place(session, Barrier("stop", name, "", "", reason, actor, now)):
                raise Conflict("stopped-already", f"{_whose(name)} stopped already; nothing was changed.")
            self._note(session, "stopped", actor, name, reason, now)
        return (
            f"{_whose(name)} stopped: {texts.ended(reason)} What is being deployed goes on to its end; rollbacks are let through. "
            f"/promote resume{f' {name}' if name else ''} ends it."
        )

    def resume(self, actor: Actor, model: str, reason: str = "") -> str:
        """Lift a stop; what waited for it is deployed by `Promotions.start_waiting`, once everything was judged again."""
        reason = texts.reason(reason, required=False)
        self.promotions.permissions.refuse_stop(actor)
        now = self.promotions.clock()
        with self.database.change() as session:
            name = self._model(session, model)
            if barriers.lift(session, "stop", name, "", "", actor, now, reason) is None:
                what = f"{_whose(name)} not stopped" if name else "There is no stop of all promotions"
                raise Conflict("not-stopped", f"{what}{self._others(session, name)}.")
            self._note(session, "resumed", actor, name, reason, now)
        whose = f"Promotions of {name}" if name else "Promotions"
        return f"{whose} are no longer stopped; what was approved meanwhile goes ahead now."

    def veto(self, actor: Actor, model: str, version: str, stage: str, reason: str) -> str:
        """Bar a version from `stage` on (everywhere without one); what still waits for it is withdrawn."""
        reason = texts.reason(reason, required=True)
        stage = self._stage(stage)
        barred = list(self.policy.stage_names[self.policy.stage_names.index(stage) :])
        self.promotions.permissions.refuse_veto(actor, barred)
        now = self.promotions.clock()
        with self.database.change() as session:
            found = registry.version_row(session, texts.name(model, "model"), texts.name(version, "version"))
            name, number = found.model.name, found.version
            if not barriers.place(session, Barrier("veto", name, number, stage, reason, actor, now)):
                raise Conflict("vetoed-already", f"{name} {number} is vetoed already; nothing was changed.")
            subject = audit.Subject(name, number, stage)
            audit.append(session, now, actor, "vetoed", subject, {"reason": reason})
            ended, serving = [], []
            for each in barred:
                active = store.active(session, found.model_id, each)
                if active is not None and active.version_id == found.id and State(active.state) in WAITING:
                    self._withdraw(session, active, actor, now, f"{number} was vetoed: {reason}")
                    ended.append(f"P-{active.id}")
                champion = store.champion(session, found.model_id, each)
                if champion is not None and champion.version_id == found.id:
                    serving.append(each)
        return (
            f"{name} {number} is vetoed for {_and(barred)}: {texts.ended(reason)}"
            + (f" Withdrawn: {_and(ended)}." if ended else "")
            + (f" It still serves {_and(serving)}; /rollback brings the one before it back." if serving else "")
        )

    def unveto(self, actor: Actor, model: str, version: str, reason: str = "") -> str:
        """Take every veto of a version back."""
        reason = texts.reason(reason, required=False)
        model, version = texts.name(model, "model"), texts.name(version, "version")
        now = self.promotions.clock()
        with self.database.read() as session:
            standing = barriers.vetoes(session, model, version)
            if not standing:
                registry.version_row(session, model, version)
        if not standing:
            raise _not_vetoed(model, version)
        stages = {stage for veto in standing for stage in self._reached(veto.stage)}
        self.promotions.permissions.refuse_veto(actor, sorted(stages))
        with self.database.change() as session:
            lifted = [
                veto
                for veto in standing
                if barriers.lift(session, "veto", model, version, veto.stage, actor, now, reason) is not None
            ]
            if not lifted:  # somebody else was quicker
                raise _not_vetoed(model, version)
            for veto in lifted:
                subject = audit.Subject(model, version, veto.stage)
                audit.append(session, now, actor, "veto_lifted", subject, {"reason": reason})
        return f"{model} {version} is no longer vetoed."

    def release(self, actor: Actor, model: str, stage: str, reason: str = "") -> str:
        """Lift the hold that a rollback put on automatic promotions."""
        reason = texts.reason(reason, required=False)
        model, stage = texts.name(model, "model"), self._stage(stage)
        self.promotions.permissions.refuse_veto(actor, [stage])
        now = self.promotions.clock()
        with self.database.change() as session:
            model = self._model(session, model)
            if barriers.lift(session, "hold", model, "", stage, actor, now, reason) is None:
                raise Conflict("not-held", f"Automatic promotions of {model} to {stage} are not held.")
            audit.append(session, now, actor, "hold_lifted", audit.Subject(model, "", stage), {"reason": reason})
        return f"{model} may be promoted to {stage} automatically again."

    def _withdraw(self, session: Session, promotion: PromotionRow, actor: Actor, now: datetime, reason: str) -> None:
        transition(session, promotion, State(promotion.state), Event.CANCELLED, actor, now, reason)
        drop_deployments(promotion, now, reason)

    def _model(self, session: Session, model: str) -> str:
        return registry.model_row(session, texts.name(model, "model")).name if model.strip() else ""

    def _stage(self, stage: str) -> str:
        """The stage by name; the first that anything is promoted to where none is named."""
        names = self.policy.stage_names
        if not stage.strip():
            return names[min(1, len(names) - 1)]
        return self.policy.known_stage(stage).name

    def _reached(self, stage: str) -> tuple[str, ...]:
        names = self.policy.stage_names
        return names[names.index(stage) :] if stage in names else names

    def _note(self, session: Session, kind: str, actor: Actor, model: str, reason: str, now: datetime) -> None:
        audit.append(session, now, actor, kind, audit.Subject(model), {"reason": reason})

    def _others(self, session: Session, name: str) -> str:
        others = [each.model or "everything" for each in barriers.stops(session) if each.model != name]
        return f" (stopped: {_and(others)})" if others else ""


def _not_vetoed(model: str, version: str) -> Conflict:
    return Conflict("not-vetoed", f"{model} {version} is not vetoed.")


def _whose(model: str) -> str:
    return f"Promotions of {model} are" if model else "All promotions are"


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
