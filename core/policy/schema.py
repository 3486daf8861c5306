"""The policy file, whole. `core.policy.load` reads it; here is what it becomes."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cached_property
from importlib.resources import files
from typing import Any, Literal

from pydantic import Field, PrivateAttr

from core.domain.errors import NotFound
from core.policy.bundles import Bundle
from core.policy.connections import AlertSender, Registry, Source, Target
from core.policy.fields import DAYS, Channel, Days, Member, Name, Part, TimeOfDay, TimeZone
from core.policy.rollout import QuietHours
from core.policy.stages import Stage

__all__ = ["EXAMPLE", "Policy", "Stage", "WriteBackMode"]

#: `status` is SageMaker's: a package's approval status. The others are MLflow's; `tags-only` is both's.
WriteBackMode = Literal["alias", "stage", "copy", "status", "tags-only"]

#: What `baton init` writes.
EXAMPLE = files("core.policy").joinpath("example.yml").read_text(encoding="utf-8")


class DigestPlan(Part):
    """When the digest goes out, and what it does when nothing waits."""

    at: TimeOfDay
    days: Days = DAYS[:5]
    timezone: TimeZone = "UTC"
    when_nothing: Literal["line", "silent"] = "line"

    @property
    def weekdays(self) -> tuple[int, ...]:
        """As `date.weekday()` counts them: 0 is Monday."""
        return tuple(DAYS.index(day) for day in self.days)


class SlackSettings(Part):
    """Where Baton speaks."""

    channel: Channel
    digest: DigestPlan | None = None
    quiet_hours: QuietHours | None = None
    owner: Member | None = None  #: told when something is wrong with the policy's channels


class ModelOverride(Part):
    """What differs for some models."""

    owner: Member | None = None
    channel: Channel | None = None
    registry: Name | None = None
    write_back: WriteBackMode | None = None


class StopButton(Part):
    """Who may stop and resume every promotion; where nobody is named, whoever may roll some stage back."""

    allowed: tuple[Name, ...] = Field(min_length=1)


class Policy(Part):
    """A whole policy file. Made by `core.policy.load.load`, which also checks what one name says of another."""

    version: Literal[1]
    slack: SlackSettings
    groups: dict[Name, tuple[Member, ...]] = Field(default_factory=dict)
    stages: tuple[Stage, ...] = Field(min_length=1)
    models: dict[Name, ModelOverride] = Field(default_factory=dict)
    bundles: dict[Name, Bundle] = Field(default_factory=dict)
    targets: dict[Name, Target] = Field(default_factory=dict)
    registries: dict[Name, Registry] = Field(default_factory=dict)
    sources: dict[Name, Source] = Field(default_factory=dict)
    alerts: dict[Name, AlertSender] = Field(default_factory=dict)
    stop: StopButton | None = None
    _text: str = PrivateAttr("")
    _file: str = PrivateAttr("baton.yml")
    _lines: Mapping[tuple[str | int, ...], int] = PrivateAttr(default_factory=dict)

    @property
    def text(self) -> str:
        """The file as it was written, comments and all."""
        return self._text

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what the file says: comments, the order of keys and defaults that are written out do not count."""
        said = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        canonical = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    @cached_property
    def stage_names(self) -> tuple[str, ...]:
        """In the file's order, the first is where versions arrive."""
        return tuple(stage.name for stage in self.stages)

    @property
    def first_stage(self) -> Stage:
        """Where versions arrive by being registered."""
        return self.stages[0]

    def stage(self, name: str) -> Stage | None:
        """A stage by its name."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def guarded(self, stage: str) -> bool:
        """Whether Approve asks once more before it counts: for the last stage, and for whatever is called production."""
        return stage in (self.stage_names[-1], "production")

    def known_stage(self, name: str) -> Stage:
        """A stage by its name. Raises `NotFound`, with those that there are."""
        found = self.stage(name)
        if found is None:
            known = ", ".join(self.stage_names)
            raise NotFound(
                "unknown-stage", f"There is no stage “{name[:80]}”; the policy has {known}.", stage=name[:80]
            )
        return found

    def override(self, model: str) -> ModelOverride:
        """What the policy says of one model: its exact name before any glob, a more specific glob before a wider one.

        Each key is answered by the first of them that has it.
        """
        said: dict[str, Any] = {}
        for pattern in sorted((each for each in self.models if _matches(model, each)), key=_width(model)):
            said = self.models[pattern].model_dump(exclude_none=True) | said
        return ModelOverride.model_validate(said)

    def channel(self, model: str, stage: str) -> str:
        """Where a promotion's card goes: the model's own channel, else the stage's, else the policy's."""
        found = self.stage(stage)
        return self.override(model).channel or (found.channel if found else None) or self.slack.channel

    @staticmethod
    def json_schema() -> dict[str, Any]:
        """The JSON Schema of the policy file, for editors."""
        schema = Policy.model_json_schema(by_alias=True)
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Baton policy"}


def _matches(model: str, pattern: str) -> bool:
    return model == pattern or fnmatch.fnmatchcase(model, pattern)


def _width(model: str) -> Any:
    """Sorts patterns that match `model` from the most specific to the widest: by the characters they spell out."""

    def key(pattern: str) -> tuple[bool, int, str]:
        spelled = re.sub(r"\[[^\]]*\]|[*?]", "", pattern)
        return pattern != model, -len(spelled), pattern

    return key
