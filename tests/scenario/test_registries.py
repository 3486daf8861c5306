"""An MLflow server beside Baton: versions arrive, decisions go back, and what is moved past Baton is seen."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from bot import wiring_registries
from bot.local_slack.person import Json, labels, shown_text
from core.ports import Place
from core.registries import mlflow
from core.store import notices
from core.store.registry_tables import RegistryRow
from tests.fakes.mlflow import Call, MLflow
from tests.fakes.mlflow_contract import Trainer
from tests.scenario.world import ALICE, BOB, MODEL, POLICY, Baton, wait

SECRET = "an-mlflow-secret"


@pytest.fixture
def fake() -> Iterator[MLflow]:
    with MLflow() as made:
        yield made


@pytest.fixture
def other() -> Iterator[MLflow]:
    with MLflow() as made:
        yield made


@pytest.fixture(autouse=True)
def quick_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring_registries, "SWEEP_SECONDS", 0.2)


@pytest.fixture
def write_back() -> str:
    return "alias"


@pytest.fixture
def models(write_back: str) -> str:
    return f'"*": {{registry: lab, write_back: {write_back}}}'


@pytest.fixture
def owner() -> str | None:
    return ALICE


@pytest.fixture
def policy(fake: MLflow, models: str, owner: str | None) -> str:
    return with_registry(fake.url, models, owner=owner)


def with_registry(url: str, models: str, more: str = "", owner: str | None = ALICE) -> str:
    channel = 'channel: "#ml-promotions"'
    text = POLICY.replace(channel, f"{channel}\n  owner: {owner}") if owner else POLICY
    return (
        f"{text}models:\n  {models}\n"
        f'registries:\n  lab: {{type: mlflow, url: "{url}", poll: 1s, webhook_secret_env: MLFLOW_WEBHOOK_SECRET}}\n{more}'
    )


@pytest.fixture
def trainer(fake: MLflow) -> Trainer:
    return training(fake.url)


def training(url: str) -> Trainer:
    made = Trainer(url)
    made.model = MODEL
    return made


def trained(trainer: Trainer, finished: bool = True, auc: float | str = 0.95, gap: float | str = 0.05) -> str:
    """A version that passes every gate; the number that the registry gave it."""
    commit = {
        "mlflow__source__git__repoURL": "https://git.example.com/fraud",
        "mlflow__source__git__commit": "0123abcd",
    }
    run = trainer.run(**commit, mlflow__user="erin@example.com")
    trainer.used(run, "transactions", "training", 1_000)
    values = {"auc": auc, "auc/country:DE": 0.93, "latency_p99_ms": 31.0, "fairness_gap": gap}
    for name, value in values.items():
        trainer.metric(run, name, value)
    if finished:
        trainer.finish(run)
    return trainer.version(run_id=run)


def known(baton: Baton, version: str, model: str = MODEL) -> Json:
    """The version as Baton's API tells it, once it is there."""

    def look() -> Json | None:
        answer = baton.api("GET", f"/models/{model}/versions/{version}")
        return answer.json() if answer.status_code == 200 else None

    return wait(look, f"{model} {version} to arrive")


def promoted(baton: Baton, version: str) -> Json:
    message = baton.ask(version)
    baton.approve(message)
    return baton.card(f"{MODEL} {version} is champion of production")


def serving(baton: Baton, trainer: Trainer) -> None:
    """Two versions taken over, and the second one champion, in the registry too."""
    for _ in "12":
        version = trained(trainer)
        known(baton, version)
        promoted(baton, version)
        wait(lambda version=version: trainer.aliases().get("champion") == version, "the alias to follow")
    # Baton looks at the alias once more after it wrote it: what moves before that look is no drift.
    told = "SELECT count(*) FROM write_backs WHERE state = 'pending'"
    wait(lambda: baton.scalar(told) == 0, "the write-back to be settled")


def move(trainer: Trainer, version: str, alias: str = "champion") -> None:
    trainer.post("registered-models/alias", name=trainer.model, alias=alias, version=version)


def hook(baton: Baton, body: Any, delivery: str = "d-1", secret: str = SECRET, name: str = "lab") -> httpx.Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    stamp = str(int(time.time()))
    signature = hmac.new(secret.encode(), f"{delivery}.{stamp}.".encode() + raw, hashlib.sha256).digest()
    headers = {
        "x-mlflow-delivery-id": delivery, "x-mlflow-timestamp": stamp,
        "x-mlflow-signature": f"v1,{base64.b64encode(signature).decode()}", "content-type": "application/json",
    }  # fmt: skip
    return httpx.post(f"{baton.url}/api/v1/registries/{name}/events", content=raw, headers=headers, timeout=20)


def created(version: str) -> Json:
    return {"entity": "model_version", "action": "created", "data": {"name": MODEL, "version": version}}


class TestArriving:
    def test_what_training_registers_is_known_with_its_metrics_and_may_be_promoted(
        self, baton: Baton, trainer: Trainer
    ) -> None:
        version = trained(trainer)
        found = known(baton, version)
        assert {(each["name"], each.get("slice", "")): each["value"] for each in found["metrics"]}["auc", ""] == 0.95
        assert found["lineage"]["trained_by"] == "erin@example.com"
        assert baton.scalar("SELECT actor FROM audit_events WHERE kind = 'version_registered'") == "registry:lab"
        assert baton.scalar("SELECT origin FROM registry_versions WHERE version_id IS NOT NULL") == "lab"
        promoted(baton, version)

    def test_a_version_waits_for_its_run(self, baton: Baton, trainer: Trainer) -> None:
        run = trainer.run()
        version = trainer.version(run_id=run)
        said = "SELECT said FROM registry_versions WHERE state = 'waiting'"
        assert "is still running" in wait(lambda: baton.scalar(said), "the version to be read")
        unknown = baton.api("GET", f"/models/{MODEL}/versions/{version}")
        assert (unknown.status_code, unknown.json()["detail"]) == (
            404,
            f"There is no model called “{MODEL}”. The registry lab has it: The run of {MODEL} 1 is still running; it is "
            "read when that has finished.",
        )
        trainer.finish(run)
        baton.clock.ahead += timedelta(minutes=1)
        known(baton, version)

    def test_a_metric_that_is_no_number_promotes_nothing_and_is_said(self, baton: Baton, trainer: Trainer) -> None:
        said = "auc is no number (NaN)."
        version = trained(trainer, auc="NaN")
        told = wait(lambda: known(baton, version).get("registry"), "what the registry said")
        assert (told["name"], told["said"].startswith(said)) == ("lab", True)
        assert "auc of version 1 is “NaN”, which is not a finite number." in shown_text(baton.ask(version))
        assert baton.states() == ["failed"]

    def test_what_was_said_of_a_version_stands_behind_its_card(self, baton: Baton, trainer: Trainer) -> None:
        version = trained(trainer, gap="NaN")
        wait(lambda: known(baton, version).get("registry"), "what the registry said")
        message = baton.ask(version)
        assert baton.states() == ["awaiting_approval"]
        baton.click(baton.bob, message, "Details")
        assert "From the registry lab: fairness_gap is no number (NaN)." in str(baton.bob.wait_for_view())

    def test_a_failed_run_is_left_where_it_is(self, baton: Baton, trainer: Trainer) -> None:
        run = trainer.run()
        trainer.finish(run, "FAILED")
        trainer.version(run_id=run)
        wait(lambda: baton.scalar("SELECT count(*) FROM registry_versions WHERE state = 'left'"), "it to be left")
        known(baton, trained(trainer))
        assert baton.scalar("SELECT count(*) FROM model_versions") == 1
        answer = baton.command(baton.alice, f"/promote {MODEL} 1 to production")
        assert (
            f"{MODEL} has no version 1; its only one is 2. The registry lab has it: The run of {MODEL} 1 ended as failed; "
            "only finished runs are taken over." in str(answer)
        )

    def test_what_was_there_before_baton_came_arrives_too(self, baton: Baton, fake: MLflow) -> None:
        """Its versions are older than anything that is asked for as news."""
        baton.server.stop()
        old = Trainer(fake.url)
        versions = [old.version(), old.version()]
        newer = Trainer(fake.url).version()
        baton.clock.ahead += timedelta(hours=2)
        baton.start()
        assert newer == "1"
        for version in versions:
            known(baton, version, old.model)

    def test_what_was_seen_and_not_read_is_read_after_a_restart(self, baton: Baton, trainer: Trainer) -> None:
        run = trainer.run()
        version = trainer.version(run_id=run)
        wait(lambda: baton.scalar("SELECT count(*) FROM registry_versions"), "the version to be seen")
        baton.server.stop()
        trainer.finish(run)
        baton.clock.ahead += timedelta(hours=2)
        baton.start()
        known(baton, version)

    def test_a_version_of_another_origin_is_not_overwritten_and_the_owner_is_told(
        self, baton: Baton, trainer: Trainer
    ) -> None:
        baton.register("1")
        trained(trainer)
        told = baton.alice.wait_for_message("app", lambda m: "Not taken over from the registry lab" in shown_text(m))
        assert f"{MODEL} 1 is already registered with a different" in shown_text(told)
        known(baton, trained(trainer))


class TestTwoServers:
    @pytest.fixture
    def policy(self, fake: MLflow, other: MLflow) -> str:
        more = f'  annex: {{type: mlflow, url: "{other.url}", poll: 1s}}\n'
        return with_registry(fake.url, f"{MODEL}: {{registry: lab}}\n  side-*: {{registry: annex}}", more)

    def test_a_name_that_both_have_comes_from_the_one_that_the_policy_says(
        self, baton: Baton, trainer: Trainer, other: MLflow
    ) -> None:
        known(baton, trained(trainer))
        second = training(other.url)
        trained(second)
        trained(second)
        told = baton.alice.wait_for_message("app", lambda m: "the registry annex" in shown_text(m))
        assert (
            f"The registry annex has a model called {MODEL} too. Baton takes {MODEL} from lab, as the policy says, and "
            "nothing from annex; rename one of them if they are not the same." in shown_text(told)
        )
        assert baton.api("GET", f"/models/{MODEL}/versions/2").status_code == 404
        second.model = "side-door"
        known(baton, second.version(), "side-door")


class TestHooks:
    @pytest.fixture
    def policy(self, fake: MLflow, models: str) -> str:
        return with_registry(fake.url, models).replace("poll: 1s", "poll: 1h")

    def test_a_hook_has_it_looked_at_at_once_and_a_repetition_does_nothing(
        self, baton: Baton, trainer: Trainer
    ) -> None:
        wait(lambda: baton.scalar("SELECT polled_at FROM registries"), "the first poll")
        version = trained(trainer)
        assert hook(baton, created(version)).json() == {"registry": "lab", "model": MODEL, "taken": True}
        known(baton, version)
        assert hook(baton, created(version)).json()["taken"] is False

    def test_only_a_genuine_hook_of_a_known_registry_is_heard(self, baton: Baton) -> None:
        wrong = hook(baton, created("1"), secret="another")
        assert (wrong.status_code, wrong.json()["detail"]) == (
            401, "X-MLflow-Signature does not fit this body and this secret.",
        )  # fmt: skip
        nonsense = hook(baton, b"{}")
        assert (nonsense.status_code, nonsense.json()["detail"]) == (
            400, "The body is not an MLflow webhook: entity, action and data are expected.",
        )  # fmt: skip
        nobody = hook(baton, created("1"), name="attic")
        assert (nobody.status_code, nobody.json()["detail"]) == (
            404, "This policy names no registry called “attic”.",
        )  # fmt: skip

    def test_what_baton_wrote_itself_is_no_news(self, baton: Baton) -> None:
        own = {"entity": "model_version_tag", "action": "set", "data": {"name": MODEL, "key": "baton.decision"}}
        assert hook(baton, own).json()["taken"] is False


class TestOutage:
    def test_it_is_told_after_ten_minutes_and_settled_when_it_is_back(
        self, baton: Baton, fake: MLflow, trainer: Trainer
    ) -> None:
        down = lambda _call: (503, {}, b'{"error_code": "TEMPORARILY_UNAVAILABLE", "message": "busy"}')  # noqa: E731
        fake.rules.append(down)
        wait(lambda: baton.scalar("SELECT failures FROM registries"), "a poll to fail")
        metrics = httpx.get(f"{baton.url}/metrics").text
        assert 'baton_registry_up{registry="lab"} 0.0' in metrics
        assert 'said="The registry lab answered 503 (TEMPORARILY_UNAVAILABLE: busy)."' in metrics
        assert baton.scalar("SELECT count(*) FROM messages") == 0
        asked = shown_text(baton.command(baton.alice, f"/promote {MODEL} 1 to production"))
        assert (
            f"There is no model called “{MODEL}”. It may be in the registry lab, which does not answer: The registry"
            in asked
        )
        baton.clock.ahead += timedelta(minutes=11)
        told = baton.alice.wait_for_message("app", lambda m: "The registry lab has not answered since" in shown_text(m))
        assert "The registry lab answered 503" in shown_text(told)
        fake.rules.clear()
        version = trained(trainer)
        baton.clock.ahead += timedelta(minutes=6)
        known(baton, version)
        baton.alice.wait_for_message("app", lambda m: "The registry lab answers again" in shown_text(m))
        assert baton.scalar("SELECT count(*) FROM messages") == 1
        assert 'baton_registry_up{registry="lab"} 1.0' in httpx.get(f"{baton.url}/metrics").text

    @pytest.mark.parametrize("owner", [None])
    def test_where_the_policy_names_no_owner_the_channel_is_told(
        self, baton: Baton, fake: MLflow, trainer: Trainer
    ) -> None:
        baton.register("1")
        trained(trainer)
        assert f"{MODEL} 1 is already registered" in shown_text(baton.card("Not taken over from the registry lab"))
        fake.rules.append(lambda _call: (401, {}, b"{}"))
        wait(lambda: baton.scalar("SELECT failures FROM registries"), "a poll to fail")
        baton.clock.ahead += timedelta(minutes=11)
        told = baton.card("The registry lab has not answered since")
        assert "name token_env, or user_env and password_env, in the policy." in shown_text(told)
        fake.rules.clear()
        baton.clock.ahead += timedelta(minutes=6)
        baton.card("The registry lab answers again")

    def test_who_was_told_of_it_hears_of_its_end_though_baton_breaks_off_just_then(
        self, baton: Baton, fake: MLflow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fake.rules.append(lambda _call: (503, {}, b"{}"))
        wait(lambda: baton.scalar("SELECT failures FROM registries"), "a poll to fail")
        baton.clock.ahead += timedelta(minutes=11)
        baton.alice.wait_for_message("app", lambda m: "The registry lab has not answered since" in shown_text(m))
        settle, broken = notices.over, [1]

        def over(*given: Any) -> None:
            if broken:
                raise OSError(broken.pop())
            settle(*given)

        monkeypatch.setattr(notices, "over", over)
        fake.rules.clear()
        baton.clock.ahead += timedelta(minutes=6)
        baton.alice.wait_for_message("app", lambda m: "The registry lab answers again" in shown_text(m))
        assert broken == []

    def test_pauses_grow_from_one_minute_to_five(self, baton: Baton, fake: MLflow) -> None:
        fake.rules.append(lambda _call: (500, {}, b"{}"))
        pauses = []
        for failures in range(1, 6):
            wait(
                lambda failures=failures: baton.scalar(f"SELECT count(*) FROM registries WHERE failures = {failures}"),
                "the next failure",
            )
            with baton.server.database.read() as session:
                left = session.get_one(RegistryRow, "lab").due_at - baton.clock()
            pauses.append(round(left.total_seconds() / 60))
            baton.clock.ahead += left
        assert pauses == [1, 2, 4, 5, 5]


class TestWritingBack:
    def test_the_alias_follows_the_champion_there_and_back(self, baton: Baton, trainer: Trainer) -> None:
        serving(baton, trainer)
        assert trainer.aliases() == {"champion": "2", "previous_champion": "1"}
        tags = trainer.tags("2")
        assert (tags["baton.request"], tags["baton.decision"], tags["baton.decided_by"]) == (
            "P-2",
            "approved",
            "bob, carol",
        )
        message = baton.card(f"{MODEL} 2 is champion of production")
        wait(lambda: "the alias champion of fraud-detector holds 2." in baton.story(message), "the thread to tell it")
        answer = baton.api("POST", "/rollbacks", model=MODEL, stage="production", reason="it broke")
        assert answer.status_code == 201, answer.text
        wait(lambda: trainer.aliases() == {"champion": "1"}, "the alias to go back, without a way back to what broke")
        wait(lambda: trainer.tags("2").get("baton.decision") == "rolled_back", "the mark on what was taken out")
        assert trainer.tags("1")["baton.request"] == "P-3"

    def test_a_rejection_leaves_its_mark_and_moves_nothing(self, baton: Baton, trainer: Trainer) -> None:
        version = trained(trainer)
        known(baton, version)
        message = baton.ask(version)
        baton.click(baton.bob, message, "Reject")
        form = baton.bob.wait_for_view()
        baton.bob.submit(form, {"Reason": "worse for new customers"})
        wait(lambda: trainer.tags(version).get("baton.decision") == "rejected", "the mark")
        assert trainer.aliases() == {}

    def test_what_could_not_be_written_is_written_when_the_registry_is_back(
        self, baton: Baton, fake: MLflow, trainer: Trainer
    ) -> None:
        version = trained(trainer)
        known(baton, version)
        fake.rules.append(lambda call: (503, {}, b"{}") if call.method != "GET" else None)
        promoted(baton, version)
        wait(lambda: baton.scalar("SELECT attempts FROM write_backs"), "the first try")
        assert "503" in baton.scalar("SELECT last_error FROM write_backs")
        fake.rules.clear()
        baton.server.stop()
        baton.clock.ahead += timedelta(minutes=2)
        baton.start()
        wait(lambda: trainer.aliases().get("champion") == version, "the alias to follow")

    def test_an_alias_that_people_had_set_before_is_not_taken_without_asking(
        self, baton: Baton, trainer: Trainer
    ) -> None:
        versions = [trained(trainer), trained(trainer)]
        move(trainer, versions[0])
        for version in versions:
            known(baton, version)
        promoted(baton, versions[1])
        message = baton.card(f"Moved past Baton: {MODEL} in lab")
        assert "The alias champion holds *1*, and *2* is Baton's champion of production." in shown_text(message)
        assert trainer.aliases()["champion"] == "1"
        baton.click(baton.bob, message, "Revert to 2")
        baton.card(f"Put back: {MODEL} in lab")
        assert trainer.aliases()["champion"] == "2"


class TestOtherModes:
    @pytest.mark.parametrize("write_back", ["stage"])
    def test_a_stage_of_mlflows_own_follows(self, baton: Baton, trainer: Trainer) -> None:
        version = trained(trainer)
        known(baton, version)
        promoted(baton, version)
        row = lambda: trainer.get("model-versions/get", name=MODEL, version=version)["model_version"]  # noqa: E731
        wait(lambda: row()["current_stage"] == "Production", "the stage")

    @pytest.mark.parametrize("write_back", ["copy"])
    def test_the_version_is_copied(self, baton: Baton, trainer: Trainer) -> None:
        version = trained(trainer)
        known(baton, version)
        promoted(baton, version)
        wait(lambda: f"{MODEL}-production" in trainer_models(trainer), "the copy's model")
        wait(lambda: trainer.aliases(f"{MODEL}-production").get("champion") == "1", "the copy")

    @pytest.mark.parametrize("write_back", ["tags-only"])
    def test_tags_alone_move_nothing(self, baton: Baton, trainer: Trainer) -> None:
        version = trained(trainer)
        known(baton, version)
        promoted(baton, version)
        wait(lambda: trainer.tags(version).get("baton.decision") == "approved", "the tags")
        assert trainer.aliases() == {}

    @pytest.mark.parametrize("models", ['"*": {registry: lab}'])
    def test_nothing_is_written_where_the_policy_says_nothing(
        self, baton: Baton, fake: MLflow, trainer: Trainer
    ) -> None:
        version = trained(trainer)
        known(baton, version)
        before = fake.writes()
        promoted(baton, version)
        wait(lambda: baton.scalar("SELECT state FROM write_backs") == "nothing", "it to be settled")
        assert fake.writes() == before


def trainer_models(trainer: Trainer) -> set[str]:
    rows = trainer.get("registered-models/search", max_results="100").get("registered_models", [])
    return {row["name"] for row in rows}


class TestDrift:
    def test_what_was_moved_is_put_back_by_one_click(self, baton: Baton, trainer: Trainer) -> None:
        serving(baton, trainer)
        move(trainer, "1")
        message = baton.card(f"Moved past Baton: {MODEL} in lab")
        assert "The alias champion holds *1*, and *2* is Baton's champion of production." in shown_text(message)
        assert "The registry keeps no record of who moved it." in shown_text(message)
        assert labels(message) == ["Adopt 1", "Revert to 2"]
        baton.click(baton.bob, message, "Revert to 2")
        done = baton.card(f"Put back: {MODEL} in lab")
        assert f"<@{BOB}> had it put back: the alias champion holds *2*" in shown_text(done)
        assert labels(done) == []
        assert trainer.aliases()["champion"] == "2"
        kinds = (
            "SELECT count(*) FROM audit_events WHERE kind IN ('drift_noticed', 'drift_revert_asked', 'drift_reverted')"
        )
        assert baton.scalar(kinds) == 3
        assert baton.refused(baton.bob, message, "Revert to 2") == "bob had it put back already."

    def test_what_was_moved_is_adopted_as_a_recorded_promotion_and_nothing_is_deployed(
        self, baton: Baton, trainer: Trainer
    ) -> None:
        serving(baton, trainer)
        hooks = len(baton.receiver.hooks)
        move(trainer, "1")
        message = baton.card(f"Moved past Baton: {MODEL} in lab")
        baton.click(baton.carol, message, "Adopt 1")
        done = baton.card(f"Adopted: {MODEL} in lab")
        assert "is champion of production now (P-3). Nothing was deployed." in shown_text(done)
        assert baton.champion() == "1"
        assert len(baton.receiver.hooks) == hooks
        promotion = baton.api("GET", "/promotions/P-3").json()
        assert (promotion["state"], promotion["reason"]) == (
            "succeeded", "adopted from lab, where somebody had moved the alias champion",
        )  # fmt: skip
        assert baton.scalar("SELECT actor FROM audit_events WHERE kind = 'adopted'") == "user:U03CAROL"
        wait(lambda: trainer.tags("1").get("baton.decision") == "adopted", "the mark")
        wait(lambda: trainer.aliases() == {"champion": "1", "previous_champion": "2"}, "the way back")

    def test_only_who_may_roll_back_or_approve_settles_it(self, baton: Baton, trainer: Trainer) -> None:
        serving(baton, trainer)
        move(trainer, "1")
        message = baton.card(f"Moved past Baton: {MODEL} in lab")
        for label in ("Adopt 1", "Revert to 2"):
            assert "You may not settle what was moved for production" in baton.refused(baton.mallory, message, label)
        assert (baton.champion(), trainer.aliases()["champion"]) == ("2", "1")

    def test_what_goes_back_by_itself_is_said_to_be_settled(self, baton: Baton, trainer: Trainer) -> None:
        serving(baton, trainer)
        move(trainer, "1")
        baton.card(f"Moved past Baton: {MODEL} in lab")
        move(trainer, "2")
        done = baton.card(f"As it should be again: {MODEL} in lab")
        assert labels(done) == []
        assert baton.scalar("SELECT count(*) FROM messages WHERE kind = 'drift'") == 1

    def test_an_alias_that_was_deleted_can_only_be_put_back(self, baton: Baton, trainer: Trainer) -> None:
        serving(baton, trainer)
        trainer.post("registered-models/alias", "DELETE", name=MODEL, alias="champion")
        message = baton.card(f"Moved past Baton: {MODEL} in lab")
        assert "The alias champion holds *nothing*" in shown_text(message)
        assert labels(message) == ["Revert to 2"]
        baton.click(baton.bob, message, "Revert to 2")
        baton.card(f"Put back: {MODEL} in lab")
        assert trainer.aliases()["champion"] == "2"

    def test_a_renamed_model_is_said_to_be_gone(self, baton: Baton, trainer: Trainer) -> None:
        serving(baton, trainer)
        trainer.post("registered-models/rename", name=MODEL, new_name="other-name")
        message = baton.card(f"Moved past Baton: {MODEL} in lab")
        assert f"The registry lab has no model {MODEL} any more: it was renamed or deleted." in shown_text(message)

    def test_what_is_moved_while_somebody_answers_is_not_overwritten(
        self, baton: Baton, fake: MLflow, trainer: Trainer
    ) -> None:
        serving(baton, trainer)
        third = trained(trainer)
        known(baton, third)
        move(trainer, "1")
        message = baton.card(f"Moved past Baton: {MODEL} in lab")
        once = []

        def meanwhile(call: Call) -> None:
            if call.path == "model-versions/get" and not once:
                once.append(call)
                fake.state.model(MODEL)["aliases"]["champion"] = third

        fake.rules.append(meanwhile)
        baton.click(baton.bob, message, "Revert to 2")
        again = baton.card(f"holds *{third}*, and *2* is Baton's champion")
        assert "somebody moved it" in shown_text(again)
        assert trainer.aliases()["champion"] == third
        assert labels(again) == [f"Adopt {third}", "Revert to 2"]

    def test_a_version_that_is_vetoed_is_not_adopted(self, baton: Baton, trainer: Trainer) -> None:
        serving(baton, trainer)
        baton.command(baton.bob, f"/promote veto {MODEL} 1 because it leaks")
        move(trainer, "1")
        message = baton.card(f"Moved past Baton: {MODEL} in lab")
        assert "It can only be put back." in baton.refused(baton.bob, message, "Adopt 1")
        assert baton.champion() == "2"


def test_many_aliases_are_read_off_one_listing(fake: MLflow) -> None:
    registry = mlflow.MLflowRegistry("lab", fake.url)
    places = []
    for _ in range(mlflow.FEW + 5):
        trainer = Trainer(fake.url)
        version = trainer.version()
        move(trainer, version)
        places.append(Place(trainer.model, "alias", "champion"))
    missing = Place("no-such-model", "alias", "champion")
    fake.calls.clear()
    held = registry.held([*places, missing])
    registry.close()
    assert held == dict.fromkeys(places, "1")
    assert len(fake.calls) == 1
