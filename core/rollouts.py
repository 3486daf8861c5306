"""Watching rollouts and steering them. A clock wakes `tick`; what is due stands in the database, so any process may run
it, and a look that somebody else overtook changes nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from core import members, rolling
from core.domain.errors import Conflict, NotAllowed
from core.domain.lifecycle import Event
from core.domain.model import Actor, State
from core.domain.views import PromotionView
from core.policy import analysis as watching
from core.policy.analysis import AnalysisVerdict, Progress
from core.policy.approvals import is_trainer
from core.policy.readings import Look, Standing
from core.policy.rollout import Analysis
from core.policy.schema import Stage
from core.ports import MetricsSource
from core.promotions import Promotions
from core.sources.looks import Subject, take_looks
from core.store import looks as taken
from core.store import messages
from core.store import promotions as store
from core.store.tables import PromotionRow, RolloutRow
from core.store.transition import record

LEASE = timedelta(seconds=30)
AT_ONCE = 200
log = logging.getLogger(__name__)

#: So many rollouts have their queries asked at a time: a source that hangs takes its time over each.
LOOKING = 8
LIVE = ("holding", "verifying", "asking")
#: How much longer "wait longer" is where neither the step nor the policy says.
LONGER = timedelta(minutes=10)


class Rollouts:
    """Shares its collaborators with `Promotions`; `sources` are the policy's metric sources by name."""

    def __init__(self, promotions: Promotions, sources: Mapping[str, MetricsSource]) -> None:
        self.promotions = promotions
        self.database = promotions.database
        self.queue = promotions.queue
        self.sources = sources
        self._lookers = ThreadPoolExecutor(LOOKING, "rollouts")
        self._looked_at: set[int] = set()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Begin no more looks, and wait for those under way."""
        self._lookers.shutdown(cancel_futures=True)

    # -- the clock -----------------------------------------------------------------------------------------------

    def tick(self, now: datetime) -> list[int]:
        """Look at every rollout that is due; the promotions that are.

        Where a source must be asked that is done beside, so that one that hangs holds up nobody else.
        """
        with self.database.read() as session:
            due = session.execute(
                select(RolloutRow.promotion_id, RolloutRow.progress.is_not(None).label("watched"))
                .where(RolloutRow.due_at <= now, RolloutRow.phase.in_(LIVE), _unclaimed(now))
                .order_by(RolloutRow.due_at)
                .limit(AT_ONCE)
            ).all()
        for each in due:
            with self._lock:
                if each.promotion_id in self._looked_at:
                    continue
                self._looked_at.add(each.promotion_id)
            if each.watched:
                self._lookers.submit(self._try, each.promotion_id, now)
            else:
                self._try(each.promotion_id, now)
        return [each.promotion_id for each in due]

    def _try(self, promotion_id: int, now: datetime) -> None:
        try:
            self._look(promotion_id, now)
        except Exception:  # one broken rollout must not hold up the others; it is due again when its lease ends
            log.exception("P-%s: its rollout could not be looked at", promotion_id)
        finally:
            with self._lock:
                self._looked_at.discard(promotion_id)

    def _look(self, promotion_id: int, now: datetime) -> None:
        with self.database.note() as session:
            seq = self._claim(session, promotion_id, now)
        if seq is None:
            return
        looks = self._measure(promotion_id, now)
        with self.database.change() as session:
            promotion = store.row(session, promotion_id, lock=True)
            rollout = promotion.rollout
            if rollout is None or rollout.seq != seq or promotion.state not in (State.DEPLOYING, State.VERIFYING):
                if rollout is not None:
                    rollout.claimed_until = None
                return
            rollout.claimed_until = None
            self._decide(session, promotion, rollout, looks, now)

    def _claim(self, session: Session, promotion_id: int, now: datetime) -> int | None:
        found = session.execute(
            update(RolloutRow)
            .where(RolloutRow.promotion_id == promotion_id, RolloutRow.due_at <= now, _unclaimed(now))
            .values(claimed_until=now + LEASE)
            .returning(RolloutRow.seq)
        ).first()
        return int(found.seq) if found else None

    def _measure(self, promotion_id: int, now: datetime) -> dict[str, Look] | None:
        """One look at every metric, outside of any transaction; None when no look is due."""
        with self.database.read() as session:
            promotion = store.row(session, promotion_id)
            rollout, stage = promotion.rollout, Stage.from_rules(promotion.rules)
            if rollout is None or rollout.progress is None or stage.rollout.analysis is None:
                return None
            parts = members.watched(session, promotion, stage.rollout.analysis)
            name, traffic, progress = promotion.stage, rollout.traffic, Progress.from_json(rollout.progress)
        wanted = stage.rollout.analysis
        if watching.next_look(wanted, progress) > now:
            return None
        source, looks = self.sources.get(wanted.source), dict[str, Look]()
        if source is None:
            return looks
        for part in parts:
            subject = Subject(part.model, name, part.version, part.champion, champion_serves=traffic < 100)
            looks |= take_looks(source, part.analysis, subject, now)
        return looks

    def _decide(
        self,
        session: Session,
        promotion: PromotionRow,
        rollout: RolloutRow,
        looks: dict[str, Look] | None,
        now: datetime,
    ) -> None:
        if rollout.abort:  # asked for under an earlier release, which left the way back to the clock
            rolling.undo(session, promotion, self.queue, Event.ROLLBACK_REQUESTED, rollout.abort, now)
            return
        wanted = Stage.from_rules(promotion.rules).rollout.analysis
        if wanted is not None:
            wanted = watching.whole(wanted, members.watched(session, promotion, wanted))
        verdict = None
        if wanted is not None and rollout.progress is not None:
            verdict = self._observe(session, promotion, rollout, wanted, looks, now)
            if verdict is not None and verdict.standing is Standing.FAILED:
                event = Event.TRAFFIC_WITHDRAWN if promotion.state == State.DEPLOYING else Event.VERIFICATION_FAILED
                rolling.undo(session, promotion, self.queue, event, verdict.sentence, now)
                return
            if verdict is not None and verdict.standing in (Standing.INCONCLUSIVE, Standing.ERRORED):
                rolling.ask(session, promotion, verdict.sentence, now)
        self._go_on(session, promotion, rollout, wanted, now)

    def _observe(
        self, session: Session, promotion: PromotionRow, rollout: RolloutRow, wanted: Analysis,
        looks: dict[str, Look] | None, now: datetime,
    ) -> AnalysisVerdict | None:  # fmt: skip
        progress = Progress.from_json(rollout.progress or {})
        if looks is None:
            return None
        progress = watching.observe(wanted, progress, looks, now)
        rollout.progress, rollout.seq = progress.to_json(), rollout.seq + 1
        taken.keep(session, promotion.id, progress, rollout.traffic, now)
        found = watching.verdict(wanted, progress)
        if rollout.phase != "asking" and found.sentence != rollout.said:
            rollout.said = found.sentence
            session.flush()
            messages.card_stale(session, promotion.id, now)
        return found

    def _go_on(
        self, session: Session, promotion: PromotionRow, rollout: RolloutRow, wanted: Analysis | None, now: datetime
    ) -> None:
        """When the time of a step is up it is over; until then the next look is set."""
        progress = Progress.from_json(rollout.progress) if rollout.progress else None
        look_at = watching.next_look(wanted, progress) if wanted is not None and progress is not None else None
        until = rollout.hold_until
        waits = rollout.phase == "asking" or rollout.paused_by
        if waits or until is None or now < until:
            rollout.due_at = min((each for each in (look_at, until if not waits else None) if each), default=None)
            return
        if wanted is not None and progress is not None:
            if progress.looked is None or progress.looked < rollout.phase_since:
                rollout.due_at = look_at  # nothing goes on that was not looked at
                return
            found = watching.conclude(wanted, progress, complete=True)
            if found.standing is not Standing.PASSED:
                rolling.ask(session, promotion, found.sentence, now)
                rollout.due_at = look_at
                return
        rolling.move_on(session, promotion, self.queue, now, self._held(session, promotion, now))

    def _held(self, session: Session, promotion: PromotionRow, now: datetime) -> str:
        """Why no traffic may be added now, as the policy stands now; "" when it may."""
        standing = self.promotions.judge.standing(session, promotion, now)
        return " ".join(f"{each.sentence} {each.clears}" for each in standing if each.kind in ("stop", "freeze"))

    # -- people --------------------------------------------------------------------------------------------------

    def proceed(self, actor: Actor, promotion_id: int) -> PromotionView:
        """Go on now, whatever the hold or the question: a person takes it upon themselves. Raises `Refused`."""
        return self._steer(actor, promotion_id, self._proceed)

    def pause(self, actor: Actor, promotion_id: int) -> PromotionView:
        """Stay at this step until somebody says otherwise; what fails is still rolled back. Raises `Refused`."""
        return self._steer(actor, promotion_id, self._pause)

    def extend(self, actor: Actor, promotion_id: int) -> PromotionView:
        """Watch for as long again. Raises `Refused`."""
        return self._steer(actor, promotion_id, self._extend)

    def roll_back(self, actor: Actor, promotion_id: int, reason: str = "") -> PromotionView:
        """Go back to the champion now. Raises `Refused`."""
        return self.promotions.cancel(actor, promotion_id, reason)

    def _steer(
        self, actor: Actor, promotion_id: int, act: Callable[[Session, PromotionRow, RolloutRow, Actor, datetime], None]
    ) -> PromotionView:
        view = self.promotions.view(promotion_id)
        self._refuse(actor, view)
        now = self.promotions.clock()
        with self.database.change() as session:
            promotion = store.row(session, promotion_id, lock=True)
            rollout = promotion.rollout
            if rollout is None or rollout.phase == "ended":
                raise Conflict("no-rollout", f"{view.ref} is not being rolled out in steps now. {view.standing}")
            act(session, promotion, rollout, actor, now)
            session.flush()
            return store.load(session, promotion.id)

    def _refuse(self, actor: Actor, view: PromotionView) -> None:
        self.promotions.permissions.refuse_steer(actor, view.stage)
        rule = Stage.from_rules(view.rules).approvals
        person = self.promotions.directory.person(actor.id) if actor.kind == "user" else None
        if rule is None or person is None:
            return
        if "requester" in rule.exclude and actor.id == view.requester.person:
            who = "You" if view.requester.kind == "user" else f"Your token {view.requester.id}"
            raise NotAllowed("requester", f"{who} asked for this promotion, so someone else must steer its rollout.")
        if "trainer" in rule.exclude and is_trainer(person, view.version.lineage.trained_by):
            raise NotAllowed("trainer", "You trained this version, so someone else must steer its rollout.")

    def _proceed(
        self, session: Session, promotion: PromotionRow, rollout: RolloutRow, actor: Actor, now: datetime
    ) -> None:
        if rollout.phase == "acting":
            raise Conflict("acting", f"P-{promotion.id} is moving traffic just now; wait for the target's report.")
        mine = [each for each in rollout.limits if each[0] == str(actor)]
        others = [each for each in rollout.limits if each[0] != str(actor)]
        following = rollout.step + 1
        if following < len(rollout.steps) and not mine:
            blocking = [each for each in others if int(each[2]) < int(rollout.steps[following][0])]
            if blocking:
                name = blocking[0][1] or blocking[0][0]
                raise NotAllowed("limited", f"{name} approved at most {blocking[0][2]} %, so only they may go beyond.")
        rollout.limits, rollout.paused_by = others, ""
        self._forgive(rollout)
        record(session, promotion, "rollout_continued", actor, now, {"reason": rollout.said})
        rolling.move_on(session, promotion, self.queue, now, self._held(session, promotion, now))

    def _pause(
        self, session: Session, promotion: PromotionRow, rollout: RolloutRow, actor: Actor, now: datetime
    ) -> None:
        if rollout.paused_by:
            raise Conflict("paused", f"P-{promotion.id} is held already, by {rollout.paused_by}.")
        rollout.paused_by, rollout.seq = actor.name or actor.id, rollout.seq + 1
        session.flush()
        record(session, promotion, "rollout_paused", actor, now)

    def _extend(
        self, session: Session, promotion: PromotionRow, rollout: RolloutRow, actor: Actor, now: datetime
    ) -> None:
        if rollout.phase == "acting":
            raise Conflict("acting", f"P-{promotion.id} is moving traffic just now; wait for the target's report.")
        self._forgive(rollout)
        rollout.paused_by = ""
        verifying = promotion.state == State.VERIFYING
        verify = Stage.from_rules(promotion.rules).verify
        again = timedelta(seconds=int(rollout.steps[rollout.step][1])) or LONGER
        if verifying and verify is not None:
            again = verify.for_
        rolling.hold(rollout, "verifying" if verifying else "holding", int(again.total_seconds()), now)
        session.flush()
        record(session, promotion, "rollout_extended", actor, now, {"seconds": int(again.total_seconds())})

    def _forgive(self, rollout: RolloutRow) -> None:
        if rollout.progress is not None:
            rollout.progress = watching.resume(Progress.from_json(rollout.progress)).to_json()


def _unclaimed(now: datetime) -> Any:
    return or_(RolloutRow.claimed_until.is_(None), RolloutRow.claimed_until < now)
