"""Telling a registry what Baton decided. Every row is carried out outside of transactions, again until it is settled.

Nothing that somebody else moved meanwhile is overwritten: it becomes a drift, for a person to look at.
"""

from __future__ import annotations

from datetime import datetime

from core.domain.errors import Refused, Unavailable
from core.domain.model import Actor, DecisionKind, Kind
from core.domain.views import PromotionView
from core.drifting import Drifts
from core.ports import Place, Registry, WriteBack
from core.store import drifts, promotions, write_backs
from core.store.audit import Subject
from core.store.registries import pause
from core.store.registry_tables import WriteBackRow
from core.store.transition import tell

BATON = Actor.system("registries")


class WriteBacks:
    """Carries out what `core.store.write_backs` wants. The caller holds the registry, so one is written at a time."""

    def __init__(self, drifts: Drifts, public_url: str) -> None:
        self.drifts = drifts
        self.database = drifts.database
        self.public_url = public_url

    def carry_out(self, registry: Registry, row: WriteBackRow, now: datetime) -> None:
        """Tell the registry of one decision. Raises `Unavailable`, and tries again later, when it did not answer."""
        with self.database.read() as session:
            overtaken = write_backs.overtaken(session, row)
        if self.drifts.mode_of(row.model) is None:
            self._settle(row.id, "nothing", "The policy has nothing written back for this model.", now)
            return
        if overtaken and row.drift_id is not None:
            self._settle(row.id, "nothing", "Another version became the champion meanwhile.", now)
            return
        moves = row.decision in write_backs.MOVES and not overtaken
        # An approval status is also what says no; of aliases and stages a rejection moves none.
        told = moves or (self.drifts.mode_of(row.model) == "status" and row.decision not in write_backs.MOVES)
        place = self.drifts.place(registry, row.model, row.stage) if told else None
        found = who = ""
        try:
            written = registry.write_back(self._order(registry, row, place))
            if written.state == "moved" and place is not None:
                found = registry.current(place.model, place.mode, place.target) or ""
                who = registry.moved_by(place, found, row.version)
        except Unavailable as away:
            self._put_off(row, away.sentence, now)
            raise
        except Refused as no:
            self._settle(row.id, "refused", no.sentence, now)
            return
        words = registry.named(place.mode, place.target) if place else ""
        self._settle(row.id, written.state, written.sentence, now, words, found, who)

    def _order(self, registry: Registry, row: WriteBackRow, place: Place | None) -> WriteBack:
        with self.database.read() as session:
            view = promotions.load(session, row.promotion_id)
            drift = drifts.row(session, row.drift_id) if row.drift_id else None
            previous = drift.found or None if drift else write_backs.told_last(session, row)
            before = write_backs.served_before(session, row.promotion_id, row.model)
        if place is not None and previous is None and drift is None:
            # It was never told: what stands there is ours only if it is what Baton's own history says.
            there = registry.current(place.model, place.mode, place.target)
            previous = there if there == before else None
        return WriteBack(
            model=row.model,
            version=row.version,
            mode=place.mode if place else "tags-only",
            target=place.target if place else "",
            previous=previous if place else None,
            request=view.ref,
            decision=row.decision,
            decided_by=_decided_by(view),
            decided_at=view.ended_at.isoformat(timespec="seconds") if view.ended_at else "",
            deployment=view.deployments[-1].ref if view.deployments else "",
            report_url=f"{self.public_url}/api/v1/promotions/{view.ref}",
            undoes=view.kind is Kind.ROLLBACK or drift is not None,
        )

    def _put_off(self, row: WriteBackRow, sentence: str, now: datetime) -> None:
        with self.database.note() as session:
            kept = session.get_one(WriteBackRow, row.id)
            kept.attempts += 1
            kept.last_error, kept.due_at = sentence, now + pause(kept.attempts)

    def _settle(
        self, row_id: int, state: str, sentence: str, now: datetime, words: str = "", found: str = "", who: str = ""
    ) -> None:
        """What came of it, in the promotion's thread and in the audit; once, whoever comes twice.

        `words` name what was to move, `found` is what holds its place, and `who` says who had moved it.
        """
        with self.database.change() as session:
            row = session.get_one(WriteBackRow, row_id, with_for_update=True)
            if row.state != "pending":
                return
            row.state, row.said, row.done_at, row.last_error = state, sentence, now, ""
            row.attempts += 1
            session.flush()
            if row.drift_id is not None:
                self.drifts.put_back(session, row, found, now)
                return
            if state != "nothing":
                subject = Subject(row.model, row.version, row.stage, row.promotion_id)
                tell(session, subject, _EVENTS[state], BATON, now, {"registry": row.origin, "reason": sentence})
            if state == "moved" and words:
                self.drifts.noticed(session, row, words, found, who, now)


_EVENTS = {
    "written": "written_back",
    "unchanged": "written_back",
    "moved": "write_back_stopped",
    "refused": "write_back_refused",
}


def _decided_by(view: PromotionView) -> str:
    """Those whose word it was: who approved or rejected, else who asked."""
    approved = [each.named for each in view.decisions if each.kind is DecisionKind.APPROVAL]
    rejected = [each.named for each in view.decisions if each.kind is DecisionKind.REJECTION]
    return ", ".join(rejected or approved or [view.requester.name or view.requester.id])
