"""Gates on features: that a feature store serves what a version was trained on, where the version is to serve. Pure.

What the store said is looked up beforehand; here it is only judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator

from core.domain.model import ModelVersion, Outcome, Verdict
from core.policy.fields import Name, Part, wrong

_HOLE = re.compile(r"\{\{\s*(\w*)\s*\}\}")
_HOLES = ("model", "version")


def _template(text: str) -> str:
    for hole in _HOLE.finditer(text):
        if hole[1] not in _HOLES:
            raise wrong(f"asks for {{{{{hole[1]}}}}}, which nobody fills in", "write {{model}} or {{version}}")
    if "{{" in _HOLE.sub("", text):
        raise wrong("has {{ that is not closed", "write it like {{model}}_v{{version}}")
    return text


Service = Annotated[Name, AfterValidator(_template)]


class Features(Part):
    """Which feature service must be there; with `fresh`, online and materialised within its time to live too."""

    source: Name
    service: Service
    project: Name
    fresh: bool = True


class FeaturesGate(Part):
    """The feature store has the version's feature service, and serves it."""

    features: Features
    advisory: bool = False


@dataclass(frozen=True)
class Wanted:
    """One question to a feature store, filled in for one version."""

    source: str
    service: str
    project: str
    fresh: bool

    @property
    def key(self) -> str:
        """The same for the same question."""
        return "/".join((self.source, self.project, self.service, "fresh" if self.fresh else "there"))


@dataclass(frozen=True)
class Looked:
    """What a feature store said last, and when; `at` is None while it has not said anything yet.

    `trouble` says why it could not be asked since.
    """

    wanted: Wanted
    outcome: Outcome = Outcome.INCONCLUSIVE
    sentence: str = ""
    at: datetime | None = None
    trouble: str = ""


def wanted(gate: FeaturesGate, version: ModelVersion) -> Wanted:
    """The gate's question, for this version."""
    asked = gate.features
    names = {"model": version.model, "version": version.version}
    service = _HOLE.sub(lambda hole: names[hole[1]], asked.service)
    return Wanted(asked.source, service, asked.project, asked.fresh)


def questions(gates: Sequence[Any], versions: Sequence[ModelVersion]) -> Iterator[Wanted]:
    """Every question that the gates have about these versions, each once."""
    found = {each.key: each for gate in gates if isinstance(gate, FeaturesGate) for each in _each(gate, versions)}
    yield from found.values()


def _each(gate: FeaturesGate, versions: Sequence[ModelVersion]) -> list[Wanted]:
    return [wanted(gate, version) for version in versions]


def judge(gate: FeaturesGate, version: ModelVersion, looks: Mapping[str, Looked]) -> Verdict:
    """What was found of the gate's feature service, with when it was looked up."""
    asked = wanted(gate, version)
    rule = f"feature service {asked.service} of {asked.project}{' served and fresh' if asked.fresh else ''}"
    look = looks.get(asked.key)
    if look is None or look.at is None:
        why = look.trouble if look and look.trouble else "It is looked up when the promotion is asked for."
        sentence = f"Feature service {asked.service} was not looked up in {asked.source} yet. {why}"
        return Verdict(rule, Outcome.INCONCLUSIVE, sentence, gate.advisory, threshold="there")
    sentence = f"{look.sentence} (Looked up {look.at:%Y-%m-%d %H:%M} UTC.)"
    return Verdict(rule, look.outcome, sentence, gate.advisory, threshold="there")
