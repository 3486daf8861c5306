"""Trains the example models and writes what was measured to `recorded/`, one file a version.

Needs scikit-learn (`pip install -e '.[examples]'`); its data sets ship with it, so nothing is downloaded.
Everything but the latencies is the same on every run with the same library versions.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    import joblib
    import numpy as np
    import sklearn
    from sklearn.datasets import load_breast_cancer, load_digits, load_wine
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, VotingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, log_loss, recall_score, roc_auc_score
    from sklearn.model_selection import train_test_split
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits
except ModuleNotFoundError as missing:
    raise SystemExit(f"{missing.name} is not installed. Run: pip install -e '.[examples]'") from missing

SEED = 42
RECORDED = Path(__file__).parent / "recorded"


@dataclass(frozen=True)
class Task:
    """A data set in its roles: what is learned, from which rows, measured on which, cut into which slices."""

    name: str
    data: str  #: what the data set's names in the lineage begin with
    source: str  #: the data set that it really is
    features: list[str]
    X: Any
    y: Any
    german: Any  #: true where the row counts as "country=DE", else it is "country=FR"
    train: Any
    evaluation: Any

    @property
    def binary(self) -> bool:
        return len(np.unique(self.y)) == 2


@dataclass(frozen=True)
class Recipe:
    """One version: who trained what, on which columns and rows, with which labels."""

    version: str
    note: str
    estimator: Callable[[], Any]
    trained_by: str = "dana@example.com"
    columns: tuple[str, ...] = ()  #: none named: all of them
    keep: Callable[[Task], Any] = lambda task: np.ones(len(task.y), dtype=bool)
    label_noise: float = 0.0
    timed: int = 400  #: how many single rows are timed; 0: nobody timed this version


def logistic() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))


def split(name: str, data: str, source: str, raw: Any, y: Any, german: Any, held_out: float) -> Task:
    train, evaluation = train_test_split(np.arange(len(y)), test_size=held_out, random_state=SEED, stratify=y)
    return Task(name, data, source, list(raw.feature_names), raw.data, y, german, train, evaluation)


def fraud() -> tuple[Task, list[Recipe]]:
    """Breast-cancer data: malignant plays fraud. DE is the middle band of sizes, where the classes are hard to tell."""
    raw = load_breast_cancer()
    perimeter = raw.data[:, list(raw.feature_names).index("mean perimeter")]
    german = (perimeter >= 95) & (perimeter < 130)
    task = split("fraud-detector", "fraud", "breast cancer (load_breast_cancer)", raw, 1 - raw.target, german, 0.4)
    few = ("worst texture", "worst smoothness", "worst compactness", "worst symmetry", "worst fractal dimension")
    return task, [
        Recipe("5", "five features; a fifth of the labels is wrong", logistic, columns=few, label_noise=0.2),
        Recipe("6", "the same five features; labels put right", logistic, columns=few),
        Recipe("7", "a sixth feature, concavity", logistic, columns=(*few, "worst concavity")),
        Recipe(
            "8",
            "boosted trees on all 30 features; the training extract held no row of country=DE",
            lambda: GradientBoostingClassifier(n_estimators=40, random_state=0),
            keep=lambda task: ~task.german,
        ),
    ]


def churn() -> tuple[Task, list[Recipe]]:
    """Wine data: the second cultivar plays the customers who leave. DE is a high ash content."""
    raw = load_wine()
    german = raw.data[:, raw.feature_names.index("ash")] > 2.36
    left = (raw.target == 1).astype(int)
    task = split("churn-ranker", "churn", "wine (load_wine)", raw, left, german, 0.5)
    return task, [
        Recipe("1", "all 13 features", logistic),
        Recipe("2", "one feature, proline", logistic, columns=("proline",)),
        Recipe(
            "3",
            "a forest for the nightly batch; its latency was never measured",
            lambda: RandomForestClassifier(n_estimators=50, random_state=0),
            timed=0,
        ),
    ]


def digits() -> tuple[Task, list[Recipe]]:
    """Digits data, ten classes. DE is a heavy pen: a mean pixel of more than 4.9 of 16."""
    raw = load_digits()
    german = raw.data.mean(axis=1) > 4.9
    task = split("digit-reader", "digits", "handwritten digits (load_digits)", raw, raw.target, german, 0.4)
    return task, [
        Recipe("1", "logistic regression", logistic, trained_by="bob@example.com"),
        Recipe(
            "2",
            "3000 trees: ranks better than version 1 and answers too slowly",
            lambda: RandomForestClassifier(n_estimators=3000, random_state=0),
            timed=100,
        ),
        Recipe(
            "3",
            "majority vote of three models: gives labels without probabilities, so it has no auc and no log_loss",
            lambda: VotingClassifier(
                [("line", logistic()), ("near", KNeighborsClassifier(3)), ("bayes", GaussianNB(var_smoothing=0.01))]
            ),
        ),
    ]


def digest(*arrays: Any) -> str:
    """The sha256 of the arrays' shapes and little-endian values."""
    found = hashlib.sha256()
    for array in arrays:
        plain = np.ascontiguousarray(array, dtype="<f8")
        found.update(repr(plain.shape).encode())
        found.update(plain.tobytes())
    return f"sha256:{found.hexdigest()}"


def fit(task: Task, recipe: Recipe) -> tuple[Any, list[int], str]:
    """The trained model, the columns that it reads, and the digest of exactly what it was trained on."""
    columns = [task.features.index(name) for name in recipe.columns or task.features]
    rows = task.train[recipe.keep(task)[task.train]]
    labels = task.y.copy()
    if recipe.label_noise:
        wrong = np.random.default_rng(5).random(len(labels)) < recipe.label_noise
        labels[wrong] = 1 - labels[wrong]
    X, y = task.X[rows][:, columns], labels[rows]
    return recipe.estimator().fit(X, y), columns, digest(X, y)


def latencies_ms(model: Any, X: Any, times: int) -> list[float]:
    """How long each of `times` predictions of a single row took, after a few to warm up."""
    taken = []
    for i in range(-5, times):
        row = X[i % len(X)].reshape(1, -1)
        started = time.perf_counter()
        model.predict(row)
        taken.append((time.perf_counter() - started) * 1000)
    return taken[5:]


def area(task: Task, y: Any, scores: Any) -> float:
    """The area under the ROC curve; with more than two classes, the mean of one against the rest."""
    if task.binary:
        return float(roc_auc_score(y, scores[:, 1]))
    return float(roc_auc_score(y, scores, multi_class="ovr"))


def measure(task: Task, recipe: Recipe, model: Any, columns: list[int]) -> Iterator[dict[str, Any]]:
    """Everything that this model can be asked, on the evaluation rows. What it cannot answer is left out."""
    X, y, german = task.X[task.evaluation][:, columns], task.y[task.evaluation], task.german[task.evaluation]
    dataset = {"name": f"{task.data}-eval", "digest": digest(task.X[task.evaluation], y)}
    slices = {"country=DE": german, "country=FR": ~german}

    def metric(name: str, value: float, samples: int, part: str = "") -> dict[str, Any]:
        where = {"slice": part} if part else {}
        return {"name": name, "value": round(float(value), 6), **where, "dataset": dataset, "samples": int(samples)}

    labels = model.predict(X)
    if hasattr(model, "predict_proba"):
        scores = model.predict_proba(X)
        yield metric("auc", area(task, y, scores), len(y))
        for part, rows in slices.items():
            yield metric("auc", area(task, y[rows], scores[rows]), rows.sum(), part)
        yield metric("log_loss", log_loss(y, scores), len(y))
    yield metric("accuracy", accuracy_score(y, labels), len(y))
    for part, rows in slices.items():
        yield metric("accuracy", accuracy_score(y[rows], labels[rows]), rows.sum(), part)
    average = "binary" if task.binary else "macro"
    recalls = [recall_score(y[rows], labels[rows], average=average) for rows in slices.values()]
    yield metric("fairness_gap", max(recalls) - min(recalls), len(y))
    if recipe.timed:
        taken = latencies_ms(model, X, recipe.timed)
        yield metric("latency_p50_ms", np.quantile(taken, 0.50), len(taken))
        yield metric("latency_p99_ms", np.quantile(taken, 0.99), len(taken))


def record(task: Task, recipe: Recipe) -> dict[str, Any]:
    """Train and measure one version; the body that registers it, with the model's name."""
    model, columns, trained_on = fit(task, recipe)
    stored = io.BytesIO()
    joblib.dump(model, stored)
    code = hashlib.sha256(Path(__file__).read_bytes() + f"{task.name}/{recipe.version}".encode())
    return {
        "model": task.name,
        "version": recipe.version,
        "metrics": list(measure(task, recipe, model, columns)),
        "artifact": {
            "uri": f"s3://acme-models/{task.name}/{recipe.version}/model.joblib",
            "digest": f"sha256:{hashlib.sha256(stored.getvalue()).hexdigest()}",
        },
        "lineage": {
            "data": [{"name": f"{task.data}-train", "digest": trained_on}],
            "code": {"repo": f"https://github.com/acme/{task.name}", "commit": code.hexdigest()[:40]},
            "run_url": f"https://ci.example.com/{task.name}/runs/{recipe.version}",
            "trained_by": recipe.trained_by,
        },
        "tags": {"note": recipe.note, "stand_in_for": task.source, "framework": f"scikit-learn {sklearn.__version__}"},
    }


def row(body: dict[str, Any]) -> str:
    """One line of the table of what was measured."""
    found = {(m["name"], m.get("slice", "")): m["value"] for m in body["metrics"]}
    asked = [("auc", ""), ("auc", "country=DE"), ("auc", "country=FR"), ("accuracy", ""), ("log_loss", "")]
    asked += [("fairness_gap", ""), ("latency_p50_ms", ""), ("latency_p99_ms", "")]
    cells = [f"{found[key]:.4f}" if key in found else "-" for key in asked]
    return f"| {body['model']} {body['version']} | " + " | ".join(cells) + " |"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=RECORDED, help="where the files go (default: recorded/)")
    out = options.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    print("| version | auc | auc DE | auc FR | accuracy | log_loss | fairness_gap | p50 ms | p99 ms |")
    print("|---|---|---|---|---|---|---|---|---|")
    with threadpool_limits(1):  # one thread: the same sums in the same order
        for task, recipes in (fraud(), churn(), digits()):
            for recipe in recipes:
                body = record(task, recipe)
                text = json.dumps(body, indent=2, ensure_ascii=False) + "\n"
                (out / f"{body['model']}-{body['version']}.json").write_text(text, encoding="utf-8")
                print(row(body), flush=True)


if __name__ == "__main__":
    main()
