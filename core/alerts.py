"""From an alert to the last good version: at once, after one click, or only told, as the stage's policy says.

Alerts of one version in one stage collapse into one open proposal, however often and by whomever they are sent; when all of
them are resolved the proposal is withdrawn. An alert may take a version out of service, and never bring one in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import members
from core.domain.errors import Conflict, NotFound, Refused
from core.domain.model import Actor, Kind, State
from core.domain.views import PromotionView
from core.policy.alerting import Alert
from core.policy.eligibility import stamp
from core.rollbacks import Rollbacks
from core.store import audit, messages, registry
from core.store import promotions as store
from core.store.alert_tables import AlertRow, ProposalRow
from core.store.tables import PromotionRow, RegisteredModel
from core.sweeps import one_by_one

BATON = Actor.system("alerts")
#: As many alerts are taken in by one transaction.
AT_ONCE = 20
OVERTAKEN = "{version} serves {stage} no longer, so there is nothing to roll back for."
#: Older beginnings were seen to by somebody, or by nobody; nothing is undone by itself for them.
STALE = timedelta(minutes=20)


@dataclass(frozen=True)
class Proposal:
    """What alerts led to, for showing. `target` is where a rollback would go now; "" with `said` where there is none."""

    id: int
    model: str
    stage: str
    version: str
    mode: str
    state: str
    said: str
    alerts: tuple[Alert, ...]
    more: int
    opened_at: datetime
    target: str = ""
    aborts: str = ""
    promotion_id: int | None = None
    closed_by: Actor | None = None


class Alerts:
    """Hears alerts, and carries out what people answer. Shares its collaborators with `Rollbacks`."""

    def __init__(self, rollbacks: Rollbacks) -> None:
        self.rollbacks = rollbacks
        self.promotions = rollbacks.promotions
        self.policy = rollbacks.policy
        self.database = rollbacks.database

    def heard(self, source: str, alerts: Sequence[Alert], now: datetime) -> int:
        """Take alerts in; how many were news. Acting on them is `act`'s, which a clock calls too.

        A storm comes as one body. It is taken in by parts, so that whoever clicks meanwhile need not wait for all of it;
        when it breaks off, its sender sends it again, and what was heard is no news then.
        """
        parts = (alerts[start : start + AT_ONCE] for start in range(0, len(alerts), AT_ONCE))
        return sum(self._hear(source, part, now) for part in parts)

    def _hear(self, source: str, alerts: Sequence[Alert], now: datetime) -> int:
        news = 0
        with self.database.change() as session:
            touched: set[int] = set()
            tied = cache(partial(self._tied, session))  # a storm is about few models
            for alert in alerts:
                row = self._keep(session, source, alert, now)
                if row is None:
                    continue
                news += 1
                proposal = self._proposal(session, row, alert, tied, now)
                if proposal is not None:
                    touched.add(proposal.id)
            for proposal_id in touched:
                self._settle(session, session.get_one(ProposalRow, proposal_id), now)
        return news

    def act(self, now: datetime) -> list[int]:
        """Roll back what the policy has rolled back by itself, and withdraw what was overtaken; ids of what was due."""
        with self.database.read() as session:
            standing = list(
                session.scalars(select(ProposalRow).where(ProposalRow.state == "open").order_by(ProposalRow.id))
            )
            overtaken = [row.id for row in standing if self._overtaken(session, row)]
        due = [row.id for row in standing if row.mode == "auto" and not row.said and row.id not in overtaken]
        one_by_one(overtaken, lambda each: self._withdraw(each, now), "proposal %s could not be withdrawn")
        one_by_one(due, lambda each: self._act(each, now), "proposal %s could not be acted on")
        return due

    def _act(self, proposal_id: int, now: datetime) -> None:
        with self.database.read() as session:
            began = self._began(session, session.get_one(ProposalRow, proposal_id))
        if now - began > STALE:
            self._say(proposal_id, _stale(began), now)
            return
        try:
            self._roll_back(BATON, proposal_id, now)
        except Refused as no:
            self._say(proposal_id, f"It could not be rolled back by itself: {no.sentence}", now)

    def accept(self, actor: Actor, proposal_id: int) -> PromotionView:
        """Roll back as proposed. Raises `Refused`."""
        with self.database.read() as session:
            stage = self._open(session, proposal_id).stage
        self.promotions.permissions.refuse_rollback(actor, stage)
        return self._roll_back(actor, proposal_id, self.promotions.clock())

    def dismiss(self, actor: Actor, proposal_id: int) -> None:
        """Leave everything as it is. Raises `Refused`."""
        with self.database.read() as session:
            stage = self._open(session, proposal_id).stage
        self.promotions.permissions.refuse_rollback(actor, stage)
        now = self.promotions.clock()
        with self.database.change() as session:
            self._close(session, self._open(session, proposal_id), "dismissed", actor, now)

    def show(self, proposal_id: int) -> Proposal:
        """A proposal as it stands now. Raises `NotFound`."""
        with self.database.read() as session:
            row = session.get(ProposalRow, proposal_id)
            if row is None:
                raise NotFound("unknown-proposal", "There is no such alert any more.")
            kept = session.scalars(select(AlertRow).where(AlertRow.proposal_id == row.id).order_by(AlertRow.id)).all()
            no_more = self._overtaken(session, row) or self._hidden(session, row) if row.state == "open" else ""
        target, aborts, said = "", "", no_more or row.said
        if row.state == "open" and not no_more:
            try:
                plan = self.rollbacks.plan(BATON, row.model, row.stage, None)
                target, aborts = plan.target, plan.aborts
            except Refused as no:
                said = said or no.sentence
        alerts = [
            Alert(a.fingerprint, a.starts_at, a.ends_at is None, a.name, a.summary, a.url, dict(a.labels)) for a in kept
        ]
        closed = Actor.parse(row.closed_by, row.closed_by_name) if row.closed_by else None
        return Proposal(
            row.id, row.model, row.stage, row.version, row.mode, row.state, said, tuple(alerts[:10]), max(0, len(alerts) - 10),
            row.opened_at, target, aborts, row.promotion_id, closed,
        )  # fmt: skip

    # -- taking in -----------------------------------------------------------------------------------------------

    def _keep(self, session: Session, source: str, alert: Alert, now: datetime) -> AlertRow | None:
        """The alert's row if this is news of it; None for a repetition."""
        row = session.scalar(
            select(AlertRow).where(
                AlertRow.source == source,
                AlertRow.fingerprint == alert.fingerprint,
                AlertRow.starts_at == alert.starts_at,
            )
        )
        if row is None:
            row = AlertRow(
                source=source, fingerprint=alert.fingerprint, starts_at=alert.starts_at, name=alert.name,
                summary=alert.summary, url=alert.url, labels=alert.labels, received_at=now,
                ends_at=None if alert.firing else now,
            )  # fmt: skip
            session.add(row)
            session.flush()
            return row if alert.firing else None
        if row.ends_at is None and not alert.firing:
            row.ends_at = now
            session.flush()
            return row
        return None

    def _proposal(
        self, session: Session, row: AlertRow, alert: Alert, tied: Callable[..., tuple[str, str] | None], now: datetime
    ) -> ProposalRow | None:
        """The proposal that an alert belongs to; None where nothing in Baton is meant by it."""
        if not alert.firing:
            return session.get(ProposalRow, row.proposal_id) if row.proposal_id is not None else None
        found_there = tied(alert.model, alert.stage, alert.version, alert.canary)
        if found_there is None:
            return None
        stage, version = found_there
        found = session.scalar(
            select(ProposalRow).where(
                ProposalRow.model == alert.model,
                ProposalRow.stage == stage,
                ProposalRow.version == version,
                ProposalRow.state == "open",
            )
        )
        if found is None:
            found = self._propose(session, alert, stage, version, now)
        found.said = ""  # why it could not be rolled back for the others may not hold for this one
        row.proposal_id = found.id
        session.flush()
        return found

    def _propose(self, session: Session, alert: Alert, stage: str, version: str, now: datetime) -> ProposalRow:
        policy = self.policy.stage(stage)
        mode = (policy.rollback.on_alert if policy else None) or "notify"
        if not version:
            mode = "notify"  # it names no version, so nothing may be undone for it
        row = ProposalRow(model=alert.model, stage=stage, version=version, mode=mode, opened_at=now)
        session.add(row)
        session.flush()
        channel = self.policy.channel(alert.model, stage)
        messages.want_alert(session, row.id, channel, now)
        subject = audit.Subject(alert.model, version, stage)
        data = {"alert": alert.name, "summary": alert.summary, "mode": mode}
        audit.append(session, now, BATON, "alert_heard", subject, data)
        return row

    def _tied(self, session: Session, name: str, at: str, version: str, canary: bool) -> tuple[str, str] | None:
        """(stage, version) that an alert is about: what serves or is being rolled out; version "" where it names none."""
        model = registry.find_model(session, name) if name else None
        if model is None:
            return None
        names = [at] if at in self.policy.stage_names else list(reversed(self.policy.stage_names))
        for stage in names:
            serving = store.champion(session, model.id, stage)
            rolling = self._rolling(session, model, stage)
            there = [each for each in (rolling, serving.version.version if serving else None) if each is not None]
            if not there:
                continue
            if canary and rolling is not None and version in ("", rolling):
                return stage, rolling
            if version in there:
                return stage, version
            if not version and not canary:
                return stage, ""
        return None

    def _rolling(self, session: Session, model: RegisteredModel, stage: str) -> str | None:
        """The version that is rolled out there now, alone or as a member of its bundle."""
        active = self._moving(session, model, stage)
        return members.coming(active, model.name) if active is not None else None

    def _moving(self, session: Session, model: RegisteredModel, stage: str) -> PromotionRow | None:
        """The promotion, or that of its bundle, that is changing what serves there now."""
        active = store.active(session, model.id, stage) or members.bundle_moving(session, model.name, stage)
        return active if active is not None and State(active.state) in (State.DEPLOYING, State.VERIFYING) else None

    # -- settling ------------------------------------------------------------------------------------------------

    def _settle(self, session: Session, row: ProposalRow, now: datetime) -> None:
        """Withdraw a proposal of which nothing fires any more; either way it is shown anew."""
        firing = session.scalar(
            select(AlertRow.id).where(AlertRow.proposal_id == row.id, AlertRow.ends_at.is_(None)).limit(1)
        )
        if firing is None and row.state == "open":
            row.state, row.closed_at, row.said = "withdrawn", now, ""
            subject = audit.Subject(row.model, row.version, row.stage)
            audit.append(session, now, BATON, "alert_resolved", subject)
            session.flush()
        messages.alert_stale(session, row.id, now)

    def _roll_back(self, actor: Actor, proposal_id: int, now: datetime) -> PromotionView:
        """The rollback and the answer commit together: nothing is taken back twice for one proposal. Raises `Refused`."""
        with self.database.change() as session:
            row = self._open(session, proposal_id)
            no_more = self._overtaken(session, row) or self._hidden(session, row)
            if no_more:
                raise Conflict("overtaken", no_more)
            view = self.rollbacks.carry_out(session, actor, row.model, row.stage, None, self._why(session, row), now)
            row.promotion_id = view.id
            self._close(session, row, "accepted", actor, now)
            return view

    def _overtaken(self, session: Session, row: ProposalRow) -> str:
        """Why there is nothing to roll back for any more; "" while the version serves, or is on its way."""
        model = registry.find_model(session, row.model)
        if not row.version or model is None:
            return ""
        serving = store.champion(session, model.id, row.stage)
        there = {self._rolling(session, model, row.stage), serving.version.version if serving else None}
        return "" if row.version in there else OVERTAKEN.format(version=row.version, stage=row.stage)

    def _hidden(self, session: Session, row: ProposalRow) -> str:
        """Why a rollback would bring the very version back that fires: another one is on its way in its place."""
        active = self._moving(session, registry.model_row(session, row.model), row.stage)
        if not row.version or active is None or active.kind == Kind.ROLLBACK:
            return ""
        coming = members.coming(active, row.model)
        if coming == row.version:
            return ""
        return (
            f"P-{active.id} has {coming} on its way to {row.stage}, and to stop it would bring {row.version} back; "
            "let it end first."
        )

    def _why(self, session: Session, row: ProposalRow) -> str:
        found = session.scalars(
            select(AlertRow).where(AlertRow.proposal_id == row.id).order_by(AlertRow.id).limit(3)
        ).all()
        return "alert " + "; ".join(f"{each.name}: {each.summary}" for each in found)

    def _began(self, session: Session, row: ProposalRow) -> datetime:
        """When the newest of its alerts that still fire began; a sender whose clock is ahead makes nothing younger."""
        firing = select(AlertRow.starts_at).where(AlertRow.proposal_id == row.id, AlertRow.ends_at.is_(None))
        return min(row.opened_at, max(session.scalars(firing), default=row.opened_at))

    def _open(self, session: Session, proposal_id: int) -> ProposalRow:
        """The proposal. Raises `NotFound`, and `Conflict` once it was settled."""
        row = session.get(ProposalRow, proposal_id)
        if row is None:
            raise NotFound("unknown-proposal", "There is no such alert any more.")
        if row.state != "open":
            said = {
                "accepted": f"It was rolled back already (P-{row.promotion_id}).",
                "dismissed": f"{row.closed_by_name or 'Somebody'} decided to leave it as it is.",
                "withdrawn": row.said or "The alerts are resolved, so there is nothing to roll back for.",
            }[row.state]
            raise Conflict("proposal-closed", said)
        return row

    def _close(self, session: Session, row: ProposalRow, state: str, actor: Actor, now: datetime) -> None:
        row.state, row.closed_at, row.closed_by, row.closed_by_name = state, now, str(actor), actor.name
        subject = audit.Subject(row.model, row.version, row.stage, row.promotion_id)
        audit.append(session, now, actor, f"alert_{state}", subject)
        session.flush()
        messages.alert_stale(session, row.id, now)

    def _withdraw(self, proposal_id: int, now: datetime) -> None:
        """Something else took the version out of service before anybody answered."""
        with self.database.change() as session:
            row = session.get_one(ProposalRow, proposal_id)
            why = self._overtaken(session, row)
            if row.state == "open" and why:
                row.state, row.closed_at, row.said = "withdrawn", now, why
                subject = audit.Subject(row.model, row.version, row.stage)
                audit.append(session, now, BATON, "alert_overtaken", subject, {"reason": why})
                session.flush()
                messages.alert_stale(session, row.id, now)

    def _say(self, proposal_id: int, said: str, now: datetime) -> None:
        with self.database.change() as session:
            session.get_one(ProposalRow, proposal_id).said = said
            session.flush()
            messages.alert_stale(session, proposal_id, now)


def _stale(began: datetime) -> str:
    when = stamp(began)
    return f"This began at {when}, too long ago to be rolled back by itself: a person must look, and press the button or leave it."
