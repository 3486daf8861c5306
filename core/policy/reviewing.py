"""How long a champion may serve on one approval, as the policy file writes it."""

from __future__ import annotations

from datetime import timedelta

from core.policy.fields import Duration, Part


class Review(Part):
    """After how long a champion is to be re-certified, and how old the measurements may be that do it."""

    after: Duration
    measured_within: Duration = timedelta(days=7)
