"""What must be known of a deployment to believe a report of it."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.errors import NotFound
from core.store.tables import AuditEvent, DeploymentRow


def target_of(session: Session, deployment_id: int) -> str:
    """The target's name in the policy. Raises `NotFound`."""
    found = session.scalar(select(DeploymentRow.target).where(DeploymentRow.id == deployment_id))
    if found is None:
        raise NotFound("unknown-deployment", f"There is no deployment D-{deployment_id}.")
    return found


def used_for_another(session: Session, report_id: str, deployment_id: int, since: datetime) -> int | None:
    """The other deployment that a report of this id was taken for since then; None when there is none.

    A signature covers the body and not the address, so a report could be sent on to another deployment of its target.
    """
    newest_first = select(AuditEvent).order_by(AuditEvent.seq.desc()).execution_options(yield_per=200)
    with closing(session.scalars(newest_first)) as found:
        for event in found:
            if event.at < since:
                return None
            same = event.kind == "deployment_reported" and event.data.get("report") == report_id[:200]
            if same and event.deployment_id != deployment_id:
                return event.deployment_id
    return None
