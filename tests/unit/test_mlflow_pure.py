"""MLflow without a server: what a metric's name and value mean, who sent a webhook, what a decision moves."""

from __future__ import annotations

import base64
import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from core import registration
from core.domain.errors import BadInput, NotAllowed
from core.domain.model import Measurement
from core.policy.connections import MLflow
from core.registries import limits
from core.registries.mlflow_events import Hint, verify_webhook
from core.registries.mlflow_metrics import INFINITE, Point, choose, name_and_slice, number, points, row_count
from core.registries.mlflow_rest import credentials
from core.registries.mlflow_write import default_target

AT = 1_795_404_670_000
NOW = datetime.fromtimestamp(1_795_404_670, UTC)
SECRET = "s3cr3t of raw text, äöü"
CREATED = (
    b'{"entity": "model_version", "action": "created", "timestamp": "2026-11-23T03:31:10.829246+00:00", '
    b'"data": {"name": "churn", "version": "1", "source": "models:/m-d85b880175674de6a68a35b8488b8e6e", '
    b'"run_id": null, "tags": {}, "description": null}}'
)


# -- metrics -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "name", "part"),
    [
        ("auc", "auc", ""),
        ("auc/country:DE", "auc", "country=DE"),
        ("auc/country=DE", "auc", "country=DE"),
        ("auc[country=DE]", "auc", "country=DE"),
        ("auc[country=DE,age=18-30]", "auc", "country=DE,age=18-30"),
        ("auc/country:DE/age:18-30", "auc", "country=DE,age=18-30"),
        ("val/auc", "val/auc", ""),
        ("val/auc/country: DE ", "val/auc", "country=DE"),
        ("auc[1]", "auc[1]", ""),
        ("auc/country:DE/last", "auc/country:DE/last", ""),
        ("country:DE", "country:DE", ""),
        ("/country:DE", "/country:DE", ""),
        ("auc/", "auc/", ""),
        ("a:b/c:d", "a:b", "c=d"),
    ],
)
def test_a_metrics_name_carries_its_slice(key: str, name: str, part: str) -> None:
    assert name_and_slice(key) == (name, part)


@given(st.text())
def test_no_name_is_too_odd(key: str) -> None:
    name, part = name_and_slice(key)
    assert name == key.strip() or part


@pytest.mark.parametrize(
    ("value", "timestamp", "read"),
    [
        (0.91, AT, (0.91, "")),
        (0, AT, (0.0, "")),
        ("NaN", AT, (None, "NaN")),
        (math.nan, AT, (None, "NaN")),
        (1.7976931348623157e308, AT, (None, "Infinity")),
        (-1.7976931348623157e308, AT, (None, "-Infinity")),
        (math.inf, AT, (None, "Infinity")),
        (10**400, AT, (None, "a number too large")),
        (0.0, 0, (None, "0 without a time, as MLflow keeps a NaN")),
        (0.91, -1, (None, "0.91 without a time, as MLflow keeps a NaN")),
        ("0.91", AT, (None, "0.91")),
        (True, AT, (None, "no number")),
        (None, AT, (None, "null")),
        ({}, AT, (None, "no number")),
    ],
)
def test_only_a_finite_number_with_a_time_is_one(value: object, timestamp: int, read: tuple[float | None, str]) -> None:
    assert number(Point("auc", value, timestamp)) == read


@given(st.one_of(st.floats(), st.integers(), st.none(), st.booleans(), st.text()), st.integers())
def test_no_value_passes_for_a_number_that_is_none(value: object, timestamp: int) -> None:
    found, raw = number(Point("auc", value, timestamp))
    assert (found is None) == bool(raw.strip()) or (isinstance(value, str) and not value.strip())
    assert found is None or (math.isfinite(found) and abs(found) < INFINITE and timestamp > 0)


def test_rows_that_are_no_metrics_are_left_out() -> None:
    assert points(None) == points([None, 7, {"key": 7}, {"value": 1}]) == []
    assert points([{"key": "auc", "value": 1, "timestamp": str(AT), "step": "2"}]) == [Point("auc", 1, AT, 2)]
    assert points([{"key": "auc", "value": 1, "timestamp": "soon"}]) == [Point("auc", 1)]


def test_the_newest_value_of_a_data_set_counts_and_every_data_set_is_kept() -> None:
    told = [
        Point("auc", 0.8, AT, 1, "eval", "d1", of_model=True),
        Point("auc", 0.9, AT, 2, "eval", "d2", of_model=True),
        Point("auc", 0.7, AT, 3, "other", "d3", of_model=True),
        Point("auc", 0.6, AT, 9, of_model=True),
    ]
    chosen = choose(told, [Point("auc", 0.5, AT, 9)], {("eval", "d2"): 30})
    assert chosen.measurements == (
        Measurement("auc", 0.9, "", "", "eval", "d2", 30),
        Measurement("auc", 0.7, "", "", "other", "d3", None),
    )
    assert chosen.notes == ("auc was measured on several states of eval; the newest value counts.",)


def test_two_spellings_with_different_values_are_no_data() -> None:
    chosen = choose([], [Point("auc/country:DE", 0.9, AT), Point("auc[country=DE]", 0.8, AT)], {})
    assert chosen.measurements == (
        Measurement("auc", None, "given more than once, with different values", "country=DE"),
    )
    assert choose([], [Point("auc/a:b", 0.9, AT), Point("auc[a=b]", 0.9, AT)], {}).notes == ()


def test_what_is_too_much_or_cannot_be_kept_is_left_out_and_said() -> None:
    many = [Point(f"m{n:04}", 1.0, AT) for n in range(600)]
    chosen = choose([], [*many, Point("system/cpu", 1.0, AT)], {})
    assert len(chosen.measurements) == 500
    assert chosen.notes == ("It has 600 metrics; the first 500 by name were taken over.",)
    odd = choose([Point("auc", 0.9, AT, 0, "x" * 201, "d", of_model=True)], [Point("x" * 201, 1.0, AT)], {})
    assert odd.measurements == (Measurement("auc", 0.9),)
    assert odd.notes == (
        "auc names a data set whose name cannot be kept.",
        f"A metric whose name cannot be kept was left out: {'x' * 60}.",
    )


@pytest.mark.parametrize(
    ("profile", "rows"),
    [
        ('{"num_rows": 50}', 50),
        ('{"num_rows": true}', None),
        ('{"num_rows": -1}', None),
        ('{"num_rows": 1e3}', None),
        ("[]", None),
        ("{", None),
        (None, None),
    ],
)
def test_row_counts(profile: object, rows: int | None) -> None:
    assert row_count(profile) == rows


def test_the_limits_are_those_of_registration() -> None:
    names = [name for name in vars(limits) if name.endswith("_LIMIT")]
    assert names
    assert all(getattr(limits, name) == getattr(registration, name) for name in names)


@given(st.text(max_size=30))
def test_what_fits_can_be_registered(text: str) -> None:
    try:
        registration.name(text, "name", limits.NAME_LIMIT)
        fits = True
    except BadInput:
        fits = False
    assert limits.unfit(text, limits.NAME_LIMIT, named=True) is not fits


# -- webhooks ------------------------------------------------------------------------------------------------------


def signed(body: bytes = CREATED, at: datetime = NOW, secret: str = SECRET) -> dict[str, str]:
    """Signed by the independent library, whose scheme MLflow's is but for the headers' names."""
    library = standardwebhooks.Webhook(base64.b64encode(secret.encode()).decode())
    return {
        "X-MLflow-Delivery-Id": "c6f524d1",
        "X-MLflow-Timestamp": str(int(at.timestamp())),
        "X-MLflow-Signature": library.sign("c6f524d1", at, body.decode()),
    }


def test_a_genuine_webhook_is_a_hint() -> None:
    hint = verify_webhook(signed(), CREATED, SECRET, NOW + timedelta(seconds=299))
    assert hint == Hint("c6f524d1", "model_version", "created", "churn", "1")
    assert hint.matters


@pytest.mark.parametrize(
    ("data", "matters"),
    [
        ({"entity": "model_version_tag", "action": "set", "data": {"name": "churn", "version": "1", "key": "baton.decision"}}, False),
        ({"entity": "model_version_tag", "action": "set", "data": {"name": "churn", "version": "1", "key": "note"}}, True),
        ({"entity": "model_version_alias", "action": "deleted", "data": {"name": "churn", "alias": "champion"}}, True),
        ({"entity": "registered_model", "action": "created", "data": {"name": "churn", "tags": {}, "description": ""}}, True),
        ({"entity": "prompt", "action": "created", "data": {"name": "greeting"}}, False),
        ({"entity": "budget_policy", "action": "exceeded", "data": {}}, False),
    ],
)  # fmt: skip
def test_what_baton_writes_itself_and_what_is_no_model_does_not_matter(data: dict[str, Any], matters: bool) -> None:
    body = json.dumps(data).encode()
    assert verify_webhook(signed(body), body, SECRET, NOW).matters is matters


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"X-MLflow-Signature": ""}, "The header X-MLflow-Signature is missing; create the webhook with a secret."),
        ({"X-MLflow-Delivery-Id": ""}, "The header X-MLflow-Delivery-Id is missing; create the webhook with a secret."),
        ({"X-MLflow-Timestamp": "soon"}, "The header X-MLflow-Timestamp is not a whole number of seconds since 1970."),
        ({"X-MLflow-Timestamp": "²"}, "The header X-MLflow-Timestamp is not a whole number of seconds since 1970."),
        ({"X-MLflow-Delivery-Id": "another"}, "X-MLflow-Signature does not fit this body and this secret."),
        ({"X-MLflow-Signature": "v1,\udcff"}, "X-MLflow-Signature does not fit this body and this secret."),
        ({"X-MLflow-Timestamp": "1795404671"}, "X-MLflow-Signature does not fit this body and this secret."),
    ],
)
def test_whatever_is_changed_is_noticed(change: dict[str, str], said: str) -> None:
    with pytest.raises(NotAllowed) as refused:
        verify_webhook(signed() | change, CREATED, SECRET, NOW)
    assert (refused.value.slug, refused.value.sentence) == ("bad-signature", said)


@pytest.mark.parametrize("apart", [timedelta(seconds=301), timedelta(seconds=-301)])
def test_an_old_or_future_webhook_is_refused(apart: timedelta) -> None:
    with pytest.raises(NotAllowed, match="over 300 s away from the time here"):
        verify_webhook(signed(), CREATED, SECRET, NOW + apart)


def test_another_secret_another_body_and_an_empty_secret_are_refused() -> None:
    headers = signed()
    for secret, body in (("another", CREATED), (SECRET, CREATED + b" "), ("", CREATED)):
        with pytest.raises(NotAllowed):
            verify_webhook(headers, body, secret, NOW)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"entity": "model_version"}', b'{"entity": 7, "data": {}}'])
def test_a_genuine_body_that_is_not_mlflows_is_bad_input(body: bytes) -> None:
    with pytest.raises(BadInput, match="not an MLflow webhook"):
        verify_webhook(signed(body), body, SECRET, NOW)


# -- settings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "stage", "last", "target"),
    [
        ("alias", "production", True, "champion"),
        ("alias", "staging", False, "staging"),
        ("alias", "pre.prod", False, "pre-prod"),
        ("alias", "latest", False, "stage-latest"),
        ("alias", "V2", False, "stage-V2"),
        ("stage", "production", True, "Production"),
        ("stage", "staging", False, "Staging"),
        ("copy", "eu:prod", True, "churn-eu-prod"),
        ("tags-only", "production", True, ""),
    ],
)
def test_what_a_decision_moves_where_nobody_says(mode: Any, stage: str, last: bool, target: str) -> None:
    assert default_target(mode, "churn", stage, last) == target


@pytest.mark.parametrize(
    ("settings", "secrets", "said"),
    [
        ({"token_env": "LAB_TOKEN"}, {},
         "LAB_TOKEN is not set; the MLflow server at http://mlflow:5000 is asked with it."),
        ({"user_env": "LAB_USER", "password_env": "LAB_PASSWORD"}, {"LAB_USER": "baton"},
         "LAB_PASSWORD is not set; the MLflow server at http://mlflow:5000 is asked with it."),
        ({"token_env": "LAB_TOKEN"}, {"LAB_TOKEN": "a\r\nx: y"},
         "LAB_TOKEN holds characters that no credentials can hold; copy it again."),
        ({"token_env": "LAB_TOKEN"}, {"LAB_TOKEN": "schlüssel"},
         "LAB_TOKEN holds characters that no credentials can hold; copy it again."),
    ],
)  # fmt: skip
def test_a_secret_that_is_missing_or_unusable_is_named(
    settings: dict[str, str], secrets: dict[str, str], said: str
) -> None:
    part = MLflow.model_validate({"type": "mlflow", "url": "http://mlflow:5000", **settings})
    with pytest.raises(ValueError, match=r".") as refused:
        credentials(part, secrets.get)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"user_env": "A"}, "user_env is given without password_env"),
        ({"password_env": "A"}, "password_env is given without user_env"),
        ({"token_env": "A", "user_env": "B", "password_env": "C"}, "there is a token and a user"),
    ],
)
def test_there_is_one_way_to_let_oneself_in(settings: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match="1 validation error") as refused:
        MLflow.model_validate({"type": "mlflow", "url": "http://mlflow:5000", **settings})
    assert refused.value.errors()[0]["ctx"]["problem"] == said  # type: ignore[attr-defined]
