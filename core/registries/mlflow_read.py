"""Reading one version of an MLflow server whole: its run, its logged model, what was measured, where it came from."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import yaml

from core.domain.errors import NotFound
from core.domain.model import DatasetRef, Lineage, ModelVersion
from core.ports import ForeignVersion, NotReady
from core.registries.limits import DATA_LIMIT, DIGEST_LIMIT, NAME_LIMIT, TAGS_LIMIT, URI_LIMIT, unfit
from core.registries.mlflow_metrics import Chosen, Point, choose, points, row_count, settled, text
from core.registries.mlflow_rest import Rest, Row

#: A version may be a copy of a copy; a chain that is longer goes in circles.
LONGEST_CHAIN = 5
#: Runs that a logged model's metrics may come from: its own and those that evaluated it later.
MOST_RUNS = 10
#: Data sets that a run used for measuring, not for training.
MEASURED_ON = frozenset({"eval", "evaluation", "test", "testing", "validation", "valid", "val", "holdout"})
RUNNING, ENDED_BADLY = frozenset({"RUNNING", "SCHEDULED"}), frozenset({"FAILED", "KILLED"})
_LOGGED = re.compile(r"models:/(m-[0-9A-Za-z]{1,64})")
_COPIED = re.compile(r"models:/([^/:]+)/([0-9]{1,9})")


class _Wait(Exception):
    """It must not be registered yet."""

    def __init__(self, sentence: str, final: bool = False) -> None:
        super().__init__(sentence)
        self.not_ready = NotReady(sentence, final)


@dataclass
class _Told:
    """What the server told so far."""

    version: Row
    logged: Row = field(default_factory=dict)
    run: Row = field(default_factory=dict)
    runs: dict[str, Row] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def logged_tags(self) -> dict[str, str]:
        return tags(_part(self.logged, "info").get("tags"))

    @property
    def run_tags(self) -> dict[str, str]:
        return tags(_part(self.run, "data").get("tags"))


def read(rest: Rest, model: str, version: str) -> ForeignVersion | NotReady:
    """See `core.ports.Registry.read`. The tag `baton.ready: true` on the version says not to wait for its run."""
    try:
        told = _gathered(rest, model, version)
    except _Wait as wait:
        return wait.not_ready
    chosen = _chosen(rest, told)
    told.notes += chosen.notes
    uri = _location(rest, told)
    description = rest.file(uri, "MLmodel")
    if description is None:
        told.notes.append("Its MLmodel file is not to be had from the MLflow server, so its signature was not read.")
    given = ModelVersion(
        model=model,
        version=version,
        artifact_uri=_kept(told, "its artifact's address", uri, URI_LIMIT),
        digest=_digest(told, description),
        lineage=_lineage(rest, told),
        measurements=chosen.measurements,
        tags=_tags(told, chosen, description),
    )
    return ForeignVersion(rest.name, given, tuple(told.notes))


def version_row(rest: Rest, model: str, version: str) -> Row:
    """A version as the server has it now. Raises `NotFound`."""
    try:
        found = rest.get("model-versions/get", name=model, version=version).get("model_version")
    except NotFound:
        raise NotFound(
            "not-in-registry",
            f"The registry {rest.name} has no {model} {version} any more: the version was deleted, or the model renamed.",
        ) from None
    if not isinstance(found, dict) or str(found.get("version")) != version or found.get("name") != model:
        raise rest.puzzled(f"asked for {model} {version}, it told of something else")
    return found


def tags(rows: object) -> dict[str, str]:
    """Tags as MLflow lists them."""
    return {
        row["key"]: row["value"]
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict) and isinstance(row.get("key"), str) and isinstance(row.get("value"), str)
    }


def copied_from(source: object) -> tuple[str, str] | None:
    """The model and version that a version is a copy of."""
    match = _COPIED.fullmatch(text(source))
    return (match[1], match[2]) if match else None


# -- gathering -----------------------------------------------------------------------------------------------------


def _gathered(rest: Rest, model: str, version: str) -> _Told:
    """Everything that decides whether to wait, the run before its metrics: once it has finished they stay."""
    told = _Told(version_row(rest, model, version))
    status = text(told.version.get("status")) or "READY"
    if status != "READY":
        why = text(told.version.get("status_message")) or "its files are not there yet"
        raise _Wait(f"{model} {version} is {status} in {rest.name}: {why[:200]}.", status == "FAILED_REGISTRATION")
    patient = tags(told.version.get("tags")).get("baton.ready", "").lower() != "true"
    logged_id = _logged_model(rest, told.version)
    run_id = text(told.version.get("run_id"))
    if not run_id and logged_id:
        run_id = text(_part(_logged(rest, told, logged_id), "info").get("source_run_id"))
    if run_id:
        told.run = _run(rest, told, run_id)
        _wait_for(told.run, f"{model} {version}", "run", patient)
    else:
        told.notes.append("It belongs to no run, so nothing is known of its data, code and trainer.")
    told.logged = _logged(rest, told, logged_id) if logged_id else {}
    for each in points(_part(told.logged, "data").get("metrics"), of_model=True):
        if each.run and each.run not in told.runs and len(told.runs) < MOST_RUNS:
            _wait_for(_run(rest, told, each.run), f"{model} {version}", "evaluation run", patient)
    return told


def _logged_model(rest: Rest, version: Row) -> str:
    """The id of the logged model behind a version, by way of the versions that it is a copy of."""
    for _ in range(LONGEST_CHAIN):
        source = text(version.get("source"))
        if match := _LOGGED.fullmatch(source):
            return match[1]
        original = copied_from(source)
        if original is None:
            return ""
        try:
            version = version_row(rest, *original)
        except NotFound:
            return ""
    return ""


def _logged(rest: Rest, told: _Told, logged_id: str) -> Row:
    return _found(rest, told, f"logged-models/{logged_id}", "model", "logged model")


def _run(rest: Rest, told: _Told, run_id: str) -> Row:
    """A run, asked for once; {} when it is gone."""
    if run_id not in told.runs:
        told.runs[run_id] = _found(rest, told, "runs/get", "run", f"run {run_id[:40]}", run_id=run_id)
        if _part(told.runs[run_id], "info").get("lifecycle_stage") == "deleted":
            told.notes.append(f"Its run {run_id[:40]} is in MLflow's trash.")
    return told.runs[run_id]


def _found(rest: Rest, told: _Told, path: str, key: str, what: str, **params: str) -> Row:
    try:
        return _part(rest.get(path, **params), key)
    except NotFound:
        note = f"Its {what} is no longer in {rest.name}."
        told.notes += [note] if note not in told.notes else []
        return {}


def _wait_for(run: Row, subject: str, what: str, patient: bool) -> None:
    status = text(_part(run, "info").get("status"))
    if status in RUNNING and patient:
        raise _Wait(f"The {what} of {subject} is still {status.lower()}; it is read when that has finished.")
    if status in ENDED_BADLY and what == "run":
        raise _Wait(f"The run of {subject} ended as {status.lower()}; only finished runs are taken over.", True)


# -- what it is ------------------------------------------------------------------------------------------------------


def _chosen(rest: Rest, told: _Told) -> Chosen:
    of_run = points(_part(told.run, "data").get("metrics"))
    of_model, strays = [], set[str]()
    for point in points(_part(told.logged, "data").get("metrics"), of_model=True):
        if point.run and not _finished(told, point.run):
            strays.add(point.key)
            continue
        of_model.append(_settled(rest, told, point) if point.doubtful else point)
    told.notes += [f"{key} comes from a run that is gone or did not finish; it was left out." for key in sorted(strays)]
    return choose(of_model, of_run, _row_counts(told))


def _finished(told: _Told, run_id: str) -> bool:
    run = told.runs.get(run_id)
    return bool(run) and text(_part(run or {}, "info").get("status")) not in ENDED_BADLY


def _settled(rest: Rest, told: _Told, point: Point) -> Point:
    """A zero of the logged model, held against its run's values: MLflow shows NaN as 0.0 there."""
    last = points(_part(told.runs.get(point.run, {}), "data").get("metrics"))
    if point.run and not any((each.key, each.age) == (point.key, point.age) for each in last):
        try:
            history = rest.pages("metrics/get-history", "metrics", run_id=point.run, metric_key=point.key)
            last = points(list(history))
        except NotFound:
            last = []
    return settled(point, last)


def _row_counts(told: _Told) -> dict[tuple[str, str], int]:
    counts: dict[tuple[str, str], int] = {}
    for run in told.runs.values():
        for each, _ in _datasets(run):
            rows = row_count(each.get("profile"))
            if rows is not None:
                counts[text(each.get("name")), text(each.get("digest"))] = rows
    return counts


def _datasets(run: Row) -> Iterator[tuple[Row, str]]:
    """The data sets that a run used, each with what for."""
    inputs = _part(run, "inputs").get("dataset_inputs")
    for each in inputs if isinstance(inputs, list) else []:
        if isinstance(each, dict) and isinstance(each.get("dataset"), dict):
            yield each["dataset"], tags(each.get("tags")).get("mlflow.data.context", "").lower()


def _lineage(rest: Rest, told: _Told) -> Lineage:
    info, said = _part(told.run, "info"), told.run_tags
    data = {
        DatasetRef(text(each.get("name")), text(each.get("digest"))): None
        for each, context in _datasets(told.run)
        if context not in MEASURED_ON
    }
    fitting = [each for each in data if not unfit(each.name, NAME_LIMIT, True) and not unfit(each.digest, DIGEST_LIMIT)]
    if len(fitting) < len(data) or len(fitting) > DATA_LIMIT:
        told.notes.append("Some of its data sets were left out: too many, or with names that cannot be kept.")
    run_id, experiment = text(info.get("run_id")), text(info.get("experiment_id"))
    where = f"{rest.base}/#/experiments/{quote(experiment, safe='')}/runs/{quote(run_id, safe='')}" if run_id else ""
    trainer = said.get("mlflow.user") or text(info.get("user_id"))
    return Lineage(
        data=tuple(fitting[:DATA_LIMIT]),
        repo=_kept(told, "its repository", _without_user(said.get("mlflow.source.git.repoURL", "")), URI_LIMIT),
        commit=_kept(told, "its commit", said.get("mlflow.source.git.commit", ""), DIGEST_LIMIT),
        run_url=_kept(told, "its run's address", where, URI_LIMIT),
        trained_by=_kept(told, "its trainer", trainer, NAME_LIMIT),
    )


def _location(rest: Rest, told: _Told) -> str:
    """Where the files are; the server resolves copies and logged models."""
    name, version = text(told.version.get("name")), str(told.version.get("version"))
    try:
        uri = rest.get("model-versions/get-download-uri", name=name, version=version).get("artifact_uri")
    except NotFound:
        uri = None
    return text(uri) or text(told.version.get("source"))


def _digest(told: _Told, description: bytes | None) -> str:
    """The fingerprint that a training pipeline put into the tag `baton.digest`, else that of the MLmodel file."""
    said = tags(told.version.get("tags")).get("baton.digest") or told.logged_tags.get("baton.digest") or ""
    if said:
        if said.isascii() and said.isprintable() and " " not in said and len(said) <= DIGEST_LIMIT:
            return said
        told.notes.append("Its tag baton.digest cannot be a digest and was left out.")
        return ""
    if description is None:
        return ""
    told.notes.append("Its digest is that of its MLmodel file; a tag baton.digest would be that of its bytes.")
    return f"mlmodel-sha256:{hashlib.sha256(description).hexdigest()}"


def _tags(told: _Told, chosen: Chosen, description: bytes | None) -> dict[str, str]:
    """The version's own tags but for those of Baton and MLflow, and what gates and people ask for."""
    made = {
        "mlflow.run_id": text(_part(told.run, "info").get("run_id")),
        "mlflow.model_id": text(_part(told.logged, "info").get("model_id")),
        "mlflow.metrics": _clipped("; ".join(chosen.sources)),
        "mlflow.signature": _signature(told, description),
    }
    kept = {key: value for key, value in made.items() if value}
    for key, value in sorted(tags(told.version.get("tags")).items()):
        if key.startswith(("baton.", "mlflow.")):
            continue
        if unfit(key, NAME_LIMIT, True) or unfit(value, URI_LIMIT) or len(kept) >= TAGS_LIMIT:
            told.notes.append(f"A tag was left out, too long or of several lines: {_clipped(key, 60)}.")
            continue
        kept[key] = value
    return kept


def _signature(told: _Told, description: bytes | None) -> str:
    """What the model takes: a JSON list of {name, type, required}."""
    try:
        said = yaml.safe_load(description or b"")
        signature = said.get("signature") if isinstance(said, dict) else None
        inputs = json.loads(signature["inputs"]) if isinstance(signature, dict) else None
    except (yaml.YAMLError, ValueError, KeyError, TypeError, RecursionError):
        told.notes.append("The signature in its MLmodel file cannot be read.")
        return ""
    if inputs is None:
        return ""
    compact = json.dumps(inputs, separators=(",", ":"))
    if unfit(compact, URI_LIMIT):
        told.notes.append(f"Its signature is too long to be kept ({len(compact):,} characters).")
        return ""
    return compact


def _kept(told: _Told, what: str, value: str, limit: int) -> str:
    if not unfit(value, limit):
        return value
    told.notes.append(f"Of {what}, too long or of several lines, nothing was taken over.")
    return ""


def _without_user(url: str) -> str:
    """A repository's address as people clone it may hold a token."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if not parts.scheme or "@" not in parts.netloc:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _clipped(value: str, limit: int = URI_LIMIT) -> str:
    flat = "".join(char if char.isprintable() else " " for char in value)
    return flat if len(flat) <= limit else f"{flat[: limit - 1]}…"


def _part(row: Row, key: str) -> Row:
    found = row.get(key)
    return found if isinstance(found, dict) else {}
