"""What is shown of a promotion: frozen, whole, free of any session. Cards, the API and the CLI all draw from these."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.domain.lifecycle import ACTIVE
from core.domain.model import (
    Actor,
    Decision,
    DeploymentState,
    Kind,
    ModelVersion,
    Outcome,
    Override,
    State,
    Tally,
    Verdict,
)


@dataclass(frozen=True)
class DeploymentView:
    """One piece of work asked of a deploy target."""

    id: int
    promotion_id: int
    action: str
    target: str
    state: DeploymentState
    version: str
    previous_version: str | None
    key: str
    requested_at: datetime
    sent_at: datetime | None
    deadline: datetime | None
    finished_at: datetime | None
    report: str
    url: str
    message: str
    attempts: int
    abort: str = ""
    traffic: int = 100
    model: str = ""

    @property
    def ref(self) -> str:
        """`D-12`."""
        return f"D-{self.id}"


@dataclass(frozen=True)
class RolloutView:
    """How a version gets its traffic, step by step.

    `phase`: acting (the target is asked), holding, verifying, asking (a person must say how to go on), ended. `steps` are
    the percentages; `step` counts from 0. `said` is what the analysis said last, or what is asked.
    """

    strategy: str
    steps: tuple[int, ...]
    step: int
    traffic: int
    phase: str
    phase_since: datetime
    hold_until: datetime | None
    said: str = ""
    paused_by: str = ""
    abort: str = ""

    @property
    def under_way(self) -> bool:
        """True while a person may steer it."""
        return self.phase in ("acting", "holding", "verifying", "asking")


@dataclass(frozen=True)
class MemberView:
    """One member of a promoted bundle: the version that comes, and the one that served when it was judged.

    `turn` counts its deployments from 0; None before they begin, and where the version serves already. `parted` says
    what took its place since; "" while the stage holds the bundle whole.
    """

    model: str
    version: str
    champion: str | None
    turn: int | None = None
    parted: str = ""

    @property
    def unchanged(self) -> bool:
        """True where nothing is to be deployed for it."""
        return self.version == self.champion


@dataclass(frozen=True)
class PromotionView:
    """A promotion as the database holds it at one moment. `champion` is whom the candidate was judged against."""

    id: int
    kind: Kind
    state: State
    model: str
    version: ModelVersion
    champion: ModelVersion | None
    stage: str
    requester: Actor
    reason: str
    verdicts: tuple[Verdict, ...]
    decisions: tuple[Decision, ...]
    tally: Tally | None
    rules: dict[str, Any]
    policy_version: str
    evidence_digest: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None
    end_reason: str
    ended_by: Actor | None
    deployments: tuple[DeploymentView, ...]
    voided: tuple[Decision, ...] = ()  #: withdrawn, or given to evidence that has changed since
    waiting_for: str = ""  #: why an approved promotion is not deployed yet
    waiting_until: datetime | None = None
    override: Override | None = None
    rollout: RolloutView | None = None
    members: tuple[MemberView, ...] = ()  #: of a bundle, in the order of their deployment

    @property
    def ref(self) -> str:
        """`P-12`."""
        return f"P-{self.id}"

    @property
    def active(self) -> bool:
        """True while the promotion holds its model and stage."""
        return self.state in ACTIVE

    @property
    def title(self) -> str:
        """`fraud-detector 7 → production`; outside text, escape where shown."""
        return f"{self.model} {self.version.version} → {self.stage}"

    @property
    def standing(self) -> str:
        """What it has become, and by whom: the sentence for whoever comes too late."""
        by = f" by {self.ended_by.name or self.ended_by.id}" if self.ended_by and self.ended_by.kind == "user" else ""
        said = {
            State.EVALUATING: f"{self.ref} is still being checked; wait until its card asks for a decision.",
            State.AWAITING_APPROVAL: f"{self.ref} still waits for approval.",
            State.APPROVED: f"{self.ref} has all its approvals and "
            + (f"waits: {self.waiting_for}" if self.waiting_for else "is about to be deployed."),
            State.DEPLOYING: f"{self.ref} has all its approvals and is being deployed.",
            State.VERIFYING: f"{self.ref} is deployed and is being verified.",
            State.ROLLING_BACK: f"{self.ref} is being rolled back.",
            State.SUCCEEDED: f"{self.ref} was approved and deployed already.",
            State.REJECTED: f"{self.ref} was rejected{by}; it takes a new request.",
            State.EXPIRED: f"{self.ref} expired before it was decided; it takes a new request.",
            State.CANCELLED: f"{self.ref} was withdrawn{by}.",
            State.SUPERSEDED: f"{self.ref} was superseded: {self.end_reason}.",
            State.FAILED: f"{self.ref} failed: {self.end_reason}",
            State.ERRORED: f"{self.ref} ended in an error: {self.end_reason}",
            State.ROLLED_BACK: f"{self.ref} was rolled back.",
        }
        return said[self.state]

    @property
    def failing(self) -> tuple[Verdict, ...]:
        """The verdicts that stop it."""
        return tuple(verdict for verdict in self.verdicts if verdict.decides)

    @property
    def regressions(self) -> tuple[Verdict, ...]:
        """Advisory verdicts that did not pass: shown, never deciding."""
        return tuple(v for v in self.verdicts if v.advisory and v.outcome is not Outcome.PASSED)


@dataclass(frozen=True)
class RollbackPlan:
    """What a rollback would change, shown before anything acts.

    `aborts` is the promotion that would be stopped half way; `supersedes` one that still waits and would be dropped.
    """

    model: str
    stage: str
    current: str
    current_since: datetime
    target: str
    target_served: tuple[datetime, datetime | None]
    warning: str = ""
    aborts: str = ""
    supersedes: str = ""
