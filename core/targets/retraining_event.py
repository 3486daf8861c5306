"""What those who train are told: a structured CloudEvent, as deployments are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.domain.model import ModelVersion

TYPE = "com.baton.retraining.requested.v1"
#: More than these are left out, so that the message stays small.
MOST_METRICS, MOST_DATA, LONGEST = 60, 20, 200


@dataclass(frozen=True)
class Champion:
    """What serves the stage, since when, and by which promotion."""

    version: ModelVersion
    since: datetime
    promotion: str


def requested(
    ref: str, key: str, champion: Champion, stage: str, cause: dict[str, Any], reason: str, at: datetime, source: str
) -> dict[str, Any]:
    """The event's body; nothing in it changes from one attempt to the next."""
    version = champion.version
    lineage = version.lineage
    return {
        "specversion": "1.0",
        "id": key,
        "source": source,
        "type": TYPE,
        "subject": version.model,
        "time": moment(at),
        "datacontenttype": "application/json",
        "data": {
            "retraining": ref,
            "stage": stage,
            "cause": cause,
            "reason": _cut(reason, 1_000),
            "champion": {
                "model": {"name": version.model, "version": version.version, "digest": version.digest},
                "since": moment(champion.since),
                "promotion": champion.promotion,
                "metrics": [
                    {"name": _cut(each.name), "value": each.value}
                    | ({"slice": _cut(each.slice)} if each.slice else {})
                    | ({"dataset": _cut(each.dataset)} if each.dataset else {})
                    for each in version.measurements[:MOST_METRICS]
                ],
                "lineage": {
                    "data": [{"name": _cut(each.name), "digest": each.digest} for each in lineage.data[:MOST_DATA]],
                    "code": {"repo": _cut(lineage.repo), "commit": lineage.commit},
                    "run_url": _cut(lineage.run_url, 500),
                },
            },
            "register": {"lineage": {"retraining": ref}},
        },
    }


def moment(at: datetime) -> str:
    """`2026-11-23T10:00:00.000Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cut(text: str, limit: int = LONGEST) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
