"""Why not: gates and approvals as things that stand in the way, each with who or what would clear it."""

from __future__ import annotations

from core.domain.model import Actor, Blocker, Verdict
from core.judging import Judgement
from core.policy import approvals
from core.policy.schema import Policy
from core.ports import Directory
from core.store.views import given_on


def gate_blocker(verdict: Verdict) -> Blocker:
    """A gate's verdict with its numbers, and what would clear it."""
    remedy = "Register a version that passes, or have the policy's owner change the gate." if verdict.decides else ""
    return Blocker("gate", verdict.gate, verdict.decides, verdict.sentence, remedy)


def approval_blockers(found: Judgement, policy: Policy, directory: Directory) -> list[Blocker]:
    """How far approvals have come, and who could still give them, by name as far as the directory knows."""
    rule, stage = found.stage.approvals, found.stage.name
    if rule is None:
        sentence = f"The policy names nobody who may approve for {stage}."
        return [Blocker("approvals", "approvals", True, sentence, "Its owner must add approvals.from.")]
    if rule.automatic:
        sentence = "Nobody needs to approve: with every gate passed it goes ahead."
        return [Blocker("approvals", "approvals", False, sentence)]
    mine = found.active if found.active and found.active.version_id == found.version.id else None
    given = given_on(mine) if mine else ()
    counted = approvals.tally(rule, given)
    members = {s.group: directory.members(list(policy.groups.get(s.group, []))) for s in counted.seats}
    asked_by = (
        Actor.parse(found.active.requester, owner=found.active.requester_owner) if found.active else Actor("", "")
    )
    everybody = [who for people in members.values() for who in people]
    out = approvals.barred(rule, everybody, asked_by, found.candidate.lineage.trained_by)
    needed = approvals.awaited(counted, members, out)
    sentence = f"{counted.sentence.partition(';')[0].rstrip('.')}." if needed else counted.sentence
    return [Blocker("approvals", "approvals", not counted.met, sentence, needed)]
