"""The nouns of Baton, as frozen values. Only the standard library is imported here.

Rows live in `core.store`; these are the facts that pure functions decide on and that views are drawn from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What a promotion is for: going forward, or undoing."""

    PROMOTION = "promotion"
    ROLLBACK = "rollback"


class State(StrEnum):
    """Where a promotion is in its life; the arrows between are in `core.domain.lifecycle`."""

    EVALUATING = "evaluating"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    DEPLOYING = "deploying"
    VERIFYING = "verifying"
    ROLLING_BACK = "rolling_back"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    FAILED = "failed"  #: the answer is no
    ERRORED = "errored"  #: we could not find out
    ROLLED_BACK = "rolled_back"


class DeploymentState(StrEnum):
    """Where a deployment is; `in_progress`, `succeeded` and `failed` are also what a target may report."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ERRORED = "errored"
    CANCELLED = "cancelled"


class DecisionKind(StrEnum):
    """What one person said of one promotion."""

    APPROVAL = "approval"
    REJECTION = "rejection"


class Outcome(StrEnum):
    """What a gate found. Only PASSED lets a promotion on; no data is INCONCLUSIVE, never a pass."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Actor:
    """Who acts: `user:U01ALICE`, `token:ci`, `system:expiry`.

    `name` is what people read; it is outside text and must be escaped where it is shown. `owner` is, of a token, the
    Slack id of the person who answers for it, where it was made for one.
    """

    kind: str
    id: str
    name: str = ""
    owner: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"

    @property
    def person(self) -> str:
        """The Slack id of whoever is behind it; "" for Baton itself, and for a token that nobody answers for."""
        return self.id if self.kind == "user" else self.owner

    @classmethod
    def parse(cls, text: str, name: str = "", owner: str = "") -> Actor:
        """Read `kind:id` back, as stored in the database."""
        kind, _, ident = text.partition(":")
        return cls(kind, ident, name, owner)

    @classmethod
    def user(cls, slack_id: str, name: str = "") -> Actor:
        """A person, by their Slack user id."""
        return cls("user", slack_id, name)

    @classmethod
    def system(cls, what: str) -> Actor:
        """Baton itself, by the part of it that acted."""
        return cls("system", what, what)


@dataclass(frozen=True)
class Measurement:
    """One measured number of a version. `value` is None where no finite number was given; `raw` then says what was."""

    name: str
    value: float | None
    raw: str = ""
    slice: str = ""  #: "" is the whole data set, else e.g. "country=DE"
    dataset: str = ""
    dataset_digest: str = ""
    samples: int | None = None


@dataclass(frozen=True)
class DatasetRef:
    """A data set by name and digest."""

    name: str
    digest: str = ""


@dataclass(frozen=True)
class Lineage:
    """Where a version came from; empty where nobody said."""

    data: tuple[DatasetRef, ...] = ()
    repo: str = ""
    commit: str = ""
    run_url: str = ""
    trained_by: str = ""
    retraining: str = ""  #: the request that asked for it, "R-12",
    because: str = ""  #: and why it did


@dataclass(frozen=True)
class ModelVersion:
    """An immutable version of a registered model with everything a gate may ask of it.

    `papers` has the SHA-256 of its signature and of its card, where it came with them; their texts are left out where
    nobody asks for them.
    """

    model: str
    version: str
    artifact_uri: str
    digest: str
    lineage: Lineage = Lineage()
    measurements: tuple[Measurement, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    signature: str = ""  #: the sigstore bundle, as JSON
    card: str = ""  #: Markdown, with YAML front matter
    papers: dict[str, str] = field(default_factory=dict)
    registered_by: str = ""
    registered_at: datetime | None = None
    id: int = 0
    members: tuple[tuple[str, str], ...] = ()  #: of a bundle's version: (model, version) each


@dataclass(frozen=True)
class Verdict:
    """What one gate found, with its numbers and its one sentence.

    `gate` is the rule as people read it ("auc at least 0.90"); `sentence` says what was found
    ("auc is 0.88, at least 0.90 is required."). `change` is candidate minus champion.
    """

    gate: str
    outcome: Outcome
    sentence: str
    advisory: bool = False
    metric: str = ""
    slice: str = ""
    candidate: float | None = None
    champion: float | None = None
    change: float | None = None
    lower_is_better: bool = False
    threshold: str = ""  #: short form for a table cell: "≥ 0.90", "≤ champion + 0.005"
    model: str = ""  #: the member of a bundle that it is about

    @property
    def decides(self) -> bool:
        """True when this verdict stops the promotion."""
        return not self.advisory and self.outcome is not Outcome.PASSED


@dataclass(frozen=True)
class Person:
    """What the directory knows of one person. Members of `groups` are read at decision time."""

    id: str
    name: str
    email: str = ""
    handle: str = ""
    active: bool = True  #: False for deactivated accounts, bots, guests and strangers: they never count
    timezone: str = ""


@dataclass(frozen=True)
class Limit:
    """A yes under a condition: at most so much traffic for so long; then the person is asked again."""

    percent: int
    seconds: int


@dataclass(frozen=True)
class Decision:
    """One person's approval or rejection, with the groups they were in when they gave it.

    `principal` is whose seat it fills, where that is somebody who delegated to the actor. `void` says why it no longer
    counts; "" while it does.
    """

    actor: Actor
    kind: DecisionKind
    at: datetime
    groups: tuple[str, ...] = ()
    reason: str = ""
    evidence_digest: str = ""
    principal: Actor | None = None
    void: str = ""
    limit: Limit | None = None

    @property
    def named(self) -> str:
        """`Dave for Carol`; outside text, escape where shown."""
        mine = self.actor.name or self.actor.id
        return f"{mine} for {self.principal.name or self.principal.id}" if self.principal else mine


@dataclass(frozen=True)
class Seat:
    """One rule of a quorum: how many of a group are needed, who fills it so far."""

    group: str
    at_least: int
    filled_by: tuple[Actor, ...] = ()

    @property
    def missing(self) -> int:
        """How many more people of this group are needed."""
        return max(0, self.at_least - len(self.filled_by))


@dataclass(frozen=True)
class Tally:
    """How far approvals have come: `met` only when the quorum of distinct people and every seat are filled."""

    quorum: int
    approvals: tuple[Actor, ...]
    seats: tuple[Seat, ...]
    met: bool
    sentence: str  #: "1 of 2 approvals; still needed: 1 from risk."


@dataclass(frozen=True)
class Blocker:
    """One thing that `why` lists: its kind, whether it stands in the way, what it says and what would clear it.

    What `waits` refuses no request: approvals are gathered meanwhile, and the deployment waits until it is gone, which
    will be at `until` where that is known.
    """

    kind: str  #: version, requires, soak, freeze, stop, hold, veto, gate, approvals, active, champion, …
    name: str
    blocking: bool
    sentence: str
    clears: str = ""
    waits: bool = False
    until: datetime | None = None


@dataclass(frozen=True)
class Barrier:
    """A stop, a hold or a veto that stands: who put it there, when and why. Empty names mean every one."""

    kind: str
    model: str
    version: str
    stage: str
    reason: str
    actor: Actor
    placed_at: datetime
    promotion_id: int | None = None
    id: int = 0

    @property
    def by(self) -> str:
        """Whoever put it there; outside text."""
        return self.actor.name or self.actor.id


@dataclass(frozen=True)
class Override:
    """Break-glass: who deployed past what, why, and who has looked at it since (None: nobody yet)."""

    actor: Actor
    reason: str
    bypassed: tuple[str, ...]
    at: datetime
    reviewed_by: Actor | None = None
    review: str = ""
