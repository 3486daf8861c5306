"""When a stage's champion is to be trained anew, as the policy file writes it, and which alerts are about drift."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from core.policy.fields import Duration, Name, Part, wrong

Cause = Literal["drift", "rollback", "age"]


class Retrain(Part):
    """Who is told to train anew, after what, and how often at most. `after` is how old a champion may get."""

    target: Name
    on: tuple[Cause, ...] = Field(min_length=1)
    after: Duration | None = None
    at_most_every: Duration = timedelta(days=7)

    @model_validator(mode="after")
    def _knows_what_old_is(self) -> Self:
        if "age" in self.on and self.after is None:
            raise wrong("names age, and not how old", "add after, such as after: 90d", "on")
        if self.after is not None and "age" not in self.on:
            raise wrong("says nothing where age is no cause", "add age to on, or remove it", "after")
        return self


def is_drift(name: str, labels: Mapping[str, str]) -> bool:
    """Whether an alert is about drift: it says so in its label `kind`, or else in its name."""
    kind = labels.get("kind", "")
    return kind.lower() == "drift" if kind else "drift" in name.lower()
