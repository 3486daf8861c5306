"""The MLflow adapter against a real MLflow server, fed by its own client, and told of by its own webhooks.

MLflow is 800 MB with all that it may need; its server and the clients here need an eighth of that, which `make test` puts
into a folder of its own (`tests/external/mlflow.lock`). One server for all tests of a worker.
"""

from __future__ import annotations

import base64
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from bot.local_slack.person import shown_text
from core.domain.errors import NotAllowed
from core.ports import ForeignVersion, NotReady, Place
from core.registration import validate
from core.registries.mlflow import MLflowRegistry
from core.registries.mlflow_events import verify_webhook
from tests.fakes.mlflow import HOST_REFUSED
from tests.fakes.mlflow_contract import CLIENT, MLflowContract, Trainer
from tests.scenario.world import Baton, wait

#: Only the children that are MLflow see this folder; Baton runs without it.
MLFLOW = Path(sys.prefix) / "mlflow"
ROOT = Path(__file__).parents[2]
SECRET = "a secret of the webhook's own"
pytestmark = [
    pytest.mark.skipif(
        not (MLFLOW / "mlflow").is_dir() and not os.environ.get("CI"),
        reason="MLflow could not be installed here; `make test` says why",
    ),
    pytest.mark.timeout(300),
]


def quiet(**more: str) -> dict[str, str]:
    """The environment of a child that is MLflow: nothing of ours, no telemetry."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    own = {"PYTHONPATH": str(MLFLOW), "PYTHONWARNINGS": "ignore", "GIT_PYTHON_REFRESH": "quiet"}
    return kept | own | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"} | more


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    environment = quiet(
        MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
        MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY=base64.urlsafe_b64encode(b"k" * 32).decode(),
        MLFLOW_WEBHOOK_ALLOWED_SCHEMES="http,https",
        MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS="true",
        MLFLOW_WEBHOOK_CACHE_TTL="0",
    )
    url = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _await(url, process, folder / "server.log")
            yield url
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, 15)
            process.wait(30)


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text(errors="replace")[-3_000:]
        try:
            if CLIENT.get(f"{url}/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail(f"MLflow did not start: {log.read_text(errors='replace')[-3_000:]}")


class TestRealServer(MLflowContract):
    @pytest.fixture
    def url(self, server: str) -> str:
        return server


class Hooks:
    """Takes webhooks; `deliveries` holds (headers, body) in the order of arrival."""

    def __init__(self) -> None:
        self.deliveries: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
        hooks = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                hooks.deliveries.put((dict(self.headers.items()), body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    made = Hooks()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def registry(server: str) -> Iterator[MLflowRegistry]:
    made = MLflowRegistry("mlflow", server, timeout=30)
    yield made
    made.close()


def test_its_webhooks_are_genuine_and_say_where_to_look(server: str, hooks: Hooks) -> None:
    trainer = Trainer(server)
    events = [("MODEL_VERSION", "CREATED"), ("MODEL_VERSION_TAG", "SET"), ("MODEL_VERSION_ALIAS", "CREATED")]
    listed = [{"entity": entity, "action": action} for entity, action in events]
    made = trainer.post("webhooks", name=trainer.model, url=hooks.url, secret=SECRET, events=listed)
    try:
        version = trainer.version()
        trainer.tag(version, "baton.decision", "approved")
        trainer.post("registered-models/alias", name=trainer.model, alias="champion", version=version)
        received = [hooks.deliveries.get(timeout=60) for _ in events]
    finally:
        trainer.post(f"webhooks/{made['webhook']['webhook_id']}", "DELETE")
    now = datetime.now(UTC)
    hints = {hint.entity: hint for hint in (verify_webhook(headers, body, SECRET, now) for headers, body in received)}
    assert {hint.delivery for hint in hints.values()} == {headers["X-MLflow-Delivery-Id"] for headers, _ in received}
    created, tagged, aliased = (hints[entity.lower()] for entity, _ in events)
    assert (created.model, created.version, created.action) == (trainer.model, version, "created")
    assert created.matters
    assert (tagged.key, tagged.matters) == ("baton.decision", False)
    assert (aliased.alias, aliased.version, aliased.matters) == ("champion", version, True)
    with pytest.raises(NotAllowed):
        verify_webhook(received[0][0], received[0][1], "another secret", now)


def test_the_example_makes_a_version_arrive(server: str, registry: MLflowRegistry, tmp_path: Path) -> None:
    """The script of examples/ by MLflow's own client: logged model, data sets, slices, who trained it."""
    ran = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "mlflow_train.py")],
        env=quiet(MLFLOW_TRACKING_URI=server, TRAINED_BY="dana@example.com"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3_000:]
    (seen,) = registry.versions("churn-ranker", 0)
    found = registry.read(seen.model, seen.version)
    assert isinstance(found, ForeignVersion)
    validate(found.given)
    measured = {(each.name, each.slice): each for each in found.given.measurements}
    assert set(measured) == {("auc", ""), ("auc", "ash=high")}
    assert all(0.5 < (each.value or 0) <= 1 for each in measured.values())
    assert measured["auc", ""].dataset == "churn-eval"
    assert measured["auc", ""].dataset_digest
    assert (measured["auc", ""].samples, measured["auc", "ash=high"].samples) == (89, None)
    assert [each.name for each in found.given.lineage.data] == ["churn-train"]
    assert found.given.lineage.trained_by == "dana@example.com"
    assert found.given.digest.startswith("sha256:")
    assert '"name":"alcohol"' in found.given.tags["mlflow.signature"]
    assert found.notes == ()


def test_prompts_are_no_models(server: str, registry: MLflowRegistry) -> None:
    source = "import mlflow; mlflow.genai.register_prompt('a-prompt', 'Hello {{name}}')"
    subprocess.run(
        [sys.executable, "-c", source],
        env=quiet(MLFLOW_TRACKING_URI=server),
        check=True,
        capture_output=True,
        timeout=120,
    )
    assert "a-prompt" not in set(registry.models())
    assert "a-prompt" not in {each.model for each in registry.recent(datetime(2020, 1, 1, tzinfo=UTC))}


def test_the_guard_of_host_names_speaks_as_baton_expects(server: str) -> None:
    answer = CLIENT.get(f"{server}/api/2.0/mlflow/registered-models/search", headers={"host": "mlflow.example.com"})
    assert (answer.status_code, answer.text) == (403, HOST_REFUSED)


def test_a_version_that_is_still_training_waits(server: str, registry: MLflowRegistry) -> None:
    """As MLflow's client does it: registered from inside the run, metrics later."""
    trainer = Trainer(server)
    source = (
        "import mlflow\n"
        "with mlflow.start_run() as run:\n"
        "    from mlflow.pyfunc import PythonModel\n"
        "    class Same(PythonModel):\n"
        "        def predict(self, model_input: list[str]): return model_input\n"
        f"    mlflow.pyfunc.log_model(name='m', python_model=Same(), registered_model_name={trainer.model!r})\n"
        "    print('registered', flush=True); input()\n"
        "    mlflow.log_metric('auc', 0.9)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", source],
        env=quiet(MLFLOW_TRACKING_URI=server),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    while (line := child.stdout.readline()) != "registered\n":
        assert line, child.communicate()[1][-3_000:]
    waiting = registry.read(trainer.model, "1")
    assert isinstance(waiting, NotReady)
    child.communicate("\n", timeout=120)
    found = registry.read(trainer.model, "1")
    assert isinstance(found, ForeignVersion)
    assert [each.value for each in found.given.measurements] == [0.9]


STORY = """
version: 1
slack: {channel: "#ml-promotions"}
groups: {leads: [U02BOB, U03CAROL]}
stages:
  - name: development
  - name: production
    gates: [{metric: auc, at_least: 0.9}, {lineage: [code]}]
    approvals: {quorum: 1, from: [{group: leads}]}
    deploy: {target: prod-hook}
targets:
  prod-hook: {type: webhook, url: "HOOK_URL", secret_env: HOOK_SECRET}
models:
  story-*: {registry: mlflow, write_back: alias}
registries:
  mlflow: {type: mlflow, url: "SERVER", poll: 1s}
"""
TRAINING = """
import sys, mlflow
with mlflow.start_run() as run:
    mlflow.set_tags({"mlflow.user": "erin@example.com", "mlflow.source.git.repoURL": "https://git.example.com/story",
                     "mlflow.source.git.commit": "0123abcd"})
    mlflow.log_metric("auc", 0.95)
client = mlflow.MlflowClient()
name = sys.argv[1]
if not client.search_registered_models(f"name='{name}'"):
    client.create_registered_model(name)
client.create_model_version(name, run.info.artifact_uri, run.info.run_id)
"""


@pytest.fixture
def baton(server: str, tmp_path: Path, new_database: Callable[[str, Path], str]) -> Iterator[Baton]:
    office = Baton(tmp_path, "http", STORY.replace("SERVER", server), new_database("sqlite", tmp_path), 15.0)
    try:
        office.open()
        yield office
        office.check_laws()
    finally:
        office.close()


def train(server: str, model: str) -> None:
    subprocess.run(
        [sys.executable, "-c", TRAINING, model],
        env=quiet(MLFLOW_TRACKING_URI=server),
        check=True,
        capture_output=True,
        timeout=120,
    )


def test_from_training_to_an_alias_that_is_put_back(server: str, baton: Baton) -> None:
    """What a script registers is known, promoted in Slack and told to MLflow; what is moved there by hand is put back."""
    trainer = Trainer(server)
    trainer.model = f"story-{trainer.model[-8:]}"
    for version in ("1", "2"):
        train(server, trainer.model)
        path = f"/models/{trainer.model}/versions/{version}"
        wait(lambda path=path: baton.api("GET", path).status_code == 200, "the version to arrive")
    metrics = baton.api("GET", f"/models/{trainer.model}/versions/1").json()["metrics"]
    assert [(each["name"], each["value"]) for each in metrics] == [("auc", 0.95)]

    baton.command(baton.alice, f"/promote {trainer.model} 1 to production")
    baton.approve(baton.card("P-1"), baton.bob)
    baton.card(f"{trainer.model} 1 is champion of production")
    wait(lambda: trainer.aliases() == {"champion": "1"}, "the alias to follow")
    assert trainer.tags("1")["baton.request"] == "P-1"

    trainer.post("registered-models/alias", name=trainer.model, alias="champion", version="2")
    moved = baton.card("Moved past Baton: ")
    assert "The alias champion holds *2*, and *1* is Baton's champion of production." in shown_text(moved)
    assert baton.champion(model=trainer.model) == "1"
    baton.click(baton.bob, moved, "Revert to 1")
    baton.card("Put back: ")
    assert trainer.aliases() == {"champion": "1"}


def test_its_listing_of_models_tells_their_aliases(
    server: str, registry: MLflowRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.registries.mlflow.FEW", 0)
    trainer = Trainer(server)
    place = Place(trainer.model, "alias", "champion")
    version = trainer.version()
    assert registry.held([place]) == {place: None}
    trainer.post("registered-models/alias", name=trainer.model, alias="champion", version=version)
    assert registry.held([place]) == {place: version}
