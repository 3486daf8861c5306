"""Which target a deployment was asked of, for whoever verifies its reports."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.errors import NotFound
from core.store.tables import DeploymentRow


def target_of(session: Session, deployment_id: int) -> str:
    """The target's name in the policy. Raises `NotFound`."""
    found = session.scalar(select(DeploymentRow.target).where(DeploymentRow.id == deployment_id))
    if found is None:
        raise NotFound("unknown-deployment", f"There is no deployment D-{deployment_id}.")
    return found
