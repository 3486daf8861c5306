"""The MLflow adapter against a fake server: the contract, then everything a server can do wrong."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from core.domain.errors import Conflict, NotFound, Unavailable
from core.policy.connections import MLflow as Settings
from core.ports import ForeignVersion, NotReady, WriteBack
from core.registries import mlflow_rest
from core.registries.mlflow import MLflowRegistry, connect
from core.registries.mlflow_rest import Credentials
from tests.fakes.mlflow import HOST_REFUSED, Answer, Call, MLflow
from tests.fakes.mlflow_contract import MLflowContract, Trainer


class TestFakeServer(MLflowContract):
    @pytest.fixture
    def url(self) -> Iterator[str]:
        with MLflow() as fake:
            yield fake.url


@pytest.fixture
def fake() -> Iterator[MLflow]:
    with MLflow() as made:
        yield made


@pytest.fixture
def trainer(fake: MLflow) -> Trainer:
    return Trainer(fake.url)


@pytest.fixture
def registry(fake: MLflow) -> Iterator[MLflowRegistry]:
    made = MLflowRegistry("lab", fake.url, timeout=5)
    yield made
    made.close()


def always(status: int, body: bytes | str = b"", **headers: str) -> Callable[[Call], Answer]:
    sent = body.encode() if isinstance(body, str) else body
    return lambda _call: (status, {name.replace("_", "-"): value for name, value in headers.items()}, sent)


def problem(status: int, code: str, message: str) -> Callable[[Call], Answer]:
    return always(status, json.dumps({"error_code": code, "message": message}))


def sentence(registry: MLflowRegistry) -> str:
    with pytest.raises(Unavailable) as said:
        list(registry.models())
    return said.value.sentence


# -- a server that cannot be used ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (always(200, "<html>Log in</html>", content_type="text/html"),
         "The registry lab answered with something other than JSON; url must be that of MLflow, not of a login page."),
        (always(200, "[]"),
         "The registry lab answered with something other than JSON; url must be that of MLflow, not of a login page."),
        (always(200, b"[" * 100_000),
         "The registry lab answered with something other than JSON; url must be that of MLflow, not of a login page."),
        (always(200, '{"registered_models": {"a": 1}}'),
         "The registry lab gave an answer that is not MLflow's: its registered-models/search held no list of "
         "registered_models."),
        (always(200, '{"registered_models": [{"nome": "a"}]}'),
         "The registry lab gave an answer that is not MLflow's: a model without a name."),
        (always(200, "{}", content_encoding="gzip"),
         "The registry lab gave an answer that is not MLflow's: it is compressed, although that was not asked for."),
        (always(302, "", location="https://login.example.com/"),
         "The registry lab answered 302, a redirect, which is never followed; put the final address in url."),
        (always(404, "<!doctype html>", content_type="text/html"),
         "The registry lab has no MLflow at this address (404); url must be that of the MLflow server itself."),
        (always(403, HOST_REFUSED),
         "The registry lab does not answer to the name {host} (403); start it with --allowed-hosts {host}."),
        (problem(403, "PERMISSION_DENIED", "Permission denied"),
         "The registry lab does not permit this (PERMISSION_DENIED: Permission denied); "
         "give the account of Baton the right to it."),
        (always(401, "You are not authenticated."),
         "The registry lab asks for credentials (401); "
         "name token_env, or user_env and password_env, in the policy."),
        (always(429), "The registry lab answered 429 (status 429)."),
        (problem(503, "TEMPORARILY_UNAVAILABLE", "busy\n\u202e now"),
         "The registry lab answered 503 (TEMPORARILY_UNAVAILABLE: busy now)."),
        (problem(500, "INTERNAL_ERROR", "x" * 500),
         f"The registry lab answered 500 (INTERNAL_ERROR: {'x' * 199}…)."),
    ],
)  # fmt: skip
def test_every_failure_is_one_sentence(
    fake: MLflow, registry: MLflowRegistry, rule: Callable[[Call], Answer], said: str
) -> None:
    fake.rules.append(rule)
    assert sentence(registry) == said.replace("{host}", fake.url.removeprefix("http://"))


def test_redirects_are_not_followed(fake: MLflow) -> None:
    with MLflow() as elsewhere:
        fake.rules.append(always(307, "", location=f"{elsewhere.url}/api/2.0/mlflow/registered-models/search"))
        made = MLflowRegistry("lab", fake.url, Credentials.bearer("tok", "LAB_TOKEN"))
        assert "307" in sentence(made)
        made.close()
        assert elsewhere.calls == []


def test_who_does_not_answer_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    made = MLflowRegistry("lab", f"http://127.0.0.1:{port}")
    assert sentence(made) == "The registry lab was not reached: connection refused."
    made.close()


def test_an_answer_that_drips_is_cut_off() -> None:
    listening = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            try:
                while True:
                    connection.sendall(b"x-a: b\r\n")
                    time.sleep(0.05)
            except OSError:
                return  # we were hung up on, as we should be

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    made = MLflowRegistry("lab", f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=0.5)
    started = time.monotonic()
    assert sentence(made) == "The registry lab gave no answer within 0.5 s."
    assert time.monotonic() - started < 3
    thread.join(10)
    listening.close()
    made.close()
    assert not thread.is_alive()


def test_an_answer_that_is_too_large_is_not_read(
    fake: MLflow, registry: MLflowRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.rules.append(always(200, b"x" * (mlflow_rest.LARGEST_ANSWER + 1)))
    assert sentence(registry) == "The registry lab gave an answer of more than 8,192 kB; no more is read."


def test_pages_without_end_are_left(fake: MLflow, registry: MLflowRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_rest, "MOST_PAGES", 5)
    tokens = iter(range(1_000))
    fake.rules.append(lambda _call: (200, {}, json.dumps({"next_page_token": str(next(tokens))}).encode()))
    said = "The registry lab hands out page after page of registered models without end; it was left after 5."
    assert sentence(registry) == said
    assert len(fake.calls) == 5


def test_a_listing_that_takes_too_long_is_left(
    fake: MLflow, registry: MLflowRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_rest, "LONGEST_LISTING", 0.0)
    tokens = iter(range(1_000))
    fake.rules.append(lambda _call: (200, {}, json.dumps({"next_page_token": str(next(tokens))}).encode()))
    assert sentence(registry).endswith("without end; it was left after 1.")


def test_a_page_that_leads_to_itself_is_left(fake: MLflow, registry: MLflowRegistry) -> None:
    fake.rules.append(always(200, '{"next_page_token": "again"}'))
    assert "without end" in sentence(registry)
    assert len(fake.calls) == 2


def test_versions_that_do_not_rise_are_not_believed(fake: MLflow, registry: MLflowRegistry) -> None:
    row = {"name": "churn", "version": "4", "creation_timestamp": 1}
    fake.rules.append(always(200, json.dumps({"model_versions": [row]})))
    with pytest.raises(Unavailable, match="after version 7 of churn it listed version 4"):
        list(registry.versions("churn", 7))


@pytest.mark.parametrize("row", [{"name": "churn", "version": "new"}, {"version": "4"}, {"name": "churn"}])
def test_a_row_that_is_no_version_is_not_believed(fake: MLflow, registry: MLflowRegistry, row: dict[str, Any]) -> None:
    fake.rules.append(always(200, json.dumps({"model_versions": [row]})))
    with pytest.raises(Unavailable, match="a version without a name and number"):
        list(registry.versions("churn", 0))
    with pytest.raises(Unavailable, match="a version without a name and number"):
        list(registry.recent(datetime(2020, 1, 1, tzinfo=UTC)))


def test_names_that_differ_in_case_are_other_models(fake: MLflow, registry: MLflowRegistry) -> None:
    rows = [{"name": name, "version": "1", "creation_timestamp": 1} for name in ("Churn", "churn")]
    fake.rules.append(always(200, json.dumps({"model_versions": rows})))
    assert [each.model for each in registry.versions("churn", 0)] == ["churn"]


# -- letting oneself in --------------------------------------------------------------------------------------------


def guarded(header: str) -> Callable[[Call], Answer | None]:
    def rule(call: Call) -> Answer | None:
        given = {name.lower(): value for name, value in call.headers.items()}.get("authorization")
        return None if given == header else (401, {}, f"refused {given} hunter2".encode())

    return rule


@pytest.mark.parametrize(
    ("settings", "header"),
    [
        ({"user_env": "LAB_USER", "password_env": "LAB_PASSWORD"}, "Basic YmF0b246aHVudGVyMg=="),
        ({"token_env": "LAB_PASSWORD"}, "Bearer hunter2"),
    ],
)
def test_credentials_let_in_and_are_named_once_they_expire(
    fake: MLflow, trainer: Trainer, settings: dict[str, str], header: str
) -> None:
    trainer.version()
    fake.rules.append(guarded(header))
    secrets = {"LAB_USER": "baton", "LAB_PASSWORD": "hunter2"}
    part = Settings.model_validate({"type": "mlflow", "url": f"{fake.url}/", **settings})
    made = connect("lab", part, secrets.get)
    assert list(made.models()) == [trainer.model]
    fake.rules[:] = [guarded("Bearer another")]
    said = sentence(made)
    made.close()
    names = " and ".join(settings.values())
    assert said == f"The registry lab no longer takes Baton's credentials (401); renew {names}."


def test_a_secret_that_the_server_repeats_is_blotted_out(fake: MLflow) -> None:
    fake.rules.append(problem(500, "INTERNAL_ERROR", "Bearer hunter2 is strange"))
    made = MLflowRegistry("lab", fake.url, Credentials.bearer("hunter2", "LAB_TOKEN"))
    assert sentence(made) == "The registry lab answered 500 (INTERNAL_ERROR: Bearer … is strange)."
    assert "hunter2" not in repr(made._rest._credentials)
    made.close()


def test_two_servers_may_have_a_model_of_one_name(fake: MLflow, registry: MLflowRegistry, trainer: Trainer) -> None:
    with MLflow() as other:
        theirs = Trainer(other.url)
        theirs.model = trainer.model
        trainer.version(source="s3://ours/churn")
        theirs.version(source="s3://theirs/churn")
        second = MLflowRegistry("attic", other.url)
        found = [each.read(trainer.model, "1") for each in (registry, second)]
        second.close()
    assert all(isinstance(each, ForeignVersion) for each in found)
    assert [(each.registry, each.given.artifact_uri) for each in found if isinstance(each, ForeignVersion)] == [
        ("lab", "s3://ours/churn"),
        ("attic", "s3://theirs/churn"),
    ]


# -- reading what is odd -------------------------------------------------------------------------------------------


def test_a_version_whose_files_are_not_there_yet_waits(
    fake: MLflow, registry: MLflowRegistry, trainer: Trainer
) -> None:
    version = trainer.version()
    (row,) = fake.state.versions
    row.update(status="PENDING_REGISTRATION")
    said = f"{trainer.model} 1 is PENDING_REGISTRATION in lab: its files are not there yet."
    assert registry.read(trainer.model, version) == NotReady(said)
    row.update(status="FAILED_REGISTRATION", status_message="no space")
    said = f"{trainer.model} 1 is FAILED_REGISTRATION in lab: no space."
    assert registry.read(trainer.model, version) == NotReady(said, final=True)


def test_a_run_that_is_gone_leaves_no_metrics_and_says_so(
    fake: MLflow, registry: MLflowRegistry, trainer: Trainer
) -> None:
    run = trainer.run()
    logged = trainer.logged(run)
    trainer.metric(run, "auc", 0.9, logged, "churn-eval")
    version = trainer.of_model(run, logged)
    del fake.state.runs[run]
    found = registry.read(trainer.model, version)
    assert isinstance(found, ForeignVersion)
    assert found.given.measurements == ()
    assert f"Its run {run} is no longer in lab." in found.notes
    assert "auc comes from a run that is gone or did not finish; it was left out." in found.notes


def test_a_run_in_the_trash_is_read_and_said(registry: MLflowRegistry, trainer: Trainer) -> None:
    run = trainer.run()
    trainer.metric(run, "auc", 0.9)
    version = trainer.version(run_id=run)
    trainer.finish(run)
    trainer.post("runs/delete", run_id=run)
    found = registry.read(trainer.model, version)
    assert isinstance(found, ForeignVersion)
    assert f"Its run {run} is in MLflow's trash." in found.notes


def test_a_run_id_that_only_the_logged_model_knows_is_found(
    fake: MLflow, registry: MLflowRegistry, trainer: Trainer
) -> None:
    run = trainer.run(mlflow__user="dana")
    version = trainer.of_model(run, trainer.logged(run))
    trainer.finish(run)
    fake.state.versions[0]["run_id"] = ""
    found = registry.read(trainer.model, version)
    assert isinstance(found, ForeignVersion)
    assert found.given.lineage.trained_by == "dana"


def test_a_source_that_goes_in_circles_or_out_of_bounds_is_no_logged_model(
    fake: MLflow, registry: MLflowRegistry, trainer: Trainer
) -> None:
    version = trainer.version()
    for source in (f"models:/{trainer.model}/1", "models:/m-../../secret", "mlflow-artifacts:/0/../../etc"):
        fake.state.versions[0]["source"] = source
        fake.rules[:] = [lambda call: (200, {}, b"{}") if call.path == "model-versions/get-download-uri" else None]
        found = registry.read(trainer.model, version)
        assert isinstance(found, ForeignVersion)
        assert found.given.artifact_uri == source
    assert not any("secret" in call.path or "etc" in call.path for call in fake.calls)


@pytest.mark.parametrize(
    ("description", "note"),
    [
        (b"signature: {inputs: 'not json'}", "The signature in its MLmodel file cannot be read."),
        (b"signature: [1, 2", "The signature in its MLmodel file cannot be read."),
        (b"!!python/object/apply:os.system ['true']", "The signature in its MLmodel file cannot be read."),
        (
            b"signature: {inputs: '[\"" + b"x" * 3_000 + b"\"]'}",
            "Its signature is too long to be kept (3,004 characters).",
        ),
    ],
)
def test_an_odd_signature_is_left_out_and_said(
    fake: MLflow, registry: MLflowRegistry, trainer: Trainer, description: bytes, note: str
) -> None:
    run = trainer.run()
    version = trainer.of_model(run, trainer.logged(run))
    trainer.finish(run)
    (path,) = fake.state.files
    fake.state.files[path] = description
    found = registry.read(trainer.model, version)
    assert isinstance(found, ForeignVersion)
    assert "mlflow.signature" not in found.given.tags
    assert note in found.notes


def test_tags_that_cannot_be_kept_are_left_out_and_said(registry: MLflowRegistry, trainer: Trainer) -> None:
    version = trainer.version()
    trainer.tag(version, "story", "line\nline")
    trainer.tag(version, "long", "x" * 2_001)
    trainer.tag(version, "good", "yes")
    trainer.tag(version, "baton.digest", "not a digest")
    found = registry.read(trainer.model, version)
    assert isinstance(found, ForeignVersion)
    assert found.given.tags == {"good": "yes"}
    assert found.given.digest == ""
    assert {"A tag was left out, too long or of several lines: story.",
            "A tag was left out, too long or of several lines: long.",
            "Its tag baton.digest cannot be a digest and was left out."} <= set(found.notes)  # fmt: skip


def test_an_answer_about_something_else_is_not_believed(
    fake: MLflow, registry: MLflowRegistry, trainer: Trainer
) -> None:
    one, _ = trainer.version(), trainer.version()
    fake.rules.append(
        lambda call: (
            (200, {}, json.dumps({"model_version": fake.state.versions[1]}).encode())
            if call.path == "model-versions/get"
            else None
        )
    )
    with pytest.raises(Unavailable, match="it told of something else"):
        registry.read(trainer.model, one)


# -- writing when things go wrong ----------------------------------------------------------------------------------


def test_the_second_time_nothing_at_all_is_written(fake: MLflow, registry: MLflowRegistry, trainer: Trainer) -> None:
    one, two = trainer.version(), trainer.version()
    registry.write_back(trainer.decision(one, None))
    decision = trainer.decision(two, one)
    registry.write_back(decision)
    before = len(fake.writes())
    assert registry.write_back(decision).state == "unchanged"
    assert len(fake.writes()) == before


def test_the_order_is_tags_then_the_previous_champion_then_the_champion(
    fake: MLflow, registry: MLflowRegistry, trainer: Trainer
) -> None:
    one, two = trainer.version(), trainer.version()
    registry.write_back(trainer.decision(one, None))
    fake.calls.clear()
    registry.write_back(trainer.decision(two, one))
    written = [json.loads(call.body) for call in fake.calls if call.method == "POST"]
    assert [each.get("key") or each["alias"] for each in written] == [
        "baton.request", "baton.decision", "baton.decided_by", "previous_champion", "champion",
    ]  # fmt: skip
    assert fake.calls[-1].path == "registered-models/get"


@pytest.mark.parametrize("mode", ["alias", "stage", "copy"])
def test_whatever_write_fails_the_next_try_finishes_it(
    fake: MLflow, registry: MLflowRegistry, trainer: Trainer, mode: Any
) -> None:
    """Each write in turn is carried out and its answer lost."""
    target = {"alias": "champion", "stage": "Production", "copy": f"{trainer.model}-prod"}[mode]
    one, two = trainer.version(), trainer.version()
    registry.write_back(trainer.decision(one, None, mode, target))
    decision = trainer.decision(two, one, mode, target)
    lost: set[bytes] = set()

    def lose(call: Call) -> Answer | None:
        if call.method == "GET" or call.body in lost:
            return None
        lost.add(call.body)
        fake._act(call.method, call.path, json.loads(call.body))
        return 503, {}, b""

    fake.rules.append(lose)
    tries = 0
    while True:
        tries += 1
        try:
            state = registry.write_back(decision).state
        except Unavailable:
            continue
        break
    assert tries > 4
    assert state in ("written", "unchanged")
    assert registry.current(trainer.model, mode, target) == two
    pointer = {"alias": "previous_champion", "stage": "previous_production", "copy": "previous_champion"}[mode]
    aliases = trainer.aliases(target if mode == "copy" else "")
    assert aliases[pointer] == "1"
    assert [row["source"] for row in fake.state.versions].count(f"models:/{trainer.model}/{two}") == (mode == "copy")


def test_somebody_who_writes_at_the_same_moment_is_noticed(
    fake: MLflow, registry: MLflowRegistry, trainer: Trainer
) -> None:
    one, two, three = trainer.version(), trainer.version(), trainer.version()
    registry.write_back(trainer.decision(one, None))

    def overtake(call: Call) -> Answer | None:
        if call.path == "registered-models/alias" and json.loads(call.body)["alias"] == "champion":
            fake.state.models[trainer.model]["aliases"]["champion"] = three
            return 200, {}, b"{}"
        return None

    fake.rules.append(overtake)
    written = registry.write_back(trainer.decision(two, one))
    assert written.state == "moved"
    assert written.sentence == (
        f"In lab, the alias champion of {trainer.model} holds {three} right after Baton wrote {two}; "
        "somebody moved it at the same moment."
    )


def test_a_version_that_is_gone_is_not_written_to(fake: MLflow, registry: MLflowRegistry, trainer: Trainer) -> None:
    one = trainer.version()
    trainer.post("model-versions/delete", "DELETE", name=trainer.model, version=one)
    fake.calls.clear()
    for mode in ("alias", "stage", "copy", "tags-only"):
        with pytest.raises(NotFound, match="the version was deleted, or the model renamed"):
            registry.write_back(WriteBack(trainer.model, one, mode, "champion", None, "P-1", "approved"))
    assert fake.writes() == []


def test_a_stage_that_holds_several_is_left_to_a_person(registry: MLflowRegistry, trainer: Trainer) -> None:
    one, two, three = trainer.version(), trainer.version(), trainer.version()
    for each in (one, two):
        trainer.post("model-versions/transition-stage", name=trainer.model, version=each, stage="Production")
    written = registry.write_back(trainer.decision(three, two, "stage", "Production"))
    assert written.state == "moved"
    assert f"the stage Production of {trainer.model} holds 1 and 2 instead of 2" in written.sentence


def test_a_model_that_may_not_be_made_for_copies_is_a_conflict(
    fake: MLflow, registry: MLflowRegistry, trainer: Trainer
) -> None:
    one = trainer.version()
    with pytest.raises(Conflict, match="Names cannot contain"):
        registry.write_back(trainer.decision(one, None, "copy", "a:b"))
