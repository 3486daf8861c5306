"""An MLflow server of a page: as strict as the real one where Baton depends on it, quirks included.

`tests/fakes/mlflow_contract.py` runs against this and against the real server. `MLflow.rules` lets a test answer a call
otherwise: a function of the call that returns (status, headers, body), or None to have it answered as usual.
"""

from __future__ import annotations

import json
import math
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

Row = dict[str, Any]
API, ARTIFACTS = "/api/2.0/mlflow/", "/api/2.0/mlflow-artifacts/artifacts/"
METRIC_NAME = re.compile(r"[/\w.\- :]+")
HOST_REFUSED = "Invalid Host header - possible DNS rebinding attack detected"
STAGES = ("None", "Staging", "Production", "Archived")


@dataclass
class Call:
    """One request, as the rules see it."""

    method: str
    path: str  #: without the API's prefix
    params: Row
    headers: dict[str, str]
    body: bytes = b""


Answer = tuple[int, dict[str, str], bytes]
Rule = Callable[[Call], Answer | None]


class Problem(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.answer = (status, {}, json.dumps({"error_code": code, "message": message}).encode())


def missing(what: str) -> Problem:
    return Problem(404, "RESOURCE_DOES_NOT_EXIST", f"{what} not found")


def invalid(what: str) -> Problem:
    return Problem(400, "INVALID_PARAMETER_VALUE", what)


def fields(given: Row, required: str = "", optional: str = "") -> list[Any]:
    """The values in the order asked; the fake refuses what the real server would overlook."""
    unknown = set(given) - set(required.split()) - set(optional.split())
    lacking = set(required.split()) - set(given)
    if unknown or lacking:
        raise invalid(f"unknown {sorted(unknown)}, missing {sorted(lacking)}")
    return [given.get(name) for name in (*required.split(), *optional.split())]


@dataclass
class State:
    now: int = 1_795_404_670_000
    models: dict[str, Row] = field(default_factory=dict)
    versions: list[Row] = field(default_factory=list)
    newest: dict[str, int] = field(default_factory=dict)
    runs: dict[str, Row] = field(default_factory=dict)
    history: dict[tuple[str, str], list[Row]] = field(default_factory=dict)
    logged: dict[str, Row] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def tick(self) -> int:
        self.now += 7
        return self.now

    def model(self, name: str) -> Row:
        if name not in self.models:
            raise missing(f"Registered Model with name={name}")
        return self.models[name]

    def version(self, name: str, number: str) -> Row:
        for row in self.versions:
            if (row["name"], row["version"]) == (name, str(number)):
                return row
        raise missing(f"Model Version (name={name}, version={number})")

    def run(self, run_id: str) -> Row:
        if run_id not in self.runs:
            raise missing(f"Run with id={run_id}")
        return self.runs[run_id]


class MLflow:
    """The server. `calls` holds every call that arrived."""

    def __init__(self) -> None:
        self.state = State()
        self.calls: list[Call] = []
        self.rules: list[Rule] = []
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                status, headers, answer = fake._answer(self.command, self.path, dict(self.headers.items()), body)
                self.send_response(status)
                for name, value in ({"content-type": "application/json"} | headers).items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 (the base class asks for them)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass  # whoever hung up on us meant it

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> MLflow:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def writes(self) -> list[str]:
        """What was asked to change, in order."""
        return [call.path for call in self.calls if call.method != "GET"]

    def _answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        parts = urlsplit(target)
        path = unquote(parts.path)
        call = Call(method, path.removeprefix(API), dict(parse_qsl(parts.query)), headers, body)
        with self._lock:
            self.calls.append(call)
            try:
                for rule in self.rules:
                    answer = rule(call)
                    if answer is not None:
                        return answer
                if path.startswith(ARTIFACTS):
                    return self._artifact(method, path.removeprefix(ARTIFACTS), body)
                if not path.startswith(API):
                    return 404, {"content-type": "text/html"}, b"<!doctype html>\n<title>404 Not Found</title>"
                given = json.loads(body) if body else call.params
                return 200, {}, json.dumps(self._act(method, call.path, given)).encode()
            except Problem as problem:
                return problem.answer

    def _artifact(self, method: str, path: str, body: bytes) -> Answer:
        if method == "PUT":
            self.state.files[path] = body
            return 200, {}, b"{}"
        if path not in self.state.files:
            raise missing(f"No such artifact: '{path}'")
        return 200, {"content-type": "application/octet-stream"}, self.state.files[path]

    def _act(self, method: str, path: str, given: Row) -> Row:
        if path.startswith("logged-models/"):
            return self._logged(method, path.partition("/")[2], given)
        act = getattr(self, f"_{method.lower()}_{re.sub('[-/]', '_', path)}", None)
        if act is None:
            raise Problem(404, "ENDPOINT_NOT_FOUND", f"{method} {path}")
        return act(given) or {}

    # -- models and versions ---------------------------------------------------------------------------------------

    def _post_registered_models_create(self, given: Row) -> Row:
        name, tags, _ = fields(given, "name", "tags description")
        if "/" in name or ":" in name:
            raise invalid(f"Invalid model name '{name}'. Names cannot contain '/' or ':'.")
        if name in self.state.models:
            raise Problem(400, "RESOURCE_ALREADY_EXISTS", f"Registered Model (name={name}) already exists.")
        self.state.models[name] = {"name": name, "aliases": {}, "tags": tags or []}
        return {"registered_model": {"name": name}}

    def _get_registered_models_get(self, given: Row) -> Row:
        row = self.state.model(*fields(given, "name"))
        return {"registered_model": self._shown_model(row)}

    @staticmethod
    def _shown_model(row: Row) -> Row:
        shown = {"name": row["name"], "tags": row["tags"]}
        aliases = [{"alias": alias, "version": version} for alias, version in row["aliases"].items()]
        return shown | ({"aliases": aliases} if aliases else {})

    def _get_registered_models_search(self, given: Row) -> Row:
        most, token = fields(given, "max_results", "page_token")
        rows = [self.state.models[name] for name in sorted(self.state.models)]
        page = self._page("registered_models", rows, most, token, 1_000)
        return page | {key: [self._shown_model(row) for row in page[key]] for key in page if key == "registered_models"}

    def _post_registered_models_rename(self, given: Row) -> Row:
        old, new = fields(given, "name new_name")
        self.state.models[new] = self.state.model(old) | {"name": new}
        del self.state.models[old]
        for row in self.state.versions:
            row["name"] = new if row["name"] == old else row["name"]
        return {}

    def _post_registered_models_alias(self, given: Row) -> None:
        name, alias, version = fields(given, "name alias version")
        if not re.fullmatch(r"[\w-]+", alias) or alias == "latest" or re.fullmatch(r"v\d+", alias, re.IGNORECASE):
            raise invalid(f"Invalid alias name: '{alias}'.")
        self.state.model(name)["aliases"][alias] = self.state.version(name, version)["version"]

    def _delete_registered_models_alias(self, given: Row) -> None:
        name, alias = fields(given, "name alias")
        self.state.model(name)["aliases"].pop(alias, None)

    def _post_model_versions_create(self, given: Row) -> Row:
        name, source, run_id, model_id, tags = fields(given, "name source", "run_id model_id tags")
        self.state.model(name)
        if source.startswith("models:/m-") and model_id != source.removeprefix("models:/"):
            raise invalid("model_id request parameter must identify the resource")
        if copied := re.fullmatch(r"models:/([^/]+)/(\d+)", source):
            run_id = self.state.version(*copied.groups())["run_id"]
        number = self.state.newest[name] = self.state.newest.get(name, 0) + 1
        now = self.state.tick()
        row = {
            "name": name, "version": str(number), "creation_timestamp": now, "last_updated_timestamp": now,
            "current_stage": "None", "description": "", "source": source, "run_id": run_id or "", "status": "READY",
            "run_link": "", "tags": tags or [],
        }  # fmt: skip
        self.state.versions.append(row)
        return {"model_version": row}

    def _get_model_versions_get(self, given: Row) -> Row:
        return {"model_version": self._shown_version(self.state.version(*fields(given, "name version")))}

    def _shown_version(self, row: Row) -> Row:
        aliases = [each for each, held in self.state.models[row["name"]]["aliases"].items() if held == row["version"]]
        return {**row, **({"aliases": aliases} if aliases else {})}

    def _delete_model_versions_delete(self, given: Row) -> None:
        self.state.versions.remove(self.state.version(*fields(given, "name version")))

    def _get_model_versions_search(self, given: Row) -> Row:
        most, asked, order, token = fields(given, "max_results", "filter order_by page_token")
        rows = [row for row in self.state.versions if self._fits(row, asked or "")]
        by, _, direction = (order or "name ASC").partition(" ")
        key = {"version_number": lambda row: int(row["version"]), "creation_timestamp": lambda row: row[by]}
        rows.sort(key=key.get(by, lambda row: (row["name"], -int(row["version"]))), reverse=direction == "DESC")
        return self._page("model_versions", rows, most, token, 200_000)

    @staticmethod
    def _fits(row: Row, asked: str) -> bool:
        for clause in filter(None, re.split(r" and (?=\w+ ?[=>])", asked)):
            match = re.fullmatch(r"(\w+) ?(=|>) ?(?:'([^']*)'|\"([^\"]*)\"|(\d+))", clause)
            if match is None or match[1] not in ("name", "source_path", "version_number"):
                raise invalid(f"Invalid clause(s) in filter string: {clause!r}")
            column, comparison, single, double, number = match.groups()
            if column == "version_number":
                if comparison != ">" or not int(row["version"]) > int(number):
                    return False
            elif row["source" if column == "source_path" else column] != (single if double is None else double):
                return False
        return True

    @staticmethod
    def _page(key: str, rows: list[Row], most: str, token: str | None, limit: int) -> Row:
        if int(most) > limit:
            raise invalid(f"Invalid value {most!r} for parameter 'max_results' supplied")
        start, size = int(token or 0), int(most)
        rest = {"next_page_token": str(start + size)} if start + size < len(rows) else {}
        return ({key: rows[start : start + size]} if rows else {}) | rest

    def _post_model_versions_set_tag(self, given: Row) -> None:
        name, version, key, value = fields(given, "name version key value")
        if len(value) > 100_000:
            raise invalid("tag value exceeds the maximum length of 100000 characters")
        row = self.state.version(name, version)
        row["tags"] = [tag for tag in row["tags"] if tag["key"] != key] + [{"key": key, "value": value}]

    def _post_model_versions_transition_stage(self, given: Row) -> Row:
        name, version, stage, archive = fields(given, "name version stage", "archive_existing_versions")
        if stage not in STAGES:
            raise invalid(f"Invalid Model Version stage: {stage}. Value must be one of {', '.join(STAGES)}.")
        chosen = self.state.version(name, version)
        for row in self.state.versions:
            if archive and row["name"] == name and row["current_stage"] == stage:
                row["current_stage"] = "Archived"
        chosen["current_stage"] = stage
        return {"model_version": chosen}

    def _get_model_versions_get_download_uri(self, given: Row) -> Row:
        row = self.state.version(*fields(given, "name version"))
        while copied := re.fullmatch(r"models:/([^/]+)/(\d+)", row["source"]):
            row = self.state.version(*copied.groups())
        logged = self.state.logged.get(row["source"].removeprefix("models:/"))
        return {"artifact_uri": logged["info"]["artifact_uri"] if logged else row["source"]}

    # -- runs and logged models ------------------------------------------------------------------------------------

    def _post_runs_create(self, given: Row) -> Row:
        experiment, start, tags = fields(given, "experiment_id", "start_time tags")
        run_id = secrets.token_hex(16)
        info = {
            "run_id": run_id, "experiment_id": experiment, "status": "RUNNING", "start_time": start, "user_id": "",
            "lifecycle_stage": "active",
        }  # fmt: skip
        self.state.runs[run_id] = {"info": info, "data": {"metrics": [], "tags": tags or []}, "inputs": {}}
        return {"run": self.state.runs[run_id]}

    def _get_runs_get(self, given: Row) -> Row:
        return {"run": self.state.run(*fields(given, "run_id"))}

    def _post_runs_update(self, given: Row) -> None:
        run_id, status, _ = fields(given, "run_id status", "end_time")
        self.state.run(run_id)["info"]["status"] = status

    def _post_runs_delete(self, given: Row) -> None:
        self.state.run(*fields(given, "run_id"))["info"]["lifecycle_stage"] = "deleted"

    def _post_runs_log_inputs(self, given: Row) -> None:
        run_id, datasets = fields(given, "run_id datasets")
        self.state.run(run_id)["inputs"].setdefault("dataset_inputs", []).extend(datasets)

    def _post_runs_log_metric(self, given: Row) -> None:
        run_id, key, value, timestamp, step, model_id, dataset, digest = fields(
            given, "run_id key value timestamp", "step model_id dataset_name dataset_digest"
        )
        if not METRIC_NAME.fullmatch(key):
            raise invalid(f"Invalid value {key!r} for parameter 'name' supplied: Names may only contain …")
        step, raw_nan = step or 0, isinstance(value, float) and math.isnan(value)
        if raw_nan:
            value, timestamp = 0.0, 0
        elif value in ("Infinity", "-Infinity"):
            value = math.copysign(1.7976931348623157e308, float(value))
        row = {"key": key, "value": value, "timestamp": timestamp, "step": step}
        run = self.state.run(run_id)
        self.state.history.setdefault((run_id, key), []).append(row)
        there = [each for each in run["data"]["metrics"] if each["key"] == key]
        if not there or (there[0]["step"], there[0]["timestamp"]) <= (step, timestamp):
            others = [each for each in run["data"]["metrics"] if each["key"] != key]
            run["data"]["metrics"] = [*others, row]
        if model_id:
            linked = {"dataset_name": dataset, "dataset_digest": digest} if dataset else {}
            told = row | {"value": 0.0 if value == "NaN" else value}  # the table of logged models' metrics knows no NaN
            metrics = self.state.logged[model_id]["data"].setdefault("metrics", [])
            metrics.append(told | linked | {"model_id": model_id, "run_id": run_id})

    def _get_metrics_get_history(self, given: Row) -> Row:
        run_id, key, _ = fields(given, "run_id metric_key", "page_token")
        self.state.run(run_id)
        return {"metrics": self.state.history.get((run_id, key), [])}

    def _post_logged_models(self, given: Row) -> Row:
        experiment, name, run_id = fields(given, "experiment_id name source_run_id")
        model_id = f"m-{secrets.token_hex(16)}"
        uri = f"mlflow-artifacts:/{experiment}/models/{model_id}/artifacts"
        info = {"model_id": model_id, "name": name, "source_run_id": run_id, "artifact_uri": uri}
        self.state.logged[model_id] = {"info": info | {"status": "LOGGED_MODEL_PENDING"}, "data": {}}
        return {"model": self.state.logged[model_id]}

    def _logged(self, method: str, model_id: str, given: Row) -> Row:
        if model_id not in self.state.logged:
            raise missing(f"Logged model with ID '{model_id}'")
        if method == "PATCH":
            _, self.state.logged[model_id]["info"]["status"] = fields(given, "model_id status")
        return {"model": self.state.logged[model_id]}
