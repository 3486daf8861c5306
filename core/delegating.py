"""Having somebody decide in one's place, for a while."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from core.domain.errors import BadInput, Conflict, NotAllowed
from core.domain.model import Actor
from core.policy.eligibility import stamp
from core.policy.schema import Stage
from core.promotions import Promotions
from core.store import audit, boards, delegations
from core.store.delegations import Delegation

LONGEST = timedelta(days=92)
CLOCK = Actor.system("delegations")


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
        asked = self._asked()
        mine = self._groups(actor.id, {*self._approving(), *(group for groups in asked.values() for group in groups)})
        if not mine & {*self._approving()}:
            raise NotAllowed("not-an-approver", "You approve for no stage yourself, so there is nothing to delegate.")
        given = Delegation(actor.id, actor.name, person.id, person.name, now, until)
        with self.database.change() as session:
            delegations.start(session, given)
            data = {"delegate": person.id, "delegate_name": person.name, "until": until.isoformat()}
            audit.append(session, now, actor, "delegated", audit.Subject(), data)
            _show(session, asked, mine, now)
        return (
            f"{person.name} decides for you until {stamp(until)}, as “{person.name} for {actor.name}”, "
            "but on nothing that either of you asked for or trained. /promote delegate off takes it back."
        )

    def take_back(self, actor: Actor) -> str:
        """Nobody decides for `actor` any more. Raises `Conflict` when nobody did."""
        now, asked = self.promotions.clock(), self._asked()
        mine = self._groups(actor.id, {group for groups in asked.values() for group in groups})
        with self.database.change() as session:
            if not delegations.end(session, actor.id, now):
                raise Conflict("nothing-delegated", "Nobody decides for you now, so there is nothing to take back.")
            audit.append(session, now, actor, "delegation_ended", audit.Subject())
            _show(session, asked, mine, now)
        return "From now on only you decide for yourself; what was decided for you stays."

    def standing(self, actor: Actor) -> list[Delegation]:
        """What concerns this person now, from either side."""
        with self.database.read() as session:
            return delegations.going(session, self.promotions.clock(), actor.id)

    def end_due(self, now: datetime) -> int:
        """End what is over, and have the cards that name a delegate shown without them; how many ended.

        A sweep: whoever is first ends it. Raises `Unavailable`; the next sweep tries again.
        """
        with self.database.read() as session:
            due = delegations.over(session, now)
        ended = 0
        for delegation_id, principal, name in due:
            asked = self._asked()
            groups = self._groups(principal, {group for groups in asked.values() for group in groups})
            with self.database.change() as session:
                if delegations.close(session, delegation_id):
                    data = {"for": f"user:{principal}", "for_name": name}
                    audit.append(session, now, CLOCK, "delegation_ended", audit.Subject(), data)
                    _show(session, asked, groups, now)
                    ended += 1
        return ended

    def _groups(self, who: str, names: Iterable[str]) -> frozenset[str]:
        return self.promotions.directory.groups_of(who, self.promotions.permissions.members(sorted(names)))

    def _asked(self) -> dict[tuple[str, str], frozenset[str]]:
        """Which groups are asked by what awaits approval, by (stage, policy version)."""
        with self.database.read() as session:
            in_use = boards.rules_in_use(session)
        found = {}
        for stage, version, rules in in_use:
            rule = Stage.from_rules(rules).approvals
            found[stage, version] = frozenset(each.group for each in rule.from_) if rule else frozenset()
        return found

    def _approving(self) -> list[str]:
        rules = [stage.approvals for stage in self.promotions.policy.stages if stage.approvals]
        return list(dict.fromkeys(each.group for rule in rules for each in rule.from_))


def _show(
    session: Session, asked: Mapping[tuple[str, str], frozenset[str]], groups: frozenset[str], now: datetime
) -> None:
    """Have the cards that await somebody of these groups say who decides for them."""
    rules = [key for key, names in asked.items() if names & groups]
    if rules:
        boards.awaited_cards_stale(session, rules, now)
