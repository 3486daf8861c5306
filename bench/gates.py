"""What judging a gate costs: `python -m bench.gates`.

A version of a hundred metrics beside its champion of a hundred; a real signature made by the model-signing package; what the
feature store holds was looked up beforehand, as it is for real, since nothing outside is asked while a gate is judged.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench.report import heading, line, machine, p
from core.domain.model import DatasetRef, Lineage, Measurement, ModelVersion, Outcome
from core.policy.features import FeaturesGate, Looked, wanted
from core.policy.gates import evaluate, overall
from core.policy.stages import Stage

ROUNDS = 1000
SIGNED = Path(__file__).parents[1] / "tests" / "fakes" / "signed"
#: What the recorded signature is of.
DIGEST = "sha256:fe0b3074fde28c515f63068389676f0286a0352a0a036fc269189d43948f46b7"
CARD = "# Fraud detector\n\n## Intended use\n\nCards.\n\n## Limitations\n\nNone known.\n" + "Words about it. " * 500
METRICS = tuple(
    Measurement(f"metric_{n % 20:02}", 0.9 + n / 10_000, slice="" if n < 20 else f"country={n}", dataset="eval",
                dataset_digest="sha256:01", samples=10_000)
    for n in range(100)
)  # fmt: skip
VERSION = ModelVersion(
    "fraud-detector", "7", "s3://m/7", DIGEST, measurements=METRICS, signature=(SIGNED / "model.sig").read_text(), card=CARD,
    lineage=Lineage((DatasetRef("transactions", "sha256:aa"),), "https://git.example.com/fraud", "0123abcd"),
)  # fmt: skip
GATES: dict[str, dict[str, Any]] = {
    "metric, at_least": {"metric": "metric_03", "at_least": 0.8},
    "metric, compared_to: champion": {"metric": "metric_03", "compared_to": "champion", "no_worse_by": 0.01},
    "metric, one slice": {"metric": "metric_03", "slice": "country=23", "compared_to": "champion", "no_worse_by": 0.01},
    "lineage": {"lineage": ["data", "code"]},
    "same_dataset": {"same_dataset": True},
    "signature": {"signature": {"keys": [(SIGNED / "release.pub").read_text()]}},
    "model_card": {"model_card": ["Intended use", "Limitations"]},
    "features": {"features": {"source": "feast", "service": "fraud_v{{version}}", "project": "fraud"}},
}


def timed(gates: list[dict[str, Any]]) -> list[float]:
    """Seconds of each of `ROUNDS` evaluations, all of which pass."""
    read = Stage.from_rules({"name": "production", "gates": gates}).gates
    champion = replace(VERSION, version="6")
    asked = [wanted(gate, VERSION) for gate in read if isinstance(gate, FeaturesGate)]
    looks = {each.key: Looked(each, Outcome.PASSED, "It is there.", datetime.now(UTC)) for each in asked}
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        verdicts = evaluate(read, VERSION, champion, looks)
        times.append(time.perf_counter() - began)
    if overall(verdicts) is not Outcome.PASSED:
        raise AssertionError(verdicts)
    return times


def main() -> None:
    machine("")
    heading(f"a gate, {ROUNDS} times; {len(METRICS)} measurements a version")
    for name, gate in GATES.items():
        shown(name, timed([gate]))
    shown("all of them at once", timed(list(GATES.values())))


def shown(name: str, times: list[float]) -> None:
    line(f"{name:<34} median {median(times) * 1e6:8.1f} µs  p99 {p(times, 99) * 1e6:8.1f} µs")


if __name__ == "__main__":
    main()
