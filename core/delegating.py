"""Having somebody decide in one's place, for a while."""

from __future__ import annotations

from datetime import datetime, timedelta

from core.domain.errors import BadInput, Conflict, NotAllowed
from core.domain.model import Actor
from core.policy.eligibility import stamp
from core.promotions import Promotions
from core.store import audit, delegations
from core.store.delegations import Delegation

LONGEST = timedelta(days=92)


class Delegating:
    """Shares its collaborators with `Promotions`. The delegate gets nothing that the principal could not do."""

    def __init__(self, promotions: Promotions) -> None:
        self.promotions = promotions
        self.database = promotions.database

    def delegate(self, actor: Actor, delegate_id: str, until: datetime) -> str:
        """`actor` has another person decide for them until then; what to say. Raises `Refused` or `Unavailable`."""
        now = self.promotions.clock()
        if delegate_id == actor.id:
            raise BadInput("delegate", "You decide for yourself already; name somebody else.")
        if until <= now:
            raise BadInput("until", "That is in the past; name a day that is still to come.")
        if until > now + LONGEST:
            raise BadInput("until", f"That is too far away; {LONGEST.days} days at most can be delegated.")
        person = self.promotions.directory.person(delegate_id)
        if person is None or not person.active:
            raise NotAllowed(
                "inactive", "Bots, guests, strangers and deactivated accounts may not decide; name a full member."
            )
        mine = self.promotions.directory.groups_of(actor.id, self.promotions.permissions.members(self._approving()))
        if not mine:
            raise NotAllowed("not-an-approver", "You approve for no stage yourself, so there is nothing to delegate.")
        given = Delegation(actor.id, actor.name, person.id, person.name, now, until)
        with self.database.change() as session:
            delegations.start(session, given)
            data = {"delegate": person.id, "delegate_name": person.name, "until": until.isoformat()}
            audit.append(session, now, actor, "delegated", audit.Subject(), data)
        return (
            f"{person.name} decides for you until {stamp(until)}, as “{person.name} for {actor.name}”, "
            "but on nothing that either of you asked for or trained. /promote delegate off takes it back."
        )

    def take_back(self, actor: Actor) -> str:
        """Nobody decides for `actor` any more. Raises `Conflict` when nobody did."""
        now = self.promotions.clock()
        with self.database.change() as session:
            if not delegations.end(session, actor.id, now):
                raise Conflict("nothing-delegated", "Nobody decides for you now, so there is nothing to take back.")
            audit.append(session, now, actor, "delegation_ended", audit.Subject())
        return "From now on only you decide for yourself; what was decided for you stays."

    def standing(self, actor: Actor) -> list[Delegation]:
        """What concerns this person now, from either side."""
        with self.database.read() as session:
            return delegations.going(session, self.promotions.clock(), actor.id)

    def _approving(self) -> list[str]:
        rules = [stage.approvals for stage in self.promotions.policy.stages if stage.approvals]
        return list(dict.fromkeys(each.group for rule in rules for each in rule.from_))
