"""What the API answers: the core's views as JSON. Times are UTC; references are written P-n and D-n."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from core.domain.model import Actor, Blocker, Decision, Measurement, ModelVersion, Override, Verdict
from core.domain.views import DeploymentView, MemberView, PromotionView
from core.store.champions import Reign
from core.store.registry import ModelLine, VersionLine

Json = dict[str, Any]


def moment(at: datetime | None) -> str | None:
    """`2026-11-23T10:00:00.000000Z`."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z") if at else None


def actor(who: Actor) -> Json:
    """Who acted, and what people call them; of a token, who answers for it."""
    return {"actor": str(who), "name": who.name or who.id, **({"owner": f"user:{who.owner}"} if who.owner else {})}


def version(found: ModelVersion) -> Json:
    """A version with everything registered of it."""
    lineage = found.lineage
    return {
        "model": found.model,
        "version": found.version,
        "metrics": [metric(each) for each in found.measurements],
        "papers": found.papers,
        "artifact": {"uri": found.artifact_uri, "digest": found.digest},
        "lineage": {
            "data": [{"name": each.name, "digest": each.digest} for each in lineage.data],
            "code": {"repo": lineage.repo, "commit": lineage.commit},
            "run_url": lineage.run_url,
            "trained_by": lineage.trained_by,
            **({"retraining": lineage.retraining, "because": lineage.because} if lineage.retraining else {}),
        },
        "tags": found.tags,
        **({"members": dict(found.members)} if found.members else {}),
        "registered_by": found.registered_by,
        "registered_at": moment(found.registered_at),
    }


def metric(found: Measurement) -> Json:
    """As it was given; `value` is null where no finite number was, and `raw` says what was."""
    answer: Json = {"name": found.name, "value": found.value}
    if found.value is None:
        answer["raw"] = found.raw
    if found.slice:
        answer["slice"] = found.slice
    if found.dataset:
        answer["dataset"] = {"name": found.dataset, "digest": found.dataset_digest}
    if found.samples is not None:
        answer["samples"] = found.samples
    return answer


def version_line(found: VersionLine) -> Json:
    """A version in a list."""
    return {
        "version": found.version,
        "digest": found.digest,
        "trained_by": found.trained_by,
        "registered_by": found.registered_by,
        "registered_at": moment(found.registered_at),
    }


def model_line(found: ModelLine) -> Json:
    """A model in a list."""
    return {
        "name": found.name,
        "newest": found.newest or None,
        "newest_at": moment(found.newest_at),
        "created_at": moment(found.created_at),
    }


def champion(model: str, stage: str, at: datetime, found: Reign | None) -> Json:
    """Who served a stage at a moment, by which promotion and whose word; nulls where nobody did."""
    return {
        "model": model,
        "stage": stage,
        "at": moment(at),
        "version": found.version if found else None,
        "digest": found.digest if found else None,
        "since": moment(found.since) if found else None,
        "until": moment(found.until) if found else None,
        "promotion": found.promotion if found else None,
        "kind": found.kind.value if found else None,
        "requested_by": actor(found.requested_by) if found else None,
        "approved_by": [_approval(each) for each in found.approvals] if found else [],
        "override": override(found.override) if found else None,
        "ended_by": found.ended_by if found else None,
    }


def _approval(found: Decision) -> Json:
    return {
        **actor(found.actor),
        "for": actor(found.principal) if found.principal else None,
        "at": moment(found.at),
        "groups": list(found.groups),
        "evidence_digest": found.evidence_digest,
    }


def promotion(found: PromotionView) -> Json:
    """A promotion, whole."""
    return {
        "id": found.ref,
        "kind": found.kind.value,
        "state": found.state.value,
        "model": found.model,
        "version": found.version.version,
        "digest": found.version.digest,
        "stage": found.stage,
        "champion": found.champion.version if found.champion else None,
        "requester": actor(found.requester),
        "reason": found.reason,
        "gates": [_verdict(each) for each in found.verdicts],
        **({"members": [_member(each) for each in found.members]} if found.members else {}),
        "decisions": [
            {**_approval(each), "kind": each.kind.value, "reason": each.reason, "void": each.void or None}
            for each in (*found.decisions, *found.voided)
        ],
        "waiting_for": found.waiting_for or None,
        "waiting_until": moment(found.waiting_until),
        "override": override(found.override),
        "approvals": _tally(found),
        "policy_version": found.policy_version,
        "evidence_digest": found.evidence_digest,
        "created_at": moment(found.created_at),
        "updated_at": moment(found.updated_at),
        "expires_at": moment(found.expires_at),
        "ended_at": moment(found.ended_at),
        "end_reason": found.end_reason,
        "ended_by": str(found.ended_by) if found.ended_by else None,
        "deployments": [deployment(each) for each in found.deployments],
    }


def _member(found: MemberView) -> Json:
    """`parted` says what has taken its place since."""
    return {
        "model": found.model,
        "version": found.version,
        "champion": found.champion,
        "unchanged": found.unchanged,
        "parted": found.parted or None,
    }


def override(found: Override | None) -> Json | None:
    """Who broke the glass, past what, and who has looked at it since."""
    if found is None:
        return None
    return {
        **actor(found.actor),
        "reason": found.reason,
        "bypassed": list(found.bypassed),
        "at": moment(found.at),
        "reviewed_by": actor(found.reviewed_by) if found.reviewed_by else None,
        "review": found.review,
    }


def _tally(found: PromotionView) -> Json | None:
    if found.tally is None:
        return None
    return {
        "quorum": found.tally.quorum,
        "given": [actor(each) for each in found.tally.approvals],
        "seats": [
            {"group": seat.group, "at_least": seat.at_least, "filled_by": [actor(each) for each in seat.filled_by]}
            for seat in found.tally.seats
        ],
        "met": found.tally.met,
        "sentence": found.tally.sentence,
    }


def _verdict(found: Verdict) -> Json:
    return {
        **({"member": found.model} if found.model else {}),
        "gate": found.gate,
        "outcome": found.outcome.value,
        "sentence": found.sentence,
        "advisory": found.advisory,
        "metric": found.metric,
        "slice": found.slice,
        "candidate": found.candidate,
        "champion": found.champion,
        "change": found.change,
    }


def deployment(found: DeploymentView) -> Json:
    """One piece of work asked of a deploy target."""
    return {
        "id": found.ref,
        "action": found.action,
        "target": found.target,
        "state": found.state.value,
        "model": found.model,
        "version": found.version,
        "previous_version": found.previous_version,
        "report": found.report,
        "url": found.url,
        "message": found.message,
        "attempts": found.attempts,
        "requested_at": moment(found.requested_at),
        "sent_at": moment(found.sent_at),
        "deadline": moment(found.deadline),
        "finished_at": moment(found.finished_at),
    }


def blocker(found: Blocker) -> Json:
    """One thing that stands, or does not stand, in the way."""
    return {
        "kind": found.kind,
        "name": found.name,
        "blocking": found.blocking,
        "sentence": found.sentence,
        "clears": found.clears,
        "waits": found.waits,
        "until": moment(found.until),
    }
