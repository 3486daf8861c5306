"""What polling an MLflow server costs with many models, and how late Baton learns of a version:
`python -m bench.registries [MODELS …]`. The server is the tests' fake, so these are Baton's own costs.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from sqlalchemy import text

from core.engine import Engine
from core.policy.load import load
from core.promotions import Promotions
from core.registration import Registration
from core.registries.mlflow import MLflowRegistry
from core.store import registry
from core.store.database import Database
from core.store.migrate import upgrade
from core.store.registry_tables import RegistryRow
from core.syncing import Registries
from tests.fakes.mlflow import MLflow
from tests.integration.api_world import Cast

POLICY = """
version: 1
slack: {channel: "#ml"}
stages: [{name: development}, {name: production}]
models: {"*": {registry: lab, write_back: alias}}
registries: {lab: {type: mlflow, url: "http://127.0.0.1:9", poll: 60s}}
"""


#: With more, the first intake is written into the database instead of waited for.
MOST_TAKEN_IN = 2_000


class Time:
    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def fill(fake: MLflow, models: int) -> None:
    """Each model with one version of a finished run of five metrics."""
    run = fake._post_runs_create({"experiment_id": "0", "start_time": 1})["run"]["info"]["run_id"]
    for name in ("auc", "recall", "precision", "latency_p99_ms", "fairness_gap"):
        fake._post_runs_log_metric({"run_id": run, "key": name, "value": 0.9, "timestamp": 1})
    fake.state.now -= models * 600_000
    fake._post_runs_update({"run_id": run, "status": "FINISHED"})
    for number in range(models):
        fake._post_registered_models_create({"name": f"model-{number:05}"})
        fake.state.now += 600_000
        version(fake, number, run)


def version(fake: MLflow, number: int, run: str) -> None:
    fake._post_model_versions_create({"name": f"model-{number:05}", "source": "s3://lake/x", "run_id": run})


def seeded(database: Database, models: int, at: datetime) -> None:
    """As the first intake would leave it, without waiting for that: every model with its version."""
    moment = f"{at:%Y-%m-%d %H:%M:%S.%f}"  # as SQLite keeps it
    values = [{"name": f"model-{number:05}", "at": moment} for number in range(models)]
    with database.note() as session:
        for statement in (
            "INSERT INTO models (name, created_at) VALUES (:name, :at)",
            "INSERT INTO model_versions (model_id, version, artifact_uri, digest, lineage, tags, content_digest, "
            "registered_by, registered_at) SELECT id, '1', '', '', '{}', '{}', 'c', 'registry:lab', created_at FROM models "
            "WHERE name = :name AND :at = created_at",
            "INSERT INTO registry_models (origin, model, due_at, said) VALUES ('lab', :name, NULL, '')",
            "INSERT INTO registry_versions (origin, model, number, created_at, seen_at, state, due_at, said, version_id) "
            "SELECT 'lab', m.name, 1, :at, :at, 'registered', :at, '', v.id FROM models m "
            "JOIN model_versions v ON v.model_id = m.id WHERE m.name = :name",
        ):
            session.execute(text(statement), values)


def crowned(database: Database) -> None:
    """Every version is champion of production, and the registry was told so: the most that can be watched."""
    with database.note() as session:
        for statement in (
            "INSERT INTO promotions (kind, state, model_id, version_id, stage, requester, requester_name, reason, rules, "
            "policy_version, verdicts, evidence_digest, created_at, updated_at, end_reason, ended_by, ended_by_name, "
            "waiting_for) SELECT 'promotion', 'succeeded', model_id, id, 'production', 'user:U1', '', '', '{}', 'p', '[]', "
            "'e', registered_at, registered_at, '', '', '', '' FROM model_versions",
            "INSERT INTO champions (model_id, stage, version_id, promotion_id, since) "
            "SELECT model_id, stage, version_id, id, created_at FROM promotions",
            "INSERT INTO write_backs (origin, promotion_id, model, stage, version, decision, state, attempts, due_at, "
            "last_error, said, created_at) SELECT 'lab', p.id, m.name, p.stage, v.version, 'approved', 'written', 1, "
            "p.created_at, '', '', p.created_at FROM promotions p JOIN models m ON m.id = p.model_id "
            "JOIN model_versions v ON v.id = p.version_id",
        ):
            session.execute(text(statement))


class Bench:
    def __init__(self, models: int, folder: Path) -> None:
        self.fake = MLflow()
        fill(self.fake, models)
        self.run = next(iter(self.fake.state.runs))
        url = f"sqlite:///{folder / f'{models}.db'}"
        self.database = Database(url)
        upgrade(self.database.engine)
        engine = Engine(self.database)
        engine.migrate()
        self.clock = Time()
        promotions = Promotions(self.database, load(POLICY), Cast(), self.clock, engine)
        self.registry = MLflowRegistry("lab", self.fake.url)
        registration = Registration(self.database, self.clock)
        self.use = Registries(promotions, registration, {"lab": self.registry}, "http://baton")

    def until_idle(self) -> tuple[float, int]:
        """(seconds, calls) until nothing is due."""
        calls, began = len(self.fake.calls), time.perf_counter()
        while self.use.sweep("lab"):
            pass
        return time.perf_counter() - began, len(self.fake.calls) - calls

    def poll(self) -> tuple[float, int]:
        """(seconds, calls) of one poll in which there is nothing new."""
        with self.database.note() as session:
            session.get_one(RegistryRow, "lab").due_at = self.clock()
        return self.until_idle()

    def learn(self, number: int, look: Callable[[], object]) -> float:
        """From its registration in MLflow to Baton's knowing it, once it is looked."""
        version(self.fake, number, self.run)
        began = time.perf_counter()
        look()
        self.until_idle()
        took = time.perf_counter() - began
        with self.database.read() as session:
            parent = registry.model_row(session, f"model-{number:05}")
            assert len(registry.versions(session, parent.name)) == 2
        return took

    def close(self) -> None:
        self.registry.close()
        self.fake.__exit__()
        self.database.dispose()


def measure(models: int, folder: Path) -> None:
    bench = Bench(models, folder)
    if models > MOST_TAKEN_IN:
        seeded(bench.database, models, datetime.now(UTC))
    seconds, calls = bench.until_idle()
    what = "first poll" if models > MOST_TAKEN_IN else "first intake"
    print(f"{models:>6} models: {what} {seconds:.1f} s, {calls} calls")
    polls = [bench.poll() for _ in range(5)]
    print(
        f"{'':>15} poll without news, no champions: {median(s for s, _ in polls) * 1000:.0f} ms, {polls[-1][1]} calls"
    )
    crowned(bench.database)
    for row in bench.fake.state.models.values():
        row["aliases"]["champion"] = "1"
    polls = [bench.poll() for _ in range(5)]
    print(
        f"{'':>15} poll with {models} watched aliases: {median(s for s, _ in polls) * 1000:.0f} ms, {polls[-1][1]} calls"
    )

    def due() -> None:
        with bench.database.note() as session:
            session.get_one(RegistryRow, "lab").due_at = bench.clock()

    late = [bench.learn(number, due) for number in range(5)]
    print(f"{'':>15} a new version, from the poll on: {median(late) * 1000:.0f} ms")
    hooks = [
        bench.learn(number, lambda number=number: bench.use.hear("lab", f"d-{number}", f"model-{number:05}"))  # type: ignore[misc]
        for number in range(5, 10)
    ]
    print(f"{'':>15} a new version, from the webhook on: {median(hooks) * 1000:.0f} ms")
    bench.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for models in [int(each) for each in sys.argv[1:]] or [1_000, 10_000]:
            measure(models, Path(folder))


if __name__ == "__main__":
    main()
