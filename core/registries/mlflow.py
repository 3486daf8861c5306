"""An MLflow server as a registry whose versions Baton takes over. REST by httpx; the mlflow package is not needed.

How to use it, in the order of a version's life:

1. `registry = connect(name, policy.registries[name], settings.secret)`, once for each server.
2. Poll. `recent(since)` sees new versions of all models in one call; `versions(model, above)` those of one model above
   the highest number that was seen. Remember every sighting: a high-water mark alone would lose one that is not ready.
   `verify_webhook` (in `core.registries.mlflow_events`) only says where to look sooner.
3. `read(model, version)` until it is a `ForeignVersion`; register its `given` once, for tags may change afterwards, and
   show its `notes`. `NotReady` with `final` will not change by waiting.
4. `write_back(decision)` after a decision, and again after any `Unavailable`; `Written.moved` needs a person.
5. `current(model, mode, target)` for the drift watch: anything but Baton's own champion was moved by somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime

from core.domain.errors import Refused
from core.policy.connections import MLflow
from core.policy.schema import WriteBackMode
from core.ports import ForeignVersion, NotReady, Place, Sighting, WriteBack, Written
from core.registries import mlflow_read, mlflow_write
from core.registries.mlflow_metrics import whole
from core.registries.mlflow_rest import Credentials, Rest, Row, credentials, quoted

PAGE = 200
#: So many aliases are asked for one by one; more are read off the listing of all models.
FEW = 20
#: MLflow keeps prompts as models; they are not.
PROMPT = "mlflow.prompt.is_prompt"


def connect(name: str, settings: MLflow, secret: Callable[[str], str | None]) -> MLflowRegistry:
    """The registry called `name` in the policy. Raises `ValueError` with a sentence about a secret that is missing."""
    return MLflowRegistry(name, settings.url, credentials(settings, secret))


class MLflowRegistry:
    """One MLflow server, as `core.ports.Registry`. Safe to share between threads; `close()` at the end."""

    def __init__(self, name: str, url: str, credentials: Credentials | None = None, timeout: float = 15.0) -> None:
        self.name = name
        self._rest = Rest(name, url, credentials or Credentials(), timeout)

    def close(self) -> None:
        """Let go of the connections."""
        self._rest.close()

    def models(self) -> Iterator[str]:
        """The names of its models, prompts left out."""
        for name, row in self._models():
            if not _is_prompt(row):
                yield name

    def recent(self, since: datetime) -> Iterator[Sighting]:
        """Versions of any model created at `since` or later by the server's clock, newest first."""
        rows = self._rest.pages(
            "model-versions/search", "model_versions", order_by="creation_timestamp DESC", max_results=PAGE
        )
        for row in rows:
            seen = self._sighting(row)
            if seen.at < since:
                return
            if not _is_prompt(row):
                yield seen

    def versions(self, model: str, above: int) -> Iterator[Sighting]:
        """A model's versions with a number above `above`, rising."""
        rows = self._rest.pages(
            "model-versions/search",
            "model_versions",
            filter=f"name={quoted(model)} and version_number > {int(above)}",
            order_by="version_number ASC",
            max_results=PAGE,
        )
        last = above
        for row in rows:
            seen = self._sighting(row)
            if seen.model != model:  # a database may compare names without regard to case
                continue
            if seen.number <= last:
                raise self._rest.puzzled(f"after version {last} of {model[:80]} it listed version {seen.number}")
            last = seen.number
            yield seen

    def read(self, model: str, version: str) -> ForeignVersion | NotReady:
        """Everything that Baton needs to register the version, once its training run has finished."""
        return mlflow_read.read(self._rest, model, version)

    def write_back(self, decision: WriteBack) -> Written:
        """Record the decision; doing it twice is harmless."""
        return mlflow_write.write_back(self._rest, decision)

    def current(self, model: str, mode: WriteBackMode, target: str) -> str | None:
        """What `target` holds now: a version of the model, None, or, where it is neither, words for what is there."""
        return mlflow_write.current(self._rest, model, mode, target)

    def held(self, places: Collection[Place]) -> dict[Place, str | None]:
        """What each of many places holds now. Aliases are read off the listing of models, which tells them all."""
        aliases = {place for place in places if place.mode == "alias"}
        found: dict[Place, str | None] = {}
        if len(aliases) > FEW:
            listed = {name: mlflow_write.aliases_in(row) for name, row in self._models()}
            found = {each: listed[each.model].get(each.target) for each in aliases if each.model in listed}
        else:
            aliases = set()
        for place in set(places) - aliases:
            with suppress(Refused):
                found[place] = self.current(place.model, place.mode, place.target)
        return found

    def moved_by(self, place: Place, found: str, expected: str) -> str:  # noqa: ARG002 (MLflow keeps no record)
        """Nobody knows."""
        return ""

    def target(self, mode: WriteBackMode, model: str, stage: str, last: bool) -> str:
        """What a decision for Baton's `stage` moves; `last` is the policy's last stage."""
        return mlflow_write.default_target(mode, model, stage, last)

    def named(self, mode: WriteBackMode, target: str) -> str:
        """A place in words, without its model."""
        words = {
            "alias": f"the alias {target}",
            "stage": f"the stage {target}",
            "copy": f"the alias champion of {target}",
        }
        return words.get(mode, "nothing")

    def _models(self) -> Iterator[tuple[str, Row]]:
        for row in self._rest.pages("registered-models/search", "registered_models", max_results=PAGE):
            if not isinstance(row.get("name"), str):
                raise self._rest.puzzled("a model without a name")
            yield row["name"], row

    def _sighting(self, row: Row) -> Sighting:
        name, number = row.get("name"), whole(row.get("version"))
        if not isinstance(name, str) or number <= 0:
            raise self._rest.puzzled("a version without a name and number")
        try:
            at = datetime.fromtimestamp(whole(row.get("creation_timestamp")) / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            raise self._rest.puzzled(f"{name[:80]} {number} was created at no time") from None
        return Sighting(name, number, at)


def _is_prompt(row: Row) -> bool:
    return mlflow_read.tags(row.get("tags")).get(PROMPT, "").lower() == "true"
