"""Versions arrive once and never change; what is registered can be found again. On both databases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, text

from core.domain.errors import BadInput, Conflict, NotFound
from core.domain.model import Actor, DatasetRef, Lineage, Measurement, ModelVersion
from core.registration import Registration, content_digest, measured, validate
from core.store import audit, champions, promotions, registry
from core.store.database import Database
from core.store.tables import Champion, PromotionRow, Version
from core.tokens import Tokens

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CI = Actor("token", "ci", "ci")
SEVEN = ModelVersion(
    model="fraud",
    version="7",
    artifact_uri="s3://models/fraud/7",
    digest="sha256:" + "ab" * 32,
    lineage=Lineage((DatasetRef("train", "sha256:1"), DatasetRef("eval", "sha256:2")), "repo", "c0ffee", "url", "dave"),
    measurements=(Measurement("auc", 0.93, "", "", "eval", "sha256:2", 1000), Measurement("auc", None, "NaN", "de")),
    tags={"b": "2", "a": "1"},
)


@pytest.fixture
def registration(database: Database) -> Registration:
    return Registration(database, lambda: NOW)


# -- once and for all --------------------------------------------------------------------------------------------


def test_what_is_registered_is_read_back_as_it_was_given(registration: Registration, database: Database) -> None:
    kept, created = registration.register(CI, SEVEN)
    assert created
    assert replace(kept, id=0, registered_at=None, registered_by="") == SEVEN
    assert (kept.registered_by, kept.registered_at) == ("token:ci", NOW)
    with database.read() as session:
        assert registry.version(session, "fraud", "7") == kept


def test_the_same_again_is_the_same_whatever_the_order(registration: Registration, database: Database) -> None:
    kept, _ = registration.register(CI, SEVEN)
    shuffled = replace(
        SEVEN,
        measurements=SEVEN.measurements[::-1],
        lineage=replace(SEVEN.lineage, data=SEVEN.lineage.data[::-1]),
        tags={"a": "1", "b": "2"},
    )
    assert registration.register(Actor("token", "other"), shuffled) == (kept, False)
    with database.read() as session:
        assert [event.kind for event in audit.events(session)] == ["version_registered"]
        assert audit.verify(session).problem == ""


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"digest": "sha256:cd"}, "artifact digest (sha256:abababababababab… instead of sha256:cd)"),
        ({"artifact_uri": ""}, "artifact uri (s3://models/fraud/7 instead of none)"),
        ({"tags": {}}, "set of tags"),
        ({"measurements": ()}, "set of metrics (auc, auc[de])"),
        ({"measurements": (*SEVEN.measurements, Measurement("f1", 0.5))}, "set of metrics (f1)"),
        ({"lineage": replace(SEVEN.lineage, commit="beef")}, "code commit (c0ffee instead of beef)"),
        ({"lineage": replace(SEVEN.lineage, data=())}, "list of data sets"),
        (
            {"lineage": replace(SEVEN.lineage, trained_by="eve"), "tags": {}},
            "trainer (dave instead of eve) and set of tags",
        ),
    ],
)
def test_anything_different_is_refused_and_named(
    registration: Registration, changed: dict[str, object], said: str
) -> None:
    registration.register(CI, SEVEN)
    with pytest.raises(Conflict) as caught:
        registration.register(CI, replace(SEVEN, **changed))  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"fraud 7 is already registered with a different {said}. "
        "A version never changes: register this one under a new version."
    )


def test_the_database_itself_refuses_to_change_a_version(registration: Registration, database: Database) -> None:
    registration.register(CI, SEVEN)
    with pytest.raises(Exception, match="never changed"), database.change() as session:
        session.execute(text("UPDATE model_versions SET digest = 'x'"))


def test_of_many_at_once_one_creates_it(registration: Registration, database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(lambda _: registration.register(CI, SEVEN)[1], range(16)))
    assert sorted(created) == [False] * 15 + [True]
    with database.read() as session:
        assert audit.verify(session).count == 1


def test_nothing_is_left_behind_by_a_refusal(registration: Registration, database: Database) -> None:
    with pytest.raises(BadInput):
        registration.register(CI, replace(SEVEN, measurements=(Measurement("a\nb", 1.0),)))
    with database.read() as session:
        assert registry.models(session) == []


# -- what a number is --------------------------------------------------------------------------------------------


@given(st.floats() | st.integers() | st.sampled_from(["NaN", "inf", "-Infinity", "+INF"]) | st.none())
def test_a_value_is_a_finite_number_or_no_data(value: float | str | None) -> None:
    number, raw = measured("metrics[0].value", value)
    assert (number is None) == bool(raw)
    if number is not None:
        assert number == float(value)  # type: ignore[arg-type]
        validate(replace(SEVEN, measurements=(Measurement("m", number, raw),)))


@given(
    st.text().filter(lambda text: text.strip().lower().lstrip("+-") not in ("nan", "inf", "infinity")) | st.booleans()
)
def test_anything_else_is_no_number(value: str | bool) -> None:
    with pytest.raises(BadInput, match=r"^metrics\[3\]\.value: .* is not a number; write one "):
        measured("metrics[3].value", value)


@given(st.text(max_size=300))
def test_a_name_is_kept_as_it_is_or_refused_with_a_sentence(name: str) -> None:
    given_version = replace(SEVEN, model=name)
    whole = name == name.strip() and 1 <= len(name) <= 200 and name not in (".", "..")
    if whole and name.isprintable():
        validate(given_version)
        assert len(content_digest(given_version)) == 64
    elif not whole or any(ord(char) < 32 for char in name):
        with pytest.raises(BadInput, match=r"^model ") as caught:
            validate(given_version)
        assert caught.value.field == "model"


# -- finding -----------------------------------------------------------------------------------------------------


def test_who_types_finds_the_newest_that_begin_so_in_any_case(registration: Registration, database: Database) -> None:
    for number in range(12):
        registration.register(CI, replace(SEVEN, version=f"V{number}"))
    registration.register(CI, replace(SEVEN, model="Fraud-EU"))
    registration.register(CI, replace(SEVEN, model="freight"))
    with database.read() as session:
        assert {line.name for line in registry.models(session, "FR")} == {"fraud", "Fraud-EU", "freight"}
        assert [line.name for line in registry.models(session, "fraud-")] == ["Fraud-EU"]
        assert registry.models(session, "%") == registry.models(session, "_") == registry.models(session, "\x00") == []
        found = [line.version for line in registry.versions(session, "fraud", "v1")]
        assert found == ["V11", "V10", "V1"]
        assert [line.version for line in registry.versions(session, "fraud", limit=2)] == ["V11", "V10"]
        line = next(line for line in registry.models(session, "fraud") if line.name == "fraud")
        assert (line.newest, line.newest_at) == ("V11", NOW)


def test_a_version_far_down_a_long_list_is_found(
    registration: Registration, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "WINDOW", 3)
    for version in ("old-1", "old-2", "new-1", "new-2", "new-3"):
        registration.register(CI, replace(SEVEN, version=version))
    with database.read() as session:
        assert [line.version for line in registry.versions(session, "fraud", "OLD")] == ["old-1", "old-2"]
        assert [line.version for line in registry.versions(session, "fraud", "new")] == ["new-3", "new-2", "new-1"]


def test_what_there_is_not_is_said_with_what_there_is(registration: Registration, database: Database) -> None:
    for version in ("6", "7", "8", "5"):
        registration.register(CI, replace(SEVEN, version=version))
    registration.register(CI, replace(SEVEN, model="one"))
    with database.read() as session:
        for model, version, said in (
            ("x", "1", "There is no model called “x”."),
            ("fraud", "9", "fraud has no version 9; its newest are 5, 8, 7."),
            ("one", "9", "one has no version 9; its only one is 7."),
            ("a\x00b", "9", "There is no model called “a\ufffdb”."),
            ("fraud", "\ud800", "fraud has no version \ufffd; its newest are 5, 8, 7."),
        ):
            with pytest.raises(NotFound) as caught:
                registry.version(session, model, version)
            assert str(caught.value) == said


# -- champions ---------------------------------------------------------------------------------------------------


@pytest.fixture
def crown(database: Database) -> Callable[..., int]:
    def make(version_id: int, since: datetime, kind: str = "promotion") -> int:
        with database.change() as session:
            version = session.get_one(Version, version_id)
            promotion = PromotionRow(
                kind=kind, state="succeeded", model_id=version.model_id, version_id=version_id, stage="production",
                requester="user:U01ALICE", requester_name="Alice", reason="", rules={}, policy_version="p", verdicts=[],
                evidence_digest="", created_at=since, updated_at=since, ended_at=since,
            )  # fmt: skip
            session.add(promotion)
            session.flush()
            old = session.query(Champion).filter_by(model_id=version.model_id, until=None).one_or_none()
            if old:
                old.until, old.ended_by = since, promotion.id
                session.flush()
            session.add(
                Champion(
                    model_id=version.model_id, stage="production", version_id=version_id,
                    promotion_id=promotion.id, since=since,
                )
            )  # fmt: skip
            return promotion.id

    return make


def test_every_moment_has_the_champion_it_had(
    registration: Registration, database: Database, crown: Callable[..., int]
) -> None:
    six = registration.register(CI, replace(SEVEN, version="6"))[0]
    seven = registration.register(CI, SEVEN)[0]
    hour = timedelta(hours=1)
    crown(six.id, NOW)
    crown(seven.id, NOW + hour)
    back = crown(six.id, NOW + 2 * hour, "rollback")
    with database.read() as session:
        assert champions.champion_at(session, "fraud", "production", NOW - hour) is None
        at = {n: champions.champion_at(session, "fraud", "production", NOW + n * hour / 2) for n in range(6)}
        assert [view.version for view in at.values() if view] == ["6", "6", "7", "7", "6", "6"]
        now = champions.champion_at(session, "fraud", "production", NOW + 9 * hour)
        assert now is not None
        assert (now.promotion, now.until, now.requested_by.name) == (f"P-{back}", None, "Alice")
        assert [view.ended_by for view in at.values() if view][2] == f"P-{back}"
        assert champions.champion_at(session, "fraud", "staging", NOW) is None
        assert registry.champions_of(session, "fraud") == {"production": ("6", NOW + 2 * hour)}
        was = promotions.served(session, seven.id)["production"]
        assert (was.since, was.until, was.rolled_back_by) == (NOW + hour, NOW + 2 * hour, f"P-{back}")
        again = promotions.served(session, six.id)["production"]
        assert (again.since, again.until, again.rolled_back_by) == (NOW + 2 * hour, None, None)


# -- many --------------------------------------------------------------------------------------------------------


def test_searching_among_many_versions_reads_few_of_them(registration: Registration, database: Database) -> None:
    kept = registration.register(CI, SEVEN)[0]
    row = {
        "artifact_uri": "", "digest": "d", "lineage": {}, "tags": {}, "content_digest": "", "registered_by": "t",
        "registered_at": NOW,
    }  # fmt: skip
    with database.note() as session:
        model_id = session.get_one(Version, kept.id).model_id
        many = [row | {"model_id": model_id, "version": f"build-{number}"} for number in range(20_000)]
        session.execute(insert(Version), many)
    with database.read() as session:
        assert [line.version for line in registry.versions(session, "fraud", "build-1999", limit=3)] == [
            "build-19999",
            "build-19998",
            "build-19997",
        ]
        assert [line.version for line in registry.versions(session, "fraud", "7")] == ["7"]
        assert registry.models(session, "fr")[0].newest == "build-19999"


# -- tokens ------------------------------------------------------------------------------------------------------


def test_a_token_is_known_by_its_hash_alone_until_it_is_revoked(database: Database) -> None:
    tokens = Tokens(database, lambda: NOW)
    made, secret = tokens.create(CI, "ci-fraud", ["request", "register"])
    assert secret.startswith("baton_")
    assert len(secret) == len("baton_") + 43
    assert tokens.recognise(secret) == made
    assert (made.may("request"), made.may("read")) == (True, False)
    assert str(made.actor) == "token:ci-fraud"
    with database.engine.connect() as connection:
        stored = str(connection.execute(text("SELECT * FROM api_tokens")).all())
        events = str(connection.execute(text("SELECT * FROM audit_events")).all())
    assert secret not in stored + events
    assert tokens.recognise(secret[:-1] + ("A" if secret[-1] != "A" else "B")) is None
    assert tokens.recognise("") is tokens.recognise("baton_") is tokens.recognise("x" * 10_000) is None
    tokens.revoke(CI, "ci-fraud")
    assert tokens.recognise(secret) is None
    with database.read() as session:
        assert [event.kind for event in audit.events(session)] == ["token_created", "token_revoked"]


def test_wrong_names_and_scopes_of_tokens_are_said(database: Database) -> None:
    tokens = Tokens(database, lambda: NOW)
    tokens.create(CI, "ci", ["admin"])
    for name, scopes, part in (
        ("a b", ["read"], "A token's name has 1 to 64 letters"),
        ("", ["read"], "A token's name"),
        ("x", ["write"], "“write” is no scope; write one or more of register, request, read, admin"),
        ("x", [" "], "A token needs a scope"),
        ("ci", ["read"], "There is, or was, a token called ci"),
    ):
        with pytest.raises((BadInput, Conflict), match=part):
            tokens.create(CI, name, scopes)
    with pytest.raises(BadInput, match=r"“bob@example\.com” is no Slack id of a person; write one such as U01ALICE\."):
        tokens.create(CI, "bobs", ["read"], owner="bob@example.com")
    with pytest.raises(NotFound, match="no token called “nobody”"):
        tokens.revoke(CI, "nobody")
    tokens.revoke(CI, "ci")
    with pytest.raises(Conflict, match="was revoked already"):
        tokens.revoke(CI, "ci")
