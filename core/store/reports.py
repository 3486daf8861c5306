"""What must be known of a deployment to believe a report of it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from core.domain.errors import NotFound
from core.store.report_tables import ReportRow
from core.store.tables import AuditEvent, DeploymentRow

#: The audit event of a report that contradicts how its deployment ended.
CONTRADICTED = "report_contradicted"


def target_of(session: Session, deployment_id: int) -> str:
    """The target's name in the policy. Raises `NotFound`."""
    found = session.scalar(select(DeploymentRow.target).where(DeploymentRow.id == deployment_id))
    if found is None:
        raise NotFound("unknown-deployment", f"There is no deployment D-{deployment_id}.")
    return found


def of_another(session: Session, report_id: str, deployment_id: int, now: datetime, since: datetime) -> int | None:
    """Note that the report of this id is of this deployment; the other one that it was taken for since then, if any.

    A signature covers the body and not the address, so a report could be sent on to another deployment of its target.
    """
    session.execute(delete(ReportRow).where(ReportRow.at < since))
    known = session.get(ReportRow, report_id)
    if known is None:
        session.add(ReportRow(id=report_id, deployment_id=deployment_id, at=now))
        return None
    return known.deployment_id if known.deployment_id != deployment_id else None


def contradictions(session: Session, promotion_id: int, deployment_id: int) -> set[str]:
    """What a deployment was reported to be after its end, and against it, so far."""
    found = session.scalars(
        select(AuditEvent).where(AuditEvent.promotion_id == promotion_id, AuditEvent.kind == CONTRADICTED)
    )
    return {str(each.data.get("state")) for each in found if each.deployment_id == deployment_id}
