"""The way round a channel that cannot be reached: its owner is told once, and each card goes to its people directly."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from bot.slack import refusals
from bot.slack.awaited import awaited_by
from bot.slack.blocks.trouble import Report
from bot.slack.identity import SlackDirectory
from core.domain.model import State
from core.domain.views import PromotionView
from core.policy.schema import Policy
from core.ports import Clock
from core.store import promotions, unreachable
from core.store.database import Database
from core.store.messages import went_stale
from core.store.writing import Claim

log = logging.getLogger(__name__)

#: What first met a channel that is out of reach, where it was about no promotion.
MET_BY = {
    "digest": "the digest",
    "alert": "an alert",
    "drift": "what was moved in a registry",
    "review": "a champion that is to be re-certified",
}
#: How many people one report goes to, where the owner is a group.
TOLD = 10


class Detour:
    """Level-triggered like everything said in Slack: taking it twice tells nobody twice."""

    def __init__(self, database: Database, directory: SlackDirectory, policy: Policy, clock: Clock) -> None:
        self.database = database
        self.directory = directory
        self.policy = policy
        self.clock = clock

    def take(self, claimed: Claim, code: str) -> None:
        """A card, a digest or other news cannot be written where it belongs, for `code`."""
        if claimed.promotion_id is None:
            met_by = MET_BY.get(claimed.key.partition(":")[0], "a message")
            self._report(claimed.channel, code, "slack.channel", met_by, self.policy.slack.owner, "")
            return
        with self.database.read() as session:
            view = promotions.load(session, claimed.promotion_id)
        channel = self.policy.channel(view.model, view.stage)
        if channel != claimed.channel:
            self._move(claimed, channel)
            return
        self._copy(view)
        owner = self.policy.override(view.model).owner or self.policy.slack.owner
        requester = view.requester.id if view.requester.kind == "user" else ""
        self._report(channel, code, self._key(view), view.ref, owner, requester)

    def leave(self, claimed: Claim, opened: bool) -> list[int]:
        """A message reached its channel, which had been out of reach; whose messages are to be written at once.

        `opened`: it is the first one that did.
        """
        now = self.clock()
        with self.database.note() as session:
            stale = unreachable.reopened(session, claimed.channel, bool(claimed.ts), now) if opened else []
            if claimed.kind == "card":
                unreachable.copies_stale(session, claimed.subject, now)
                stale.append(claimed.subject)
            if not unreachable.waiting(session, claimed.channel, tuple(refusals.UNREACHABLE)):
                settled = unreachable.settle(session, claimed.channel, now)
                if settled:
                    log.warning("%s can be reached again", claimed.channel)
                stale += settled
        return stale

    def _copy(self, view: PromotionView) -> None:
        people = self._people(view)
        with self.database.read() as session:
            missing = unreachable.missing_copies(session, view.id, people)
        if missing:
            with self.database.change() as session:
                unreachable.want_copies(session, view.id, missing, self.clock())

    def _people(self, view: PromotionView) -> list[str]:
        """Whoever may still approve, and whoever asked."""
        decided = {decision.actor.id for decision in view.decisions}
        waits = view.state is State.AWAITING_APPROVAL
        awaited = awaited_by(self.database, self.directory, self.policy, view, self.clock()) if waits else None
        groups = awaited.groups if awaited else {}
        people = [who for members in groups.values() for who in members if who not in decided]
        if view.active and view.requester.kind == "user":
            people.append(view.requester.id)
        return list(dict.fromkeys(people))

    def _move(self, claimed: Claim, channel: str) -> None:
        log.warning("messages: %s moves from %s to %s, as the policy has it now", claimed.key, claimed.channel, channel)
        now = self.clock()
        with self.database.change() as session:
            unreachable.move_card(session, claimed.promotion_id or 0, channel, now)
            for subject in unreachable.settle(session, claimed.channel, now, moved_to=channel):
                went_stale(session, subject)

    def _report(self, channel: str, code: str, key: str, ref: str, owner: str | None, requester: str) -> None:
        with self.database.read() as session:
            if unreachable.reported(session, channel):
                return
        people = [who.id for who in self.directory.members([owner])][:TOLD] if owner else []
        people = people or ([requester] if requester else [])
        log.error(
            "%s cannot be reached (%s); told: %s", channel, code, ", ".join(people) or "nobody, no owner is named"
        )
        if not people:
            return
        with self.database.change() as session:
            if not unreachable.reported(session, channel):
                unreachable.report(session, channel, people, {"code": code, "key": key, "ref": ref}, self.clock())

    def _key(self, view: PromotionView) -> str:
        """Where the policy names the channel, for whoever is to correct it."""
        if self.policy.override(view.model).channel:
            return "models.….channel"
        stage = self.policy.stage(view.stage)
        return f"stages.{view.stage}.channel" if stage is not None and stage.channel else "slack.channel"


def read_report(body: dict[str, Any]) -> Report:
    """A report as its message keeps it."""
    settled = body.get("settled")
    return Report(
        channel=body["channel"],
        code=body["code"],
        key=body["key"],
        ref=body["ref"],
        since=datetime.fromisoformat(body["since"]),
        settled=datetime.fromisoformat(settled) if settled else None,
        moved_to=body.get("moved_to") or "",
    )
