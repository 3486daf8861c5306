"""From an alert to the last good version: at once, after one click, or only told, as the stage's policy says.

Alerts of one model and stage collapse into one open proposal, however often and by whomever they are sent; when all of
them are resolved the proposal is withdrawn. An alert may take a version out of service, and never bring one in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import members
from core.domain.errors import Conflict, NotFound, Refused
from core.domain.model import Actor, State
from core.domain.views import PromotionView
from core.policy.alerting import Alert
from core.rollbacks import Rollbacks
from core.store import audit, messages, registry
from core.store import promotions as store
from core.store.alert_tables import AlertRow, ProposalRow
from core.store.tables import RegisteredModel

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
        """Take alerts in; how many were news. Acting on them is `act`'s, which a clock calls too."""
        news = 0
        with self.database.change() as session:
            touched: set[int] = set()
            for alert in alerts:
                row = self._keep(session, source, alert, now)
                if row is None:
                    continue
                news += 1
                proposal = self._proposal(session, row, alert, now)
                if proposal is not None:
                    touched.add(proposal.id)
            for proposal_id in touched:
                self._settle(session, session.get_one(ProposalRow, proposal_id), now)
        return news

    def act(self, now: datetime) -> list[int]:
        """Roll back what the policy has rolled back by itself; ids of the proposals acted on."""
        with self.database.read() as session:
            query = select(ProposalRow.id).where(ProposalRow.state == "open", ProposalRow.mode == "auto")
            due = list(session.scalars(query.where(ProposalRow.said == "").order_by(ProposalRow.id)))
        for proposal_id in due:
            with self.database.read() as session:
                row = session.get_one(ProposalRow, proposal_id)
                why = self._why(session, row)
            if now - row.opened_at > STALE:
                self._say(
                    proposal_id, "These alerts began too long ago to roll back by itself; a person must decide.", now
                )
                continue
            try:
                view = self.rollbacks.request(Actor.system("alerts"), row.model, row.stage, None, why)
            except Refused as no:
                self._say(proposal_id, f"It could not be rolled back by itself: {no.sentence}", now)
                continue
            self._close(proposal_id, "accepted", Actor.system("alerts"), now, view.id)
        return due

    def accept(self, actor: Actor, proposal_id: int) -> PromotionView:
        """Roll back as proposed. Raises `Refused`."""
        row = self._open(proposal_id)
        with self.database.read() as session:
            why = self._why(session, row)
        view = self.rollbacks.request(actor, row.model, row.stage, None, why)
        self._close(proposal_id, "accepted", actor, self.promotions.clock(), view.id)
        return view

    def dismiss(self, actor: Actor, proposal_id: int) -> None:
        """Leave everything as it is. Raises `Refused`."""
        row = self._open(proposal_id)
        self.promotions.permissions.refuse_rollback(actor, row.stage)
        self._close(proposal_id, "dismissed", actor, self.promotions.clock(), None)

    def show(self, proposal_id: int) -> Proposal:
        """A proposal as it stands now. Raises `NotFound`."""
        with self.database.read() as session:
            row = session.get(ProposalRow, proposal_id)
            if row is None:
                raise NotFound("unknown-proposal", "There is no such alert any more.")
            kept = session.scalars(select(AlertRow).where(AlertRow.proposal_id == row.id).order_by(AlertRow.id)).all()
        target, aborts, said = "", "", row.said
        if row.state == "open":
            try:
                plan = self.rollbacks.plan(Actor.system("alerts"), row.model, row.stage, None)
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

    def _proposal(self, session: Session, row: AlertRow, alert: Alert, now: datetime) -> ProposalRow | None:
        """The proposal that an alert belongs to; None where nothing in Baton is meant by it."""
        if not alert.firing:
            return session.get(ProposalRow, row.proposal_id) if row.proposal_id is not None else None
        tied = self._tied(session, alert)
        if tied is None:
            return None
        stage, version = tied
        found = session.scalar(
            select(ProposalRow).where(
                ProposalRow.model == alert.model, ProposalRow.stage == stage, ProposalRow.state == "open"
            )
        )
        if found is None:
            found = self._propose(session, alert, stage, version, now)
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
        audit.append(session, now, Actor.system("alerts"), "alert_heard", subject, data)
        return row

    def _tied(self, session: Session, alert: Alert) -> tuple[str, str] | None:
        """(stage, version) that an alert is about: what serves or is being rolled out; version "" where it names none."""
        model = registry.find_model(session, alert.model) if alert.model else None
        if model is None:
            return None
        names = [alert.stage] if alert.stage in self.policy.stage_names else list(reversed(self.policy.stage_names))
        for stage in names:
            serving = store.champion(session, model.id, stage)
            rolling = self._rolling(session, model, stage)
            there = [each for each in (rolling, serving.version.version if serving else None) if each is not None]
            if not there:
                continue
            if alert.canary and rolling is not None and alert.version in ("", rolling):
                return stage, rolling
            if alert.version in there:
                return stage, alert.version
            if not alert.version and not alert.canary:
                return stage, ""
        return None

    def _rolling(self, session: Session, model: RegisteredModel, stage: str) -> str | None:
        """The version that is rolled out there now, alone or as a member of its bundle."""
        active = store.active(session, model.id, stage) or members.bundle_moving(session, model.name, stage)
        if active is None or State(active.state) not in (State.DEPLOYING, State.VERIFYING):
            return None
        return members.coming(active, model.name)

    # -- settling ------------------------------------------------------------------------------------------------

    def _settle(self, session: Session, row: ProposalRow, now: datetime) -> None:
        """Withdraw a proposal of which nothing fires any more; either way it is shown anew."""
        firing = session.scalar(
            select(AlertRow.id).where(AlertRow.proposal_id == row.id, AlertRow.ends_at.is_(None)).limit(1)
        )
        if firing is None and row.state == "open":
            row.state, row.closed_at = "withdrawn", now
            subject = audit.Subject(row.model, row.version, row.stage)
            audit.append(session, now, Actor.system("alerts"), "alert_resolved", subject)
            session.flush()
        messages.alert_stale(session, row.id, now)

    def _why(self, session: Session, row: ProposalRow) -> str:
        found = session.scalars(
            select(AlertRow).where(AlertRow.proposal_id == row.id).order_by(AlertRow.id).limit(3)
        ).all()
        return "alert " + "; ".join(f"{each.name}: {each.summary}" for each in found)

    def _open(self, proposal_id: int) -> ProposalRow:
        with self.database.read() as session:
            row = session.get(ProposalRow, proposal_id)
        if row is None:
            raise NotFound("unknown-proposal", "There is no such alert any more.")
        if row.state != "open":
            said = {
                "accepted": f"It was rolled back already (P-{row.promotion_id}).",
                "dismissed": f"{row.closed_by_name or 'Somebody'} decided to leave it as it is.",
                "withdrawn": "The alerts are resolved, so there is nothing to roll back for.",
            }[row.state]
            raise Conflict("proposal-closed", said)
        return row

    def _close(self, proposal_id: int, state: str, actor: Actor, now: datetime, promotion_id: int | None) -> None:
        with self.database.change() as session:
            row = session.get_one(ProposalRow, proposal_id, with_for_update=True)
            if row.state != "open":
                return
            row.state, row.closed_at, row.promotion_id = state, now, promotion_id
            row.closed_by, row.closed_by_name = str(actor), actor.name
            subject = audit.Subject(row.model, row.version, row.stage, promotion_id)
            audit.append(session, now, actor, f"alert_{state}", subject)
            messages.alert_stale(session, row.id, now)

    def _say(self, proposal_id: int, said: str, now: datetime) -> None:
        with self.database.change() as session:
            session.get_one(ProposalRow, proposal_id).said = said
            session.flush()
            messages.alert_stale(session, proposal_id, now)
