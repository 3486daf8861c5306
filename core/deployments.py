"""Carrying a promotion out: tell the deploy target, wait for its report, change the champion; or put things back.

`Deployments.run` is the workflow. It only strings steps together: each step is one short transaction, or one call to
the target, and may be run twice, since a process may die between doing and remembering. The deployment's row is the
truth throughout; a message to the workflow says no more than "look again".
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import rolling
from core.domain.errors import BadInput, Conflict, NotFound
from core.domain.lifecycle import Event
from core.domain.model import Actor, DecisionKind, DeploymentState, Kind, State
from core.domain.views import DeploymentView
from core.engine import Durable
from core.evaluation import Evaluation
from core.outcomes import ENDED, WITH_PROMOTION, Outcomes, ended_sentence
from core.policy.stages import Stage
from core.ports import Act, Answer, Clock, DeploymentQueue, DeployTarget, FollowedTarget
from core.store.database import Database
from core.store.reports import CONTRADICTED, contradictions, of_another
from core.store.tables import DeploymentRow
from core.store.transition import record, transition
from core.store.views import deployment
from core.targets.cloud_event import Order, requested
from core.targets.standard_webhooks import TOLERANCE

log = logging.getLogger(__name__)

BATON = Actor.system("deployments")
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
#: Seconds that one attempt may take; the last one no longer than there is time.
LONGEST_ATTEMPT = 15.0
LONGEST_TEXT = 2_000
#: Seconds after which a workflow looks for a report though nothing woke it: a wake-up that comes while PostgreSQL is
#: restarted reaches nobody.
UNHEARD = 15.0
REPORTS = ("in_progress", "succeeded", "failed")


class Workflows(DeploymentQueue, Protocol):
    """The durable engine, as the watchdog sees it."""

    def states(self, deployment_ids: Iterable[int]) -> dict[int, str]:
        """How the workflows of some deployments stand; those that there are not are left out."""


@dataclass(frozen=True)
class Reported:
    """What became of a report. `taken` is False where it changed nothing; `sentence` then says why, and `conflict`
    names the refusal where it contradicts what is settled.
    """

    deployment: DeploymentView
    taken: bool
    sentence: str = ""
    conflict: str = ""


class Deployments:
    """Everything that happens to a deployment after the decision. Safe to share between threads.

    `on_hook(target, outcome, seconds)` is told of every call to a target.
    """

    def __init__(
        self,
        database: Database,
        targets: Mapping[str, DeployTarget],
        workflows: Workflows,
        clock: Clock,
        public_url: str,
        evaluation: Evaluation,
        on_hook: Callable[[str, str, float], None] | None = None,
    ) -> None:
        self.database = database
        self.targets = targets
        self.workflows = workflows
        self.clock = clock
        self.evaluation = evaluation
        self.public_url = public_url.rstrip("/")
        self._on_hook = on_hook
        self._outcomes = Outcomes(database, workflows, clock)

    # -- the workflow --------------------------------------------------------------------------------------------

    def run(self, durable: Durable, deployment_id: int) -> None:
        """Carry one deployment out, to whatever end. The workflow `deploy.v1`: its order of steps never changes."""
        if not durable.step("begin", partial(self.begin, deployment_id)):
            return
        try:
            said = self._carry_out(durable, deployment_id)
        except Exception as error:
            log.exception("D-%s: the workflow broke", deployment_id)
            said = {"state": "broke", "words": type(error).__name__}
        durable.step("end", partial(self._outcomes.end, deployment_id, said["state"], said["words"]))

    def _carry_out(self, durable: Durable, deployment_id: int) -> dict[str, Any]:
        said: dict[str, Any] = {"state": "unclear", "words": "", "wait": 0.0}
        attempt = 0
        while said["state"] == "unclear":
            if attempt:
                durable.wait(said["wait"])
            attempt += 1
            said = durable.step("send", partial(self.send, deployment_id, attempt, said["words"]))
        looks = 0
        while said["state"] == "started":
            durable.wait(min(said["wait"], _pause(looks) if said.get("followed") else UNHEARD))
            looks += 1
            said = durable.step("look", partial(self.look, deployment_id))
        if said["state"] in ("stopped", "silent"):
            durable.step("cancel", partial(self.cancel, deployment_id))
        return said

    # -- its steps -----------------------------------------------------------------------------------------------

    def begin(self, deployment_id: int) -> bool:
        """Take the deployment up; False when there is nothing (any more) to do."""
        now = self.clock()
        with self.database.change() as session:
            row = _row(session, deployment_id)
            if row.state == DeploymentState.IN_PROGRESS:
                return True
            if row.state != DeploymentState.PENDING:
                return False
            state = State(row.promotion.state)
            if row.step and state is State.DEPLOYING:  # a later act of what is under way
                self._take_up(session, row, now)
                return True
            if state is State.APPROVED and not self.evaluation.recheck(session, row.promotion, now):
                return False
            if state not in (State.APPROVED, State.ROLLING_BACK):
                row.state, row.finished_at = DeploymentState.CANCELLED.value, now
                row.message = row.message or "its promotion had ended before it began"
                return False
            self._take_up(session, row, now)
            if state is State.APPROVED:
                facts = {"deployment": f"D-{row.id}", "target": row.target, "action": row.action}
                transition(session, row.promotion, state, Event.DEPLOYMENT_STARTED, BATON, now, data=facts)
            return True

    def _take_up(self, session: Session, row: DeploymentRow, now: datetime) -> None:
        row.state = DeploymentState.IN_PROGRESS.value
        row.deadline = now + timedelta(seconds=row.timeout_seconds)
        session.flush()

    def send(self, deployment_id: int, attempt: int, last: str) -> dict[str, Any]:
        """Ask the target once, unless the row says that there is no need. `last` is what the attempt before met."""
        with self.database.note() as session:
            row = _row(session, deployment_id)
            known = self._known(row)
            if known["state"] != "waiting":
                return known | {"words": known["words"] or last}
            if not row.target:
                return {"state": "succeeded", "words": ""}
            target = self.targets.get(row.target)
            if target is None:
                return {"state": "refused", "words": "the policy file no longer has such a target"}
            act = replace(self._act(row), timeout=min(LONGEST_ATTEMPT, max(1.0, known["wait"])))
            row.attempts, row.tried_at = row.attempts + 1, row.tried_at or self.clock()
            name = row.target
        started = time.monotonic()
        answer = target.send(act)
        if self._on_hook is not None:
            self._on_hook(name, answer.state, time.monotonic() - started)
        return self._note_answer(deployment_id, attempt, answer)

    def look(self, deployment_id: int) -> dict[str, Any]:
        """What the row says now; where the target's run is followed, what the target says of it first."""
        with self.database.read() as session:
            row = _row(session, deployment_id)
            known, target, act, run = self._known(row), self.targets.get(row.target), self._act(row), row.run
        if known["state"] not in ("started", "waiting") or not isinstance(target, FollowedTarget):
            return known | {"state": "started"} if known["state"] == "waiting" else known
        progress = target.follow(act, run)
        with self.database.change() as session:
            row = _row(session, deployment_id)
            row.run = progress.run or row.run
            if progress.url and not row.url:
                row.url = progress.url
            if progress.state in ("succeeded", "failed") and not row.report:
                row.report, row.message = progress.state, progress.message
                said = {"state": progress.state, "url": row.url, "message": progress.message}
                who = Actor("target", row.target, row.target)
                record(session, row.promotion, "deployment_reported", who, self.clock(), said, row.id)
            known = self._known(row)
        return known | {"followed": True, "state": "started" if known["state"] == "waiting" else known["state"]}

    def cancel(self, deployment_id: int) -> bool:
        """Have the target's run stopped, where it has one that can be; what it says of that changes nothing here."""
        with self.database.read() as session:
            row = _row(session, deployment_id)
            target, act, run = self.targets.get(row.target), self._act(row), row.run
        if not isinstance(target, FollowedTarget) or not row.attempts:
            return False
        return target.cancel(act, run).state != "refused"

    def _act(self, row: DeploymentRow) -> Act:
        return Act(row.key, requested(_order(row), self.public_url), since=row.tried_at)

    def _known(self, row: DeploymentRow) -> dict[str, Any]:
        left = (row.deadline - self.clock()).total_seconds() if row.deadline else 0.0
        if row.report in ("succeeded", "failed"):
            return {"state": row.report, "words": row.message}
        if row.abort:
            return {"state": "stopped", "words": row.abort}
        if left <= 0:
            return {"state": "silent" if row.sent_at else "unreachable", "words": ""}
        return {"state": "started" if row.sent_at else "waiting", "words": "", "wait": left}

    def _note_answer(self, deployment_id: int, attempt: int, answer: Answer) -> dict[str, Any]:
        with self.database.change() as session:  # a report may arrive at the same moment
            row = _row(session, deployment_id)
            # Written down here, or else a process that dies before the step is remembered would wait for a report that
            # never comes. A refusal is not: the target is asked again, under the same key, and says no again.
            if answer.state in ("succeeded", "started") and row.sent_at is None:
                row.sent_at = self.clock()
            row.url, row.run = answer.url or row.url, answer.run or row.run
            if answer.message and not row.report:
                row.message = answer.message
            if answer.state == "succeeded" and row.report != "failed":
                row.report = "succeeded"
            known = self._known(row) | {"followed": isinstance(self.targets.get(row.target), FollowedTarget)}
        if answer.state in ("succeeded", "refused"):
            return {"state": answer.state, "words": answer.message}
        if answer.state == "started" or known["state"] != "waiting":
            return known | {"words": known["words"] or answer.message}
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempt - 1, 16)) * random.uniform(0.5, 1.0)  # noqa: S311
        pause = max(pause, answer.retry_after or 0.0)
        return {"state": "unclear", "words": answer.message, "wait": min(pause, known["wait"])}

    # -- the target's report -------------------------------------------------------------------------------------

    def report(self, deployment_id: int, state: str, url: str = "", message: str = "", report_id: str = "") -> Reported:
        """Take the target's word for how far it is, and have the workflow look. `report_id` is its own `webhook-id`.

        The same report twice is harmless; one that contradicts how the deployment ended changes nothing, and is told in
        the thread. Raises `BadInput`, `NotFound`, and `Conflict` where it cannot be of this deployment.
        """
        if state not in REPORTS:
            raise BadInput("state", f"state is “{str(state)[:40]}”; write one of {', '.join(REPORTS)}.")
        url, message = url[:LONGEST_TEXT], message[:LONGEST_TEXT]
        now = self.clock()
        with self.database.change() as session:
            row = _row(session, deployment_id)
            if row.report == state and state != "in_progress":
                return Reported(deployment(session, row.id), False, f"D-{row.id} was reported {state} already.")
            if row.state == DeploymentState.PENDING:
                raise Conflict("deployment-not-begun", f"D-{row.id} has not been asked for yet; report it afterwards.")
            self._refuse_strayed(session, report_id, row.id, now)
            if row.state in ENDED or row.report in ("succeeded", "failed"):
                return self._too_late(session, row, state, message, now)
            if not message and row.report in ("", state):
                message = row.message  # another state's words are not this one's
            news = (row.report, row.url, row.message) != (state, url or row.url, message)
            row.report, row.url, row.message = state, url or row.url, message
            row.sent_at = row.sent_at or now
            if news:
                data = {"state": state, "url": row.url, "message": row.message, "report": report_id[:200]}
                who = Actor("target", row.target, row.target)
                record(session, row.promotion, "deployment_reported", who, now, data, row.id)
                self.workflows.wake(session, row.id)
            return Reported(deployment(session, row.id), True)

    def _too_late(self, session: Session, row: DeploymentRow, state: str, message: str, now: datetime) -> Reported:
        """How the deployment ended is settled; whoever carries it is told once if its target says otherwise now."""
        contradicts = state != "in_progress" and row.state != DeploymentState.CANCELLED
        if contradicts and state not in contradictions(session, row.promotion_id, row.id):
            data = {"state": state, "reason": _contradiction(row, state, message)}
            record(session, row.promotion, CONTRADICTED, Actor("target", row.target, row.target), now, data, row.id)
        if row.state in ENDED:
            return Reported(deployment(session, row.id), False, ended_sentence(row), "deployment-ended")
        sentence = f"D-{row.id} was reported {row.report} already; {state} changes nothing."
        return Reported(deployment(session, row.id), False, sentence, "deployment-reported" if contradicts else "")

    def _refuse_strayed(self, session: Session, report_id: str, deployment_id: int, now: datetime) -> None:
        """Raise `Conflict` where the report of this id was of another deployment; without an id nobody can tell."""
        if not report_id:
            return
        other = of_another(session, report_id[:200], deployment_id, now, now - 2 * timedelta(seconds=TOLERANCE))
        if other is not None:
            raise Conflict(
                "other-deployment",
                f"This webhook-id was used for a report of D-{other}; a report of D-{deployment_id} needs its own.",
            )

    # -- the watchdog --------------------------------------------------------------------------------------------

    def recover_stuck(self, now: datetime, grace: timedelta = timedelta(minutes=1)) -> list[int]:
        """Look after deployments whose workflow is gone or broke, so that nothing waits for ever; returns their ids.

        Where there is no workflow one is started; where it has ended without ending its deployment, a person is told.
        """
        open_ids = self._open(now - grace)
        states = self.workflows.states(open_ids)
        stuck = [each for each in open_ids if states.get(each) not in ("PENDING", "ENQUEUED", "DELAYED")]
        stuck = [each for each in stuck if each in self._open(now - grace)]  # some may have ended just now
        for each in stuck:
            if each in states:
                log.error("D-%s: its workflow ended as %s and left it behind", each, states[each])
                self._outcomes.end(each, "broke", f"its workflow ended as {states[each]}")
            else:
                log.error("D-%s has no workflow; starting one", each)
                with self.database.change() as session:
                    rolling.enqueue(session, _row(session, each), self.workflows)
        return stuck

    def _open(self, before: datetime) -> list[int]:
        unended = (DeploymentState.PENDING.value, DeploymentState.IN_PROGRESS.value)
        query = select(DeploymentRow.id).where(DeploymentRow.state.in_(unended), DeploymentRow.requested_at < before)
        with self.database.read() as session:
            return list(session.scalars(query))


def _pause(looks: int) -> float:
    """How long between two looks at a run: quick at first, then as CI servers like it."""
    return float(min(15.0, 1.0 + looks))


def _row(session: Session, deployment_id: int) -> DeploymentRow:
    found = session.get(DeploymentRow, deployment_id, options=WITH_PROMOTION)
    if found is None:
        raise NotFound("unknown-deployment", f"There is no deployment D-{deployment_id}.")
    return found


def _order(row: DeploymentRow) -> Order:
    approvals = [each.actor for each in row.promotion.decisions if each.kind == DecisionKind.APPROVAL]
    return Order(
        key=row.key,
        promotion=f"P-{row.promotion_id}",
        deployment=f"D-{row.id}",
        action=row.action,
        stage=row.promotion.stage,
        model=row.version.model.name,
        bundle=(row.promotion.model.name, row.promotion.version.version) if row.promotion.members else None,
        version=row.version.version,
        digest=row.version.digest,
        previous=row.previous_version.version if row.previous_version else None,
        approved_by=tuple(each.removeprefix("user:") for each in approvals),
        requested_at=row.requested_at,
        expires_at=row.deadline,
        # Deployments of one model and stage run one after the other, so their numbers rise; room for steps of one.
        seq=row.id * 1000 + row.seq,
        traffic=row.traffic,
        keep_previous_until=_kept_until(row),
    )


def _contradiction(row: DeploymentRow, state: str, message: str) -> str:
    """What a target says too late, and what a person may do about it."""
    model, version, stage = row.version.model.name, row.version.version, row.promotion.stage
    said = f": {message.strip().rstrip('.')}." if message.strip() else "."
    if state == "failed":
        return (
            f"{row.target} reports now that D-{row.id} failed{said} It had succeeded, so nothing was changed: see "
            f"whether {version} serves {stage}, and type /rollback {model} {stage} because … if it does not."
        )
    return (
        f"{row.target} reports now that D-{row.id} succeeded{said} It had been given up, so nothing was changed: "
        f"{version} may serve {stage} though it is not the champion; ask for it again, or roll {stage} back."
    )


def _kept_until(row: DeploymentRow) -> datetime | None:
    """Until when at least the version that loses its traffic must be able to take over again, counted from the latest
    moment at which the target may report; None where it loses none, or is what is being taken back.
    """
    promotion, at_all = row.promotion, row.traffic == 100 and row.previous_version_id is not None
    if not at_all or row.action == "rollback" or promotion.kind != Kind.PROMOTION or row.deadline is None:
        return None
    stage = Stage.from_rules(promotion.rules)
    watched = stage.verify.for_ if stage.verify else timedelta(0)
    return row.deadline + watched + (stage.rollout.keep or timedelta(0))
