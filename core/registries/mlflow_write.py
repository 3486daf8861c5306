"""Writing a decision back to an MLflow server, so that doing it twice changes nothing.

MLflow knows no compare-and-set: of twenty concurrent writers of an alias all are told yes, and the last one wins. So the
caller holds Baton's own lock, and here is compared before anything is written and read back afterwards: tags on the
candidate, then the `previous_…` alias, then what is to move.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

from core.domain.errors import Conflict, NotFound
from core.policy.schema import WriteBackMode
from core.ports import WriteBack, Written
from core.registries.mlflow_metrics import text
from core.registries.mlflow_read import copied_from, tags, version_row
from core.registries.mlflow_rest import Rest, Row, quoted

#: The alias that a copied-to model's serving version has.
CHAMPION = "champion"
LONGEST_TAG = 5_000


def default_target(mode: WriteBackMode, model: str, stage: str, last: bool) -> str:
    """What a decision for Baton's `stage` moves where nobody says otherwise; `last` is the policy's last stage.

    alias: `champion` for the last stage, else the stage's name. stage: `Production`, else `Staging`. copy: the model
    `MODEL-STAGE`. Names that MLflow reserves or refuses are changed.
    """
    if mode == "stage":
        return "Production" if last else "Staging"
    if mode == "copy":
        return f"{model}-{stage}".translate({ord(char): "-" for char in "/:"})
    if mode == "tags-only":
        return ""
    alias = CHAMPION if last else re.sub(r"[^A-Za-z0-9_-]", "-", stage)
    return f"stage-{alias}" if alias == "latest" or re.fullmatch(r"[vV][0-9]+", alias) else alias


def current(rest: Rest, model: str, mode: WriteBackMode, target: str) -> str | None:
    """What `target` holds now: a version of the model, None, or, where it is neither, words for what is there."""
    return None if mode == "tags-only" else PLACES[mode](rest, model, target).read()


def write_back(rest: Rest, decision: WriteBack) -> Written:
    """See `core.ports.Registry.write_back`."""
    subject = f"{decision.model} {decision.version}"
    row = version_row(rest, decision.model, decision.version)
    if decision.mode == "tags-only":
        wrote = _write_tags(rest, row, decision)
        return _done(wrote, f"{subject} is tagged {decision.decision} in {rest.name}.")
    place = PLACES[decision.mode](rest, decision.model, decision.target)
    there = place.read()
    if there not in (decision.version, decision.previous):
        return Written(
            "moved",
            f"In {rest.name}, {place} holds {there or 'nothing'} instead of {decision.previous or 'nothing'}; somebody "
            f"moved it since {decision.request} was decided, so Baton left it there.",
        )
    wrote = _write_tags(rest, row, decision)
    note = ""
    if decision.previous not in (None, decision.version):
        wrote, note = _write_pointer(place, decision, wrote)
    if there != decision.version:
        wrote = True
        place.write(decision.version, decision.request)
        there = place.read()
    if there != decision.version:
        return Written(
            "moved",
            f"In {rest.name}, {place} holds {there or 'nothing'} right after Baton wrote {decision.version}; "
            "somebody moved it at the same moment.",
        )
    return _done(wrote, f"In {rest.name}, {place} holds {decision.version}.{note}")


def _done(wrote: bool, sentence: str) -> Written:
    return Written("written" if wrote else "unchanged", sentence)


def _write_tags(rest: Rest, row: Row, decision: WriteBack) -> bool:
    """Set those that differ, as every setting is an event to others; True when there were some."""
    wanted = {
        "baton.request": decision.request,
        "baton.decision": decision.decision,
        "baton.decided_by": decision.decided_by,
        "baton.decided_at": decision.decided_at,
        "baton.deployment": decision.deployment,
        "baton.report_url": decision.report_url,
    }
    there = tags(row.get("tags"))
    differing = {key: value[:LONGEST_TAG] for key, value in wanted.items() if value}
    differing = {key: value for key, value in differing.items() if there.get(key) != value}
    for key, value in differing.items():
        rest.post("model-versions/set-tag", name=decision.model, version=decision.version, key=key, value=value)
    return bool(differing)


def _write_pointer(place: Place, decision: WriteBack, wrote: bool) -> tuple[bool, str]:
    """Remember the version to go back to; a rollback leaves none that points at what now serves."""
    there = place.pointed()
    if decision.undoes:
        if there == decision.version:
            place.point(None)
            return True, ""
        return wrote, ""
    if there == decision.previous:
        return wrote, ""
    try:
        place.point(decision.previous)
    except NotFound:
        return wrote, f" {decision.model} {decision.previous} is gone, so {place.pointer} was not set."
    return True, ""


class Place(ABC):
    """What a decision moves: reads which version it holds, writes another one, and keeps the `previous_…` alias."""

    def __init__(self, rest: Rest, model: str, target: str) -> None:
        self.rest = rest
        self.model = model
        self.target = target
        self.pointer = f"previous_{target.lower()}"

    @abstractmethod
    def __str__(self) -> str: ...

    @abstractmethod
    def read(self) -> str | None:
        """The version that it holds."""

    @abstractmethod
    def write(self, version: str, request: str) -> None:
        """Have it hold `version`."""

    def pointed(self) -> str | None:
        """The version that the `previous_…` alias holds."""
        return _aliases(self.rest, self.model).get(self.pointer)

    def point(self, version: str | None) -> None:
        """Set the `previous_…` alias, or remove it."""
        if version is None:
            self.rest.delete("registered-models/alias", name=self.model, alias=self.pointer)
        else:
            _set_alias(self.rest, self.model, self.pointer, version)


class Alias(Place):
    """An alias of the model."""

    def __str__(self) -> str:
        return f"the alias {self.target} of {self.model}"

    def read(self) -> str | None:
        """The version that it holds."""
        return _aliases(self.rest, self.model).get(self.target)

    def write(self, version: str, request: str) -> None:  # noqa: ARG002 (a copy is marked with it)
        """Move it; the old version loses it in the same moment."""
        _set_alias(self.rest, self.model, self.target, version)


class Stage(Place):
    """One of MLflow's own stages, deprecated there since 2.9."""

    def __str__(self) -> str:
        return f"the stage {self.target} of {self.model}"

    def read(self) -> str | None:
        """The version in it; several are named together, which is no version."""
        _aliases(self.rest, self.model)  # a model that is gone has no versions either, but must be told apart
        rows = self.rest.pages(
            "model-versions/search", "model_versions", filter=f"name={quoted(self.model)}", max_results=1_000
        )
        found = [str(row.get("version")) for row in rows if row.get("current_stage") == self.target]
        return " and ".join(sorted(found)) or None

    def write(self, version: str, request: str) -> None:  # noqa: ARG002 (a copy is marked with it)
        """Move the version there and archive what was."""
        self.rest.post(
            "model-versions/transition-stage",
            name=self.model,
            version=version,
            stage=self.target,
            archive_existing_versions=True,
        )


class Copy(Place):
    """Another model that approved versions are copied to, whose champion is an alias there.

    The alias, not the newest copy, says what serves: else nothing could be rolled back.
    """

    def __init__(self, rest: Rest, model: str, target: str) -> None:
        super().__init__(rest, model, target)
        self.pointer = f"previous_{CHAMPION}"

    def __str__(self) -> str:
        return f"the alias {CHAMPION} of {self.target}"

    def read(self) -> str | None:
        """The version whose copy it holds; words for a version that is no copy of ours."""
        return self._held(CHAMPION)

    def write(self, version: str, request: str) -> None:
        """Copy the version unless it was copied before, and move the alias to the copy."""
        copy = self._copy(version)
        if copy is None:
            self._create(version)
            copy = self._copy(version)
        if copy is None:
            raise self.rest.puzzled(f"{self.target} has no copy of {self.model} {version} after it was made")
        if tags(version_row(self.rest, self.target, copy).get("tags")).get("baton.request") != request:
            self.rest.post("model-versions/set-tag", name=self.target, version=copy, key="baton.request", value=request)
        _set_alias(self.rest, self.target, CHAMPION, copy)

    def pointed(self) -> str | None:
        """The version whose copy the `previous_champion` alias holds."""
        return self._held(self.pointer)

    def point(self, version: str | None) -> None:
        """Set it to the copy of a version, or remove it."""
        if version is None:
            self.rest.delete("registered-models/alias", name=self.target, alias=self.pointer)
            return
        copy = self._copy(version)
        if copy is None:
            raise NotFound("not-in-registry", f"{self.target} has no copy of {self.model} {version}.")
        _set_alias(self.rest, self.target, self.pointer, copy)

    def _held(self, alias: str) -> str | None:
        try:
            held = _aliases(self.rest, self.target).get(alias)
        except NotFound:  # nothing was ever copied
            return None
        if held is None:
            return None
        source = version_row(self.rest, self.target, held).get("source")
        original = copied_from(source)
        if original is None or original[0] != self.model:
            return f"version {held} of {self.target}, no copy of {self.model}"
        return original[1]

    def _source(self, version: str) -> str:
        return f"models:/{self.model}/{version}"

    def _copy(self, version: str) -> str | None:
        """The first copy: a creation whose answer was lost may have been repeated by somebody else."""
        wanted = f"name={quoted(self.target)} and source_path={quoted(self._source(version))}"
        rows = self.rest.pages("model-versions/search", "model_versions", filter=wanted, max_results=200)
        numbers = [int(str(row["version"])) for row in rows if row.get("source") == self._source(version)]
        return str(min(numbers)) if numbers else None

    def _create(self, version: str) -> None:
        try:
            self.rest.post("registered-models/create", name=self.target)
        except Conflict as there:
            if there.slug != "registry-exists":
                raise
        self.rest.post("model-versions/create", name=self.target, source=self._source(version))


PLACES: dict[str, type[Place]] = {"alias": Alias, "stage": Stage, "copy": Copy}


def _aliases(rest: Rest, model: str) -> dict[str, str]:
    """All aliases of a model. An alias that is not there is simply not among them, where asking for it answers 400."""
    try:
        found = rest.get("registered-models/get", name=model).get("registered_model")
    except NotFound:
        raise NotFound(
            "not-in-registry", f"The registry {rest.name} has no model {model} any more: it was renamed or deleted."
        ) from None
    if not isinstance(found, dict) or found.get("name") != model:
        raise rest.puzzled(f"asked for {model}, it told of something else")
    return aliases_in(found)


def aliases_in(row: Row) -> dict[str, str]:
    """The aliases that a model's row tells, with the version of each."""
    rows = row.get("aliases") or []
    return {text(each.get("alias")): str(each.get("version")) for each in rows if isinstance(each, dict)}


def _set_alias(rest: Rest, model: str, alias: str, version: str) -> None:
    rest.post("registered-models/alias", name=model, alias=alias, version=version)
