"""Breaking the glass: deploying past a failing gate or missing approvals, in an emergency, and its review afterwards.

It passes neither a veto, a freeze, a stop, a soak time nor a required stage: for what is wrong now there is the rollback.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.errors import BadInput, Conflict, NotAllowed
from core.domain.lifecycle import Event
from core.domain.model import Actor, Kind, State
from core.domain.views import PromotionView
from core.judging import Judgement
from core.policy import approvals, texts
from core.promotions import Promotions
from core.store import promotions as store
from core.store.tables import OverrideRow, PromotionRow
from core.store.transition import record, transition
from core.store.views import given_on


@dataclass(frozen=True)
class GlassPlan:
    """What breaking the glass would pass by, shown before anything acts. `promotion` is the one that waits, if any."""

    model: str
    version: str
    stage: str
    champion: str
    bypassed: tuple[str, ...]
    promotion: str = ""

    @property
    def seen(self) -> str:
        """Short for all that whoever is shown this sees: held against what is so when they act."""
        return hashlib.sha256("\n".join((self.champion, *self.bypassed)).encode()).hexdigest()[:16]


class Glass:
    """Shares its collaborators with `Promotions`."""

    def __init__(self, promotions: Promotions) -> None:
        self.promotions = promotions
        self.database = promotions.database

    def plan(self, actor: Actor, model: str, version: str, stage: str) -> GlassPlan:
        """What would be passed by. Raises `Refused`: not allowed, or nothing that the glass could help against."""
        known = self.promotions.policy.known_stage(texts.name(stage, "stage"))
        self.promotions.permissions.refuse_break_glass(actor, known.name)
        with self.database.read() as session:
            found = self.promotions.judge.judgement(
                session, texts.name(model, "model"), texts.name(version, "version"), stage
            )
            mine = _waiting(found)
            if mine is None:
                self._refuse_barred(session, found, actor)
            plan = self._plan(found, mine)
        if not plan.bypassed:
            raise Conflict("nothing-to-bypass", f"Nothing stands in the way of {model} {version}; just promote it.")
        return plan

    def _plan(self, found: Judgement, mine: PromotionRow | None) -> GlassPlan:
        return GlassPlan(
            model=found.candidate.model,
            version=found.candidate.version,
            stage=found.stage.name,
            champion=found.champion.version if found.champion else "",
            bypassed=self._bypassed(found, mine),
            promotion=f"P-{mine.id}" if mine else "",
        )

    def use(self, actor: Actor, model: str, version: str, stage: str, reason: str, seen: str) -> PromotionView:
        """Deploy it now. The promotion is marked until somebody else has reviewed it.

        `seen` is of the plan that the person was shown. Raises as `plan` does, and `Conflict` where it is another by now.
        """
        reason = texts.reason(reason, required=True)
        self.plan(actor, model, version, stage)
        now = self.promotions.clock()
        with self.database.change() as session:
            found = self.promotions.judge.judgement(session, model.strip(), version.strip(), stage.strip())
            promotion = _waiting(found)
            plan = self._plan(found, promotion)
            if plan.seen != seen:
                raise Conflict(
                    "changed-since",
                    "What the glass would pass by has changed since you were asked. Nothing was done; type the command "
                    "again.",
                )
            if promotion is None:
                found = self.promotions.eligible(session, actor, model, version, stage, now)
                promotion = self.promotions.evaluation.open(session, Kind.PROMOTION, found, actor, reason, now)
                record(session, promotion, "requested", actor, now, {"reason": reason})
            _, facts = self.promotions.evaluation.measure(session, promotion, found)
            session.add(
                OverrideRow(
                    promotion_id=promotion.id, actor=str(actor), actor_name=actor.name, reason=reason,
                    bypassed=list(plan.bypassed), at=now,
                )
            )  # fmt: skip
            session.flush()
            session.refresh(promotion)
            event = {"bypassed": list(plan.bypassed), **facts}
            transition(session, promotion, State(promotion.state), Event.GLASS_BROKEN, actor, now, reason, event)
            self.promotions.evaluation.release(session, promotion, now)
            return store.load(session, promotion.id)

    def review(self, actor: Actor, promotion_id: int, words: str = "") -> PromotionView:
        """Somebody else has looked at it. Raises `Refused`."""
        words = texts.reason(words, required=False)
        view = self.promotions.view(promotion_id)
        if view.override is None:
            raise Conflict("no-override", f"{view.ref} was not deployed by breaking the glass.")
        if actor.kind != "user":
            raise NotAllowed("may-not-review", "Only a person may review, in Slack; a token may not.")
        if view.override.actor.id == actor.id:
            raise NotAllowed("own-override", "You broke the glass yourself, so someone else must review it.")
        self.promotions.permissions.refuse_veto(actor, [view.stage])
        now = self.promotions.clock()
        with self.database.change() as session:
            promotion = store.row(session, promotion_id, lock=True)
            override = session.get_one(OverrideRow, promotion_id)
            if override.reviewed_at is not None:
                raise Conflict("reviewed-already", f"{override.reviewed_by_name} has reviewed {view.ref} already.")
            override.reviewed_at, override.reviewed_by, override.reviewed_by_name = now, str(actor), actor.name
            override.review = words
            record(session, promotion, "glass_reviewed", actor, now, {"reason": words})
            session.flush()
            return store.load(session, promotion.id)

    def unreviewed(self, session: Session) -> list[int]:
        """Promotions that nobody has reviewed yet, oldest first."""
        query = select(OverrideRow.promotion_id).where(OverrideRow.reviewed_at.is_(None)).order_by(OverrideRow.at)
        return list(session.scalars(query))

    def _refuse_barred(self, session: Session, found: Judgement, actor: Actor) -> None:
        now: datetime = self.promotions.clock()
        for blocker in self.promotions.judge.blockers(session, found, now, deliberate=actor.kind == "user"):
            if blocker.blocking and not blocker.waits:
                raise Conflict(f"blocked-{blocker.kind}", f"{blocker.sentence} {blocker.clears}".strip())

    def _bypassed(self, found: Judgement, mine: PromotionRow | None) -> tuple[str, ...]:
        failing = [verdict.sentence for verdict in found.verdicts() if verdict.decides]
        rule = found.stage.approvals
        if rule is None or not rule.automatic:
            given = given_on(mine) if mine else ()
            counted = approvals.tally(rule, given)
            if not counted.met:
                failing.append(counted.sentence)
        return tuple(failing)


def _waiting(found: Judgement) -> PromotionRow | None:
    """The promotion of this version that awaits approval. Raises `BadInput` where another act must come first."""
    active = found.active
    if active is None or active.version_id != found.version.id or active.kind != Kind.PROMOTION:
        return None
    if active.state == State.AWAITING_APPROVAL:
        return active
    if active.state == State.EVALUATING:
        raise BadInput("version", f"P-{active.id} is still being checked; wait until its card says what was found.")
    raise BadInput("version", f"P-{active.id} is past its approvals already: it is {active.state.replace('_', ' ')}.")
