"""The evidence of a promotion as one JSON document. `bot.evidence_html` draws the page from it, and from nothing else."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from bot.evidence_html import FORMAT
from bot.http.answers import actor, moment, override, version
from core.domain.model import Measurement, ModelVersion
from core.domain.views import PromotionView
from core.evidence_file import Act, Chain, EvidenceFile, Said
from core.store.views import verdict_to_json

Json = dict[str, Any]


def document(found: EvidenceFile) -> Json:
    """Everything, with a fingerprint over all of it: SHA-256 over the canonical JSON, as in the audit chain."""
    view = found.promotion
    made: Json = {
        "format": FORMAT,
        "made_at": moment(found.made_at),
        "promotion": view.ref,
        "request": _request(view),
        "candidate": version(view.version),
        "champion": version(view.champion) if view.champion else None,
        "metrics": _metrics(view.version, view.champion),
        "gates": [verdict_to_json(each) for each in view.verdicts],
        "policy": {
            "version": view.policy_version,
            "text": found.policy[0] if found.policy else None,
            "read_at": moment(found.policy[1]) if found.policy else None,
            "rules": view.rules,
        },
        "evidence": {"digest": view.evidence_digest, "facts": found.facts},
        "approval": _approval(view),
        "decisions": [_decision(each) for each in found.decisions],
        "override": override(view.override),
        "deployments": [_deployment(each, found.chain) for each in found.deployments],
        "rollout": found.rollout,
        "served": [
            {"since": moment(since), "until": moment(until), "ended_by": ended_by}
            for since, until, ended_by in found.served
        ],
        "audit": _audit(found.chain),
    }
    return made | {"fingerprint": fingerprint(made)}


def fingerprint(made: Json) -> str:
    """Of a document without one."""
    canonical = json.dumps(made, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def _request(view: PromotionView) -> Json:
    return {
        "kind": view.kind.value,
        "model": view.model,
        "version": view.version.version,
        "stage": view.stage,
        "by": actor(view.requester),
        "at": moment(view.created_at),
        "reason": view.reason,
        "state": view.state.value,
        "expires_at": moment(view.expires_at),
        "waiting_for": view.waiting_for,
        "ended_at": moment(view.ended_at),
        "ended_by": actor(view.ended_by) if view.ended_by else None,
        "end_reason": view.end_reason,
    }


def _metrics(candidate: ModelVersion, champion: ModelVersion | None) -> list[Json]:
    """Each measurement of the candidate, and of the champion alone, side by side."""
    mine = {_key(each): each for each in candidate.measurements}
    theirs = {_key(each): each for each in champion.measurements} if champion else {}
    return [_compared(key, mine.get(key), theirs.get(key)) for key in dict.fromkeys([*mine, *theirs])]


def _key(found: Measurement) -> tuple[str, str, str]:
    return found.name, found.slice, found.dataset


def _compared(key: tuple[str, str, str], mine: Measurement | None, theirs: Measurement | None) -> Json:
    change = None
    if mine and theirs and mine.value is not None and theirs.value is not None:
        change = mine.value - theirs.value
    return {
        "metric": key[0],
        "slice": key[1],
        "dataset": key[2],
        "candidate": _measured(mine),
        "champion": _measured(theirs),
        "change": change,
    }


def _measured(found: Measurement | None) -> Json | None:
    if found is None:
        return None
    return {"value": found.value, "raw": found.raw, "samples": found.samples, "dataset_digest": found.dataset_digest}


def _approval(view: PromotionView) -> Json | None:
    if view.tally is None:
        return None
    return {
        "quorum": view.tally.quorum,
        "seats": [
            {"group": seat.group, "at_least": seat.at_least, "filled_by": [actor(each) for each in seat.filled_by]}
            for seat in view.tally.seats
        ],
        "met": view.tally.met,
        "sentence": view.tally.sentence,
    }


def _decision(found: Said) -> Json:
    said = found.decision
    return {
        "kind": said.kind.value,
        "by": actor(said.actor),
        "for": actor(said.principal) if said.principal else None,
        "delegated_since": moment(found.delegated[0]) if found.delegated else None,
        "delegated_until": moment(found.delegated[1]) if found.delegated else None,
        "at": moment(said.at),
        "groups": list(said.groups),
        "reason": said.reason,
        "evidence_digest": said.evidence_digest,
        "limit_percent": found.limit[0] if found.limit else None,
        "limit_seconds": found.limit[1] if found.limit else None,
        "void_at": moment(found.void_at),
        "void_reason": said.void,
    }


def _deployment(found: Act, chain: Chain) -> Json:
    view = found.view
    heard = [each for each in chain.events if each["deployment"] == view.ref and each["kind"] == "deployment_reported"]
    return {
        "id": view.ref,
        "action": view.action,
        "target": view.target,
        "key": view.key,
        **({"model": view.model} if found.member else {}),
        "version": view.version,
        "previous_version": view.previous_version,
        "step": found.step,
        "traffic_percent": view.traffic,
        "run": found.run,
        "state": view.state.value,
        "attempts": view.attempts,
        "requested_at": moment(view.requested_at),
        "tried_at": moment(found.tried_at),
        "sent_at": moment(view.sent_at),
        "deadline": moment(view.deadline),
        "finished_at": moment(view.finished_at),
        "report": view.report,
        "reports": [
            {"at": moment(datetime.fromisoformat(each["at"])), "by": each["actor"], **each["data"]} for each in heard
        ],
        "url": view.url,
        "message": view.message,
        "abort": view.abort,
    }


def _audit(chain: Chain) -> Json:
    return {
        "events": list(chain.events),
        "head": {"event": chain.head[0], "hash": chain.head[1]},
        "sound": chain.sound,
        "checks": [{"holds": holds, "sentence": sentence} for holds, sentence in chain.checks],
    }
