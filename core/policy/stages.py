"""A stage and its rules, as the policy file writes them."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from core.policy.features import FeaturesGate
from core.policy.fields import Allowance, Channel, Duration, Name, Number, Part, StageName, shown, whole, wrong
from core.policy.papers import ModelCardGate, SignatureGate
from core.policy.retraining import Retrain
from core.policy.reviewing import Review
from core.policy.rollout import Freeze, Rollout, Verify

Quorum = Annotated[int, whole(1, 100)]
Seats = Annotated[int, whole(0, 100)]


class MetricGate(Part):
    """A bound on one metric, absolute, against the champion, or both."""

    metric: Name
    slice: str = Field("", max_length=200)
    at_least: Number | None = None
    at_most: Number | None = None
    compared_to: Literal["champion"] | None = None
    no_worse_by: Allowance = 0.0
    lower_is_better: bool = False
    advisory: bool = False
    first: Literal["allow", "deny"] = "allow"

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if self.at_least is None and self.at_most is None and self.compared_to is None:
            raise wrong("asks for nothing", "add at_least, at_most or compared_to: champion")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise wrong(f"is above at_most, {shown(self.at_most)}, so nothing could pass", "lower it", "at_least")
        if self.compared_to is None:
            for key in ("no_worse_by", "first"):
                if getattr(self, key) != type(self).model_fields[key].default:
                    raise wrong("says nothing without a comparison", "add compared_to: champion, or remove it", key)
        elif self.at_most is not None and self.at_least is None and "lower_is_better" not in self.model_fields_set:
            # Without this, a latency better than the champion's would fail, and a worse one pass.
            raise wrong("has a ceiling and a comparison", "say which way is better: lower_is_better: true, or false")
        return self


class LineageGate(Part):
    """What must be recorded of where a version came from: data sets with digests, code with its commit."""

    lineage: tuple[Literal["data", "code"], ...] = Field(min_length=1)
    advisory: bool = False


class SameDatasetGate(Part):
    """Candidate and champion were measured on one dataset digest."""

    same_dataset: Literal[True]
    advisory: bool = False
    first: Literal["allow", "deny"] = "allow"


GATE_KEYS = {
    "metric": "MetricGate",
    "lineage": "LineageGate",
    "same_dataset": "SameDatasetGate",
    "signature": "SignatureGate",
    "model_card": "ModelCardGate",
    "features": "FeaturesGate",
}


def _gate_kind(value: Any) -> str | None:
    if not isinstance(value, dict):
        return type(value).__name__ if isinstance(value, Part) else None
    kinds = [kind for key, kind in GATE_KEYS.items() if key in value]
    return kinds[0] if len(kinds) == 1 else None


Gate = Annotated[
    Annotated[MetricGate, Tag("MetricGate")]
    | Annotated[LineageGate, Tag("LineageGate")]
    | Annotated[SameDatasetGate, Tag("SameDatasetGate")]
    | Annotated[SignatureGate, Tag("SignatureGate")]
    | Annotated[ModelCardGate, Tag("ModelCardGate")]
    | Annotated[FeaturesGate, Tag("FeaturesGate")],
    Discriminator(_gate_kind, custom_error_type="policy_gate", custom_error_message="no kind of gate"),
]


class Approvers(Part):
    """A group whose members may approve, and how many of them must."""

    group: Name
    at_least: Seats = 0


class Escalate(Part):
    """Whom to tell when nobody decides."""

    after: Duration
    to: Name


class Approvals(Part):
    """What makes a yes. Without `from`, nobody may approve; with `automatic`, nobody is asked."""

    automatic: bool = False
    quorum: Quorum = 1
    from_: tuple[Approvers, ...] = Field((), alias="from")
    exclude: tuple[Literal["requester", "trainer"], ...] = ("requester", "trainer")
    expires: Duration = timedelta(hours=72)
    remind: tuple[Duration, ...] = ()
    escalate: Escalate | None = None

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        if self.automatic:
            for key, field in type(self).model_fields.items():
                if key != "automatic" and getattr(self, key) != field.default:
                    where = field.alias or key
                    raise wrong("says nothing where approvals are automatic", "remove it, or automatic: true", where)
        groups = [each.group for each in self.from_]
        for number, group in enumerate(groups):
            if group in groups[:number]:
                raise wrong(f"{shown(group)} is named twice", "name each group once", "from", number, "group")
        return self


class Deploy(Part):
    """What puts a version into service, and how long that may take."""

    target: Name
    timeout: Duration = timedelta(minutes=15)


class Rollback(Part):
    """Who may roll back, and what an alert does."""

    allowed: tuple[Name, ...] = ()
    on_alert: Literal["auto", "ask", "notify"] | None = None


class BreakGlass(Part):
    """Who may deploy past a failing gate or missing approvals, in an emergency and with a reason."""

    allowed: tuple[Name, ...] = Field(min_length=1)


#: `deploy: none` says outright that others deploy, as where an approval status starts their own pipeline.
MaybeDeploy = Annotated[
    Deploy | None,
    BeforeValidator(
        lambda given: None if given == "none" else given, json_schema_input_type=Deploy | Literal["none"] | None
    ),
]


class Stage(Part):
    """One stage. Without `deploy`, a promotion only records its champion; without `approvals`, nobody may approve."""

    name: StageName
    channel: Channel | None = None
    requires: tuple[StageName, ...] = ()
    soak: Duration | None = None
    gates: tuple[Gate, ...] = ()
    approvals: Approvals | None = None
    freeze: tuple[Freeze, ...] = ()
    deploy: MaybeDeploy = None
    rollout: Rollout = Rollout()
    verify: Verify | None = None
    rollback: Rollback = Rollback()
    break_glass: BreakGlass | None = None
    retrain: Retrain | None = None
    review: Review | None = None

    def rules(self) -> dict[str, Any]:
        """The stage as plain JSON, defaults written out, kept with each promotion: no later release changes it."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @classmethod
    def from_rules(cls, rules: dict[str, Any]) -> Stage:
        """Back from a promotion. Raises pydantic's `ValidationError` for what `rules` never wrote."""
        return _parsed(json.dumps(rules))


@lru_cache(256)
def _parsed(rules: str) -> Stage:
    """Promotions carry the same few rules again and again, and checking them costs more than reading them."""
    return Stage.model_validate(json.loads(rules))
