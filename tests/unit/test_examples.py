"""The recorded examples have the shape of a registration, and carry the differences that the demo's story needs."""

import json
import math
import re
from pathlib import Path

import pytest

RECORDED = Path(__file__).parents[2] / "examples" / "recorded"
BODIES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RECORDED.glob("*.json"))}
DE = "country=DE"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def value(version, name, part=""):
    """The one measurement of that name and slice; None where there is none."""
    found = [m["value"] for m in BODIES[version]["metrics"] if (m["name"], m.get("slice", "")) == (name, part)]
    assert len(found) <= 1
    return found[0] if found else None


def broken_gates(candidate, champion):
    """The production gates of the contract that `candidate` does not pass; a gate without data is not passed."""
    gates = {
        "auc >= 0.90": ("auc", "", lambda mine, _: mine >= 0.90),
        "auc vs champion": ("auc", "", lambda mine, other: mine >= other - 0.005),
        "p99 <= 50": ("latency_p99_ms", "", lambda mine, _: mine <= 50),
        "auc DE vs champion": ("auc", DE, lambda mine, other: mine >= other - 0.02),
    }
    broken = set()
    for gate, (name, part, passes) in gates.items():
        mine, other = value(candidate, name, part), value(champion, name, part)
        if mine is None or not passes(mine, other):
            broken.add(gate)
    return broken


def test_three_models_are_recorded_with_the_versions_of_the_story():
    assert set(BODIES) == {
        *(f"fraud-detector-{v}" for v in "5678"),
        *(f"churn-ranker-{v}" for v in "123"),
        *(f"digit-reader-{v}" for v in "123"),
    }


@pytest.mark.parametrize("name", BODIES)
def test_a_recorded_file_is_a_registration_and_its_models_name(name):
    body = BODIES[name]
    assert set(body) == {"model", "version", "metrics", "artifact", "lineage", "tags"}
    assert name == f"{body['model']}-{body['version']}"
    assert set(body["artifact"]) == {"uri", "digest"}
    assert DIGEST.fullmatch(body["artifact"]["digest"])
    assert set(body["lineage"]) == {"data", "code", "run_url", "trained_by"}
    assert all(set(data) == {"name", "digest"} for data in body["lineage"]["data"])
    assert all(DIGEST.fullmatch(data["digest"]) for data in body["lineage"]["data"])
    assert body["lineage"]["code"]["repo"] == f"https://github.com/acme/{body['model']}"
    assert re.fullmatch(r"[0-9a-f]{40}", body["lineage"]["code"]["commit"])
    assert body["lineage"]["run_url"].startswith("https://")
    assert body["lineage"]["trained_by"].endswith("@example.com")
    assert all(isinstance(v, str) for v in body["tags"].values())


@pytest.mark.parametrize("name", BODIES)
def test_every_measurement_is_finite_and_says_on_what_it_was_measured(name):
    metrics = BODIES[name]["metrics"]
    assert metrics
    for metric in metrics:
        assert (
            {"name", "value", "dataset", "samples"} <= set(metric) <= {"name", "value", "slice", "dataset", "samples"}
        )
        assert math.isfinite(metric["value"])
        assert metric["samples"] > 0
        assert set(metric["dataset"]) == {"name", "digest"}
        assert DIGEST.fullmatch(metric["dataset"]["digest"])
    assert len({(m["name"], m.get("slice", "")) for m in metrics}) == len(metrics)


@pytest.mark.parametrize("model", ["fraud-detector", "churn-ranker", "digit-reader"])
def test_versions_of_one_model_were_measured_on_one_data_set_and_are_different_artifacts(model):
    bodies = [body for body in BODIES.values() if body["model"] == model]
    assert len({m["dataset"]["digest"] for body in bodies for m in body["metrics"]}) == 1
    assert len({body["artifact"]["digest"] for body in bodies}) == len(bodies)


@pytest.mark.parametrize("name", BODIES)
def test_the_slices_add_up_to_the_whole(name):
    samples = {(m["name"], m.get("slice", "")): m["samples"] for m in BODIES[name]["metrics"]}
    for metric in {"auc", "accuracy"} & {m["name"] for m in BODIES[name]["metrics"]}:
        assert samples[metric, DE] + samples[metric, "country=FR"] == samples[metric, ""]


def test_each_fraud_detector_is_better_overall_than_the_one_before():
    overall = [value(f"fraud-detector-{v}", "auc") for v in "5678"]
    assert overall == sorted(overall)
    assert len(set(overall)) == 4
    assert overall[0] >= 0.90


@pytest.mark.parametrize(("candidate", "champion"), [("6", "5"), ("7", "5"), ("7", "6")])
def test_fraud_detector_seven_and_six_pass_every_gate_against_those_before(candidate, champion):
    assert broken_gates(f"fraud-detector-{candidate}", f"fraud-detector-{champion}") == set()
    assert value(f"fraud-detector-{candidate}", "fairness_gap") <= 0.1


@pytest.mark.parametrize("champion", ["5", "6", "7"])
def test_fraud_detector_eight_fails_on_the_slice_alone(champion):
    assert broken_gates("fraud-detector-8", f"fraud-detector-{champion}") == {"auc DE vs champion"}


def test_a_slow_version_and_a_weak_one_fail_an_absolute_gate():
    assert broken_gates("digit-reader-2", "digit-reader-1") == {"p99 <= 50"}
    assert "auc >= 0.90" in broken_gates("churn-ranker-2", "churn-ranker-1")


def test_a_version_that_was_never_timed_and_one_without_probabilities_lack_their_metric():
    assert value("churn-ranker-3", "latency_p99_ms") is None
    assert broken_gates("churn-ranker-3", "churn-ranker-1") == {"p99 <= 50"}
    assert value("digit-reader-3", "auc") is None
    assert value("digit-reader-3", "auc", DE) is None
    assert value("digit-reader-3", "latency_p99_ms") is not None


def test_one_version_that_passes_was_trained_by_an_approver():
    assert BODIES["digit-reader-1"]["lineage"]["trained_by"] == "bob@example.com"
    assert broken_gates("digit-reader-1", "digit-reader-1") == set()
    assert {body["lineage"]["trained_by"] for name, body in BODIES.items() if name != "digit-reader-1"} == {
        "dana@example.com"
    }
