"""What Baton's MLflow adapter does with a server that behaves: run against the fake and against the real one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from core.domain.errors import Conflict, NotFound
from core.domain.model import DatasetRef, Measurement
from core.ports import ForeignVersion, NotReady, Registry, WriteBack
from core.registration import validate
from core.registries.mlflow import MLflowRegistry

#: One for all, as making one reads the system's certificates.
CLIENT = httpx.Client(timeout=30, trust_env=False, verify=False)
AT = 1_795_404_670_000
SIGNATURE = '[{"type": "double", "name": "tenure", "required": true}]'
MLMODEL = f"model_uuid: m-1\nsignature:\n  inputs: '{SIGNATURE}'\n  outputs: null\n"


class Trainer:
    """A training script, by the server's REST API alone."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.model = f"churn-{uuid4().hex[:8]}"
        self.digest = f"d-{self.model[-8:]}"  # the server keeps one profile for a data set's name and digest
        self.models: set[str] = set()

    def post(self, path: str, method: str = "POST", **body: Any) -> dict[str, Any]:
        answer = CLIENT.request(method, f"{self.url}/api/2.0/mlflow/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def run(self, **tags: str) -> str:
        listed = [{"key": key.replace("__", "."), "value": value} for key, value in tags.items()]
        return self.post("runs/create", experiment_id="0", start_time=AT, tags=listed)["run"]["info"]["run_id"]

    def finish(self, run: str, status: str = "FINISHED") -> None:
        self.post("runs/update", run_id=run, status=status, end_time=AT)

    def metric(self, run: str, key: str, value: object, model: str = "", dataset: str = "", step: int = 0) -> None:
        linked = {"model_id": model} if model else {}
        linked |= {"dataset_name": dataset, "dataset_digest": self.digest} if dataset else {}
        self.post("runs/log-metric", run_id=run, key=key, value=value, timestamp=AT, step=step, **linked)

    def used(self, run: str, name: str, context: str, rows: int) -> None:
        dataset = {
            "name": name, "digest": self.digest, "source_type": "s3", "source": "{}", "schema": "{}",
            "profile": json.dumps({"num_rows": rows}),
        }  # fmt: skip
        tags = [{"key": "mlflow.data.context", "value": context}]
        self.post("runs/log-inputs", run_id=run, datasets=[{"tags": tags, "dataset": dataset}])

    def logged(self, run: str) -> str:
        made = self.post("logged-models", experiment_id="0", name="model", source_run_id=run)["model"]["info"]
        self.post(f"logged-models/{made['model_id']}", "PATCH", model_id=made["model_id"], status="LOGGED_MODEL_READY")
        path = made["artifact_uri"].removeprefix("mlflow-artifacts:/")
        CLIENT.put(f"{self.url}/api/2.0/mlflow-artifacts/artifacts/{path}/MLmodel", content=MLMODEL).raise_for_status()
        return made["model_id"]

    def version(self, **given: Any) -> str:
        """Registers; a plain version unless told otherwise."""
        if self.model not in self.models:
            self.post("registered-models/create", name=self.model)
            self.models.add(self.model)
        given = {"source": "s3://lake/churn"} | given
        return self.post("model-versions/create", name=self.model, **given)["model_version"]["version"]

    def of_model(self, run: str, logged: str) -> str:
        return self.version(source=f"models:/{logged}", model_id=logged, run_id=run)

    def tag(self, version: str, key: str, value: str) -> None:
        self.post("model-versions/set-tag", name=self.model, version=version, key=key, value=value)

    def tags(self, version: str, model: str = "") -> dict[str, str]:
        found = self.get("model-versions/get", name=model or self.model, version=version)["model_version"]
        return {tag["key"]: tag["value"] for tag in found.get("tags", [])}

    def aliases(self, model: str = "") -> dict[str, str]:
        found = self.get("registered-models/get", name=model or self.model)["registered_model"]
        return {each["alias"]: each["version"] for each in found.get("aliases", [])}

    def get(self, path: str, **params: str) -> dict[str, Any]:
        answer = CLIENT.get(f"{self.url}/api/2.0/mlflow/{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def decision(
        self, version: str, previous: str | None, mode: Any = "alias", target: str = "", **more: Any
    ) -> WriteBack:
        said = {"request": "P-12", "decision": "approved", "decided_by": "Bob, Carol"} | more
        return WriteBack(self.model, version, mode, target or "champion", previous, **said)


class MLflowContract:
    """Subclasses provide the fixture `url`."""

    @pytest.fixture
    def trainer(self, url: str) -> Trainer:
        return Trainer(url)

    @pytest.fixture
    def registry(self, url: str) -> Any:
        made = MLflowRegistry("mlflow", url, timeout=30)
        _: Registry = made
        yield made
        made.close()

    def read(self, registry: MLflowRegistry, trainer: Trainer, version: str) -> ForeignVersion:
        found = registry.read(trainer.model, version)
        assert isinstance(found, ForeignVersion), found
        validate(found.given)
        return found

    # -- seeing ------------------------------------------------------------------------------------------------------

    def test_versions_above_the_mark_are_listed_rising_holes_and_all(
        self, registry: MLflowRegistry, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("core.registries.mlflow.PAGE", 2)
        for _ in range(7):
            trainer.version()
        for deleted in ("1", "4"):
            trainer.post("model-versions/delete", "DELETE", name=trainer.model, version=deleted)
        assert [each.version for each in registry.versions(trainer.model, 0)] == ["2", "3", "5", "6", "7"]
        assert [each.version for each in registry.versions(trainer.model, 5)] == ["6", "7"]
        assert list(registry.versions(trainer.model, 7)) == []
        assert list(registry.versions("no-such-model", 0)) == []

    def test_one_poll_sees_the_newest_versions_of_all_models(self, registry: MLflowRegistry, url: str) -> None:
        first, second = Trainer(url), Trainer(url)
        first.version()
        (before,) = registry.versions(first.model, 0)
        second.version()
        first.version()
        found = [(each.model, each.version) for each in registry.recent(before.at)]
        mine = [each for each in found if each[0] in (first.model, second.model)]
        assert mine == [(first.model, "2"), (second.model, "1"), (first.model, "1")]
        assert list(registry.recent(datetime.now(UTC) + timedelta(days=2_000))) == []

    def test_models_are_listed_over_pages(
        self, registry: MLflowRegistry, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("core.registries.mlflow.PAGE", 1)
        made = [Trainer(url) for _ in range(3)]
        for each in made:
            each.version()
        assert {each.model for each in made} <= set(registry.models())

    def test_names_with_quotes_and_blanks_are_names(self, registry: MLflowRegistry, trainer: Trainer) -> None:
        for name in (f"it's {trainer.model}", f'the "best" {trainer.model}', f"größe {trainer.model} or name"):
            trainer.model = name
            trainer.version()
            assert [each.model for each in registry.versions(name, 0)] == [name]
            assert registry.current(name, "alias", "champion") is None
        with pytest.raises(Conflict, match="it holds quotes of both kinds"):
            list(registry.versions('it\'s "x"', 0))

    # -- reading -----------------------------------------------------------------------------------------------------

    def test_a_version_is_read_whole(self, registry: MLflowRegistry, trainer: Trainer) -> None:
        run = trainer.run(
            mlflow__user="dana@example.com",
            mlflow__source__git__commit="4f2a",
            mlflow__source__git__repoURL="https://oauth2:hunter2@git.example.com/acme/churn",
        )
        logged = trainer.logged(run)
        trainer.used(run, "churn-train", "training", 341)
        trainer.used(run, "churn-eval", "evaluation", 228)
        trainer.metric(run, "auc", 0.91, logged, "churn-eval")
        trainer.metric(run, "auc/country:DE", 0.88, logged, "churn-eval")
        trainer.metric(run, "latency_p99_ms", 12)
        version = trainer.of_model(run, logged)
        trainer.tag(version, "baton.digest", "sha256:2c26b46b")
        trainer.tag(version, "note", "nightly")
        trainer.finish(run)
        found = self.read(registry, trainer, version)
        given = found.given
        assert (given.model, given.version, given.digest) == (trainer.model, version, "sha256:2c26b46b")
        assert given.artifact_uri == f"mlflow-artifacts:/0/models/{logged}/artifacts"
        assert given.measurements == (
            Measurement("auc", 0.91, "", "", "churn-eval", trainer.digest, 228),
            Measurement("auc", 0.88, "", "country=DE", "churn-eval", trainer.digest, None),
            Measurement("latency_p99_ms", 12.0),
        )
        assert given.lineage.data == (DatasetRef("churn-train", trainer.digest),)
        assert (given.lineage.trained_by, given.lineage.commit) == ("dana@example.com", "4f2a")
        assert given.lineage.repo == "https://git.example.com/acme/churn"
        assert given.lineage.run_url == f"{trainer.url}/#/experiments/0/runs/{run}"
        assert given.tags == {
            "note": "nightly",
            "mlflow.run_id": run,
            "mlflow.model_id": logged,
            "mlflow.metrics": "auc: logged model; auc/country:DE: logged model; latency_p99_ms: run",
            "mlflow.signature": '[{"type":"double","name":"tenure","required":true}]',
        }
        assert found.notes == ()

    def test_a_version_waits_for_its_run_to_finish(self, registry: MLflowRegistry, trainer: Trainer) -> None:
        run = trainer.run()
        version = trainer.version(run_id=run)
        sentence = f"The run of {trainer.model} {version} is still running; it is read when that has finished."
        assert registry.read(trainer.model, version) == NotReady(sentence)
        trainer.metric(run, "auc", 0.9)
        trainer.finish(run)
        assert [each.value for each in self.read(registry, trainer, version).given.measurements] == [0.9]

    def test_a_version_of_a_failed_run_is_never_taken(self, registry: MLflowRegistry, trainer: Trainer) -> None:
        run = trainer.run()
        version = trainer.version(run_id=run)
        trainer.finish(run, "FAILED")
        sentence = f"The run of {trainer.model} {version} ended as failed; only finished runs are taken over."
        assert registry.read(trainer.model, version) == NotReady(sentence, final=True)

    def test_a_tag_says_not_to_wait(self, registry: MLflowRegistry, trainer: Trainer) -> None:
        version = trainer.version(run_id=trainer.run())
        trainer.tag(version, "baton.ready", "true")
        assert "baton.ready" not in self.read(registry, trainer, version).given.tags

    def test_what_is_not_a_number_is_no_data(self, registry: MLflowRegistry, trainer: Trainer) -> None:
        run = trainer.run()
        logged = trainer.logged(run)
        trainer.metric(run, "nan", "NaN")
        trainer.metric(run, "linked_nan", "NaN", logged, "churn-eval")
        trainer.metric(run, "earlier_nan", "NaN", logged, "churn-eval")
        trainer.metric(run, "earlier_nan", 0.7, step=1)
        trainer.metric(run, "inf", "Infinity", logged, "churn-eval")
        trainer.metric(run, "minus_inf", "-Infinity")
        trainer.metric(run, "zero", 0.0, logged, "churn-eval")
        trainer.metric(run, "earlier_zero", 0.0, logged, "churn-eval")
        trainer.metric(run, "earlier_zero", 0.7, step=1)
        raw = {"run_id": run, "key": "raw_nan", "value": float("nan"), "timestamp": AT, "step": 0}
        CLIENT.post(
            f"{trainer.url}/api/2.0/mlflow/runs/log-metric",
            content=json.dumps(raw),
            headers={"content-type": "application/json"},
        ).raise_for_status()
        version = trainer.of_model(run, logged)
        trainer.finish(run)
        found = self.read(registry, trainer, version)
        assert {each.name: (each.value, each.raw) for each in found.given.measurements} == {
            "nan": (None, "NaN"),
            "linked_nan": (None, "NaN"),
            "earlier_nan": (None, "NaN"),
            "inf": (None, "Infinity"),
            "minus_inf": (None, "-Infinity"),
            "raw_nan": (None, "0 without a time, as MLflow keeps a NaN"),
            "zero": (0.0, ""),
            "earlier_zero": (0.0, ""),
        }
        assert "linked_nan is no number (NaN)." in found.notes

    def test_the_logged_model_counts_where_it_names_its_data_and_the_run_elsewhere(
        self, registry: MLflowRegistry, trainer: Trainer
    ) -> None:
        run = trainer.run()
        logged = trainer.logged(run)
        trainer.metric(run, "loss", 0.5, logged, step=0)
        trainer.metric(run, "loss", 0.3, step=2)
        trainer.metric(run, "auc", 0.9, logged, "churn-eval", step=0)
        trainer.metric(run, "auc", 0.8, step=2)
        version = trainer.of_model(run, logged)
        trainer.finish(run)
        found = self.read(registry, trainer, version)
        assert {each.name: each.value for each in found.given.measurements} == {"loss": 0.3, "auc": 0.9}
        assert found.given.tags["mlflow.metrics"] == "auc: logged model; loss: run"
        assert "loss is the run's last value (step 2); the logged model has another one (step 0)." in found.notes

    def test_a_later_evaluation_counts_once_it_has_finished(self, registry: MLflowRegistry, trainer: Trainer) -> None:
        run = trainer.run()
        logged = trainer.logged(run)
        version = trainer.of_model(run, logged)
        trainer.finish(run)
        later = trainer.run()
        trainer.used(later, "churn-eval", "", 30)
        trainer.metric(later, "auc", 0.9, logged, "churn-eval")
        waiting = registry.read(trainer.model, version)
        assert isinstance(waiting, NotReady)
        assert waiting.sentence.startswith("The evaluation run of ")
        trainer.finish(later)
        (auc,) = self.read(registry, trainer, version).given.measurements
        assert (auc.value, auc.samples) == (0.9, 30)

    def test_an_evaluation_that_failed_does_not_count(self, registry: MLflowRegistry, trainer: Trainer) -> None:
        run, later = trainer.run(), trainer.run()
        logged = trainer.logged(run)
        version = trainer.of_model(run, logged)
        trainer.metric(later, "auc", 0.9, logged, "churn-eval")
        trainer.finish(run)
        trainer.finish(later, "KILLED")
        found = self.read(registry, trainer, version)
        assert found.given.measurements == ()
        assert "auc comes from a run that is gone or did not finish; it was left out." in found.notes

    def test_a_copy_has_the_metrics_of_what_it_is_a_copy_of(self, registry: MLflowRegistry, trainer: Trainer) -> None:
        run = trainer.run()
        logged = trainer.logged(run)
        trainer.metric(run, "auc", 0.9, logged, "churn-eval")
        version = trainer.of_model(run, logged)
        trainer.finish(run)
        copy = trainer.version(source=f"models:/{trainer.model}/{version}")
        found = self.read(registry, trainer, copy).given
        assert [each.dataset for each in found.measurements] == ["churn-eval"]
        assert found.artifact_uri == f"mlflow-artifacts:/0/models/{logged}/artifacts"

    def test_a_version_without_a_run_says_that_nothing_is_known(
        self, registry: MLflowRegistry, trainer: Trainer
    ) -> None:
        found = self.read(registry, trainer, trainer.version())
        assert (found.given.artifact_uri, found.given.digest) == ("s3://lake/churn", "")
        assert found.given.measurements == ()
        assert found.notes == (
            "It belongs to no run, so nothing is known of its data, code and trainer.",
            "Its MLmodel file is not to be had from the MLflow server, so its signature was not read.",
        )

    def test_without_a_digest_the_description_is_fingerprinted(
        self, registry: MLflowRegistry, trainer: Trainer
    ) -> None:
        run = trainer.run()
        version = trainer.of_model(run, trainer.logged(run))
        trainer.finish(run)
        found = self.read(registry, trainer, version)
        assert found.given.digest.startswith("mlmodel-sha256:")
        assert "Its digest is that of its MLmodel file; a tag baton.digest would be that of its bytes." in found.notes

    def test_what_was_deleted_or_renamed_is_not_found(self, registry: MLflowRegistry, trainer: Trainer) -> None:
        old, version = trainer.model, trainer.version()
        trainer.post("registered-models/rename", name=old, new_name=f"{old}-new")
        gone = f"The registry mlflow has no {old} {version} any more: the version was deleted, or the model renamed."
        with pytest.raises(NotFound) as refused:
            registry.read(old, version)
        assert refused.value.sentence == gone
        with pytest.raises(NotFound, match="it was renamed or deleted"):
            registry.current(old, "alias", "champion")
        with pytest.raises(NotFound, match="it was renamed or deleted"):
            registry.current(old, "stage", "Production")

    # -- writing back ------------------------------------------------------------------------------------------------

    def test_an_alias_moves_once_and_remembers_the_one_before(self, registry: MLflowRegistry, trainer: Trainer) -> None:
        one, two = trainer.version(), trainer.version()
        assert registry.write_back(trainer.decision(one, None)).state == "written"
        assert trainer.aliases() == {"champion": one}
        decision = trainer.decision(two, one, report_url="https://baton.example.com/P-12")
        written = registry.write_back(decision)
        assert (written.state, written.sentence) == (
            "written",
            f"In mlflow, the alias champion of {trainer.model} holds {two}.",
        )
        assert trainer.aliases() == {"champion": two, "previous_champion": one}
        assert trainer.tags(two) == {
            "baton.request": "P-12",
            "baton.decision": "approved",
            "baton.decided_by": "Bob, Carol",
            "baton.report_url": "https://baton.example.com/P-12",
        }
        assert registry.current(trainer.model, "alias", "champion") == two
        assert registry.write_back(decision).state == "unchanged"

    def test_an_alias_that_somebody_else_moved_is_left_where_it_is(
        self, registry: MLflowRegistry, trainer: Trainer
    ) -> None:
        one, two, three = trainer.version(), trainer.version(), trainer.version()
        trainer.post("registered-models/alias", name=trainer.model, alias="champion", version=three)
        written = registry.write_back(trainer.decision(two, one))
        assert (written.state, written.sentence) == (
            "moved",
            f"In mlflow, the alias champion of {trainer.model} holds {three} instead of {one}; somebody moved it "
            "since P-12 was decided, so Baton left it there.",
        )
        assert trainer.aliases() == {"champion": three}
        assert trainer.tags(two) == {}

    def test_a_rollback_leaves_no_way_back_to_what_now_serves(self, registry: MLflowRegistry, trainer: Trainer) -> None:
        one, two = trainer.version(), trainer.version()
        registry.write_back(trainer.decision(one, None))
        registry.write_back(trainer.decision(two, one))
        back = trainer.decision(one, two, decision="rolled_back", undoes=True)
        assert registry.write_back(back).state == "written"
        assert trainer.aliases() == {"champion": one}
        assert registry.write_back(back).state == "unchanged"

    def test_a_previous_version_that_is_gone_does_not_stop_the_champion(
        self, registry: MLflowRegistry, trainer: Trainer
    ) -> None:
        one, two = trainer.version(), trainer.version()
        registry.write_back(trainer.decision(two, None))
        trainer.post("model-versions/delete", "DELETE", name=trainer.model, version=one)
        written = registry.write_back(trainer.decision(two, one))
        assert written.sentence.endswith(f"{trainer.model} {one} is gone, so previous_champion was not set.")
        assert trainer.aliases() == {"champion": two}

    def test_a_stage_holds_one_version_and_archives_the_one_before(
        self, registry: MLflowRegistry, trainer: Trainer
    ) -> None:
        one, two = trainer.version(), trainer.version()
        assert registry.current(trainer.model, "stage", "Production") is None
        registry.write_back(trainer.decision(one, None, "stage", "Production"))
        decision = trainer.decision(two, one, "stage", "Production")
        assert registry.write_back(decision).state == "written"
        assert registry.write_back(decision).state == "unchanged"
        assert registry.current(trainer.model, "stage", "Production") == two
        assert trainer.aliases() == {"previous_production": one}
        trainer.post("model-versions/transition-stage", name=trainer.model, version=one, stage="Production")
        assert registry.current(trainer.model, "stage", "Production") == f"{one} and {two}"

    def test_a_copy_is_made_once_and_can_be_rolled_back(self, registry: MLflowRegistry, trainer: Trainer) -> None:
        one, two = trainer.version(), trainer.version()
        target = f"{trainer.model}-prod"
        assert registry.current(trainer.model, "copy", target) is None
        for version, previous in ((one, None), (two, one)):
            decision = trainer.decision(version, previous, "copy", target)
            assert registry.write_back(decision).state == "written"
            assert registry.write_back(decision).state == "unchanged"
        assert trainer.aliases(target) == {"champion": "2", "previous_champion": "1"}
        assert trainer.tags("2", target) == {"baton.request": "P-12"}
        assert registry.current(trainer.model, "copy", target) == two
        registry.write_back(trainer.decision(one, two, "copy", target, undoes=True))
        assert trainer.aliases(target) == {"champion": "1"}
        assert [each.version for each in registry.versions(target, 0)] == ["1", "2"]

    def test_something_else_among_the_copies_is_seen(self, registry: MLflowRegistry, trainer: Trainer) -> None:
        one = trainer.version()
        registry.write_back(trainer.decision(one, None, "copy", f"{trainer.model}-prod"))
        foreign = Trainer(trainer.url)
        foreign.model = f"{trainer.model}-prod"
        foreign.models.add(foreign.model)
        stranger = foreign.version(source="s3://elsewhere/churn")
        foreign.post("registered-models/alias", name=foreign.model, alias="champion", version=stranger)
        words = f"version {stranger} of {foreign.model}, no copy of {trainer.model}"
        assert registry.current(trainer.model, "copy", foreign.model) == words

    def test_tags_alone_are_written_where_nothing_is_to_move(self, registry: MLflowRegistry, trainer: Trainer) -> None:
        one = trainer.version()
        decision = trainer.decision(one, None, "tags-only", decision="rejected")
        written = registry.write_back(decision)
        assert (written.state, written.sentence) == ("written", f"{trainer.model} {one} is tagged rejected in mlflow.")
        assert trainer.tags(one)["baton.decision"] == "rejected"
        assert trainer.aliases() == {}
        assert registry.write_back(decision).state == "unchanged"
        assert registry.current(trainer.model, "tags-only", "") is None

    def test_what_the_server_refuses_for_good_is_a_conflict(self, registry: MLflowRegistry, trainer: Trainer) -> None:
        one = trainer.version()
        for mode, target in (("alias", "v7"), ("stage", "Proudction")):
            with pytest.raises(Conflict, match=r"^The registry mlflow refuses this \(INVALID_PARAMETER_VALUE: ") as no:
                registry.write_back(trainer.decision(one, None, mode, target))
            assert no.value.slug == "registry-refused"
