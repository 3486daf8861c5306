"""What a deploy target is told: a structured CloudEvent (contract 6)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

TYPE = "com.baton.deployment.requested.v1"
#: More approvers than this are not listed, so that the message stays small whatever the policy asks for.
MOST_APPROVERS = 100


@dataclass(frozen=True)
class Order:
    """One act asked of a target. Nothing in it changes from one attempt to the next."""

    key: str
    promotion: str
    deployment: str
    action: str
    stage: str
    model: str
    version: str
    digest: str
    previous: str | None
    approved_by: tuple[str, ...]
    requested_at: datetime
    expires_at: datetime | None
    seq: int
    traffic: int = 100
    bundle: tuple[str, str] | None = None  #: (model, version) of what the version is a member of
    keep_previous_until: datetime | None = None  #: None where nothing is switched away from `previous`


def requested(order: Order, public_url: str) -> dict[str, Any]:
    """The event's body; `bundle` only where there is one. `seq` rises with every act on one model and stage: a receiver ignores a lower one."""
    return {
        "specversion": "1.0",
        "id": order.key,
        "source": public_url,
        "type": TYPE,
        "subject": f"{order.model}/{order.version}",
        "time": _moment(order.requested_at),
        "datacontenttype": "application/json",
        "data": {
            "promotion": order.promotion,
            "deployment": order.deployment,
            "action": order.action,
            "stage": order.stage,
            "model": {"name": order.model, "version": order.version, "digest": order.digest},
            "previous": {"version": order.previous} if order.previous is not None else None,
            "traffic_percent": order.traffic,
            "approved_by": list(order.approved_by[:MOST_APPROVERS]),
            "callback_url": f"{public_url}/api/v1/deployments/{order.deployment}/status",
            "expires_at": _moment(order.expires_at) if order.expires_at else None,
            "keep_previous_until": _moment(order.keep_previous_until) if order.keep_previous_until else None,
            "seq": order.seq,
        }
        | ({"bundle": {"name": order.bundle[0], "version": order.bundle[1]}} if order.bundle else {}),
    }


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
