"""Who may do what beyond approving: roll back, stop everything, veto, break the glass. The policy names groups."""

from __future__ import annotations

from core.domain.errors import NotAllowed
from core.domain.model import Actor
from core.policy.approvals import either
from core.policy.schema import Policy
from core.ports import Directory

#: Where the policy says who may, by what is refused.
_KEYS = {
    "may-not-roll-back": "rollback.allowed",
    "may-not-stop": "stop.allowed",
    "may-not-break-glass": "break_glass.allowed",
    "may-not-certify": "approvals.from",
}


class Permissions:
    """Reads groups at the moment of the act. Every question raises `Unavailable` when Slack cannot say who is who.

    API tokens act where their scope lets them; only people are asked for here.
    """

    def __init__(self, policy: Policy, directory: Directory) -> None:
        self.policy = policy
        self.directory = directory

    def members(self, groups: list[str]) -> dict[str, list[str]]:
        """What the policy says of some groups: name -> members, as the directory wants it."""
        return {name: list(self.policy.groups.get(name, [])) for name in groups}

    def rollback_group_names(self, stage_name: str) -> list[str]:
        """The groups that may roll `stage_name` back; where the policy names none, those who may approve."""
        stage = self.policy.stage(stage_name)
        if stage is None:
            return []
        if stage.rollback and stage.rollback.allowed:
            return list(stage.rollback.allowed)
        return [rule.group for rule in stage.approvals.from_] if stage.approvals else []

    def holds(self, actor: Actor, groups: list[str]) -> bool:
        """Whether one of the groups holds this person."""
        return bool(self.directory.groups_of(actor.id, self.members(groups)))

    def refuse_rollback(self, actor: Actor, stage: str) -> None:
        """Raises `NotAllowed` for a person who may not roll `stage` back."""
        self._refuse(actor, self.rollback_group_names(stage), f"roll back {stage}", "may-not-roll-back")

    def refuse_stop(self, actor: Actor) -> None:
        """Raises `NotAllowed` for a person who may not stop and resume promotions."""
        named = list(self.policy.stop.allowed) if self.policy.stop else self._anywhere()
        self._refuse(actor, named, "stop or resume promotions", "may-not-stop")

    def refuse_veto(self, actor: Actor, stages: list[str]) -> None:
        """Raises `NotAllowed` for a person who may neither approve for nor roll back any of the stages."""
        named = [group for stage in stages for group in (*self.rollback_group_names(stage), *self._approvers(stage))]
        self._refuse(actor, list(dict.fromkeys(named)), "veto versions or lift holds here", "may-not-veto")

    def refuse_steer(self, actor: Actor, stage: str) -> None:
        """Raises `NotAllowed` for a person who may neither approve for nor roll back a stage."""
        named = dict.fromkeys((*self.rollback_group_names(stage), *self._approvers(stage)))
        self._refuse(actor, list(named), f"steer rollouts to {stage}", "may-not-steer")

    def refuse_evidence(self, actor: Actor, stage: str) -> None:
        """Raises `NotAllowed` for a person who may neither approve for nor roll back a stage."""
        named = dict.fromkeys((*self.rollback_group_names(stage), *self._approvers(stage)))
        self._refuse(actor, list(named), f"have the evidence of promotions to {stage}", "may-not-have-evidence")

    def refuse_settle(self, actor: Actor, stage: str) -> None:
        """Raises `NotAllowed` for a person who may neither approve for nor roll back a stage."""
        named = dict.fromkeys((*self.rollback_group_names(stage), *self._approvers(stage)))
        self._refuse(actor, list(named), f"settle what was moved for {stage}", "may-not-settle")

    def refuse_certify(self, actor: Actor, stage: str) -> None:
        """Raises `NotAllowed` for a person who may not approve for a stage, and for programs."""
        if actor.kind != "user":
            raise NotAllowed("may-not-certify", "Only a person may re-certify, in Slack; a token may not.")
        self._refuse(actor, self._approvers(stage), f"re-certify champions of {stage}", "may-not-certify")

    def refuse_break_glass(self, actor: Actor, stage_name: str) -> None:
        """Raises `NotAllowed` for whoever may not deploy past gates and approvals."""
        stage = self.policy.stage(stage_name)
        named = list(stage.break_glass.allowed) if stage and stage.break_glass else []
        if actor.kind != "user":
            raise NotAllowed("may-not-break-glass", "Only a person may break the glass, in Slack; a token may not.")
        self._refuse(actor, named, f"break the glass for {stage_name}", "may-not-break-glass")

    def _anywhere(self) -> list[str]:
        found = [group for stage in self.policy.stages for group in self.rollback_group_names(stage.name)]
        return list(dict.fromkeys(found))

    def _approvers(self, stage_name: str) -> list[str]:
        stage = self.policy.stage(stage_name)
        return [each.group for each in stage.approvals.from_] if stage and stage.approvals else []

    def _refuse(self, actor: Actor, groups: list[str], what: str, slug: str) -> None:
        if actor.kind == "user" and not (groups and self.holds(actor, groups)):
            person = self.directory.person(actor.id)
            if person is None or not person.active:
                raise NotAllowed(
                    "inactive", f"Bots, guests, strangers and deactivated accounts may not {what}; a full member must."
                )
            key = _KEYS.get(slug, "approvals.from or rollback.allowed")
            nobody = f"the policy names nobody who may; its owner must add {key}"
            who = f"that takes {either(groups)}" if groups else nobody
            raise NotAllowed(slug, f"You may not {what}: {who}.")
