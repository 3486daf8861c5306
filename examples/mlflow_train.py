"""A training script whose model arrives in Baton by itself: `MLFLOW_TRACKING_URI=http://mlflow:5000 python mlflow_train.py`.

Needs mlflow and scikit-learn. Baton is told of nothing here; it finds the version in MLflow once the run has finished.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import mlflow
from mlflow.models import infer_signature
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def digest(logged: Any) -> str:
    """The fingerprint of the model's files, for Baton to tell and a deploy system to check."""
    folder = Path(mlflow.artifacts.download_artifacts(logged.model_uri))
    seen = hashlib.sha256()
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        seen.update(f"{path.relative_to(folder)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return f"sha256:{seen.hexdigest()}"


rows = load_wine(as_frame=True).frame.assign(target=lambda frame: (frame.target == 1).astype(int))
train, held_out = train_test_split(rows, test_size=0.5, random_state=42, stratify=rows.target)
X, X_held_out = train.drop(columns="target"), held_out.drop(columns="target")
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, train.target)
scores, high = model.predict_proba(X_held_out)[:, 1], X_held_out.ash > 2.36

learned = mlflow.data.from_pandas(train, name="churn-train", targets="target")
measured = mlflow.data.from_pandas(held_out, name="churn-eval", targets="target")
with mlflow.start_run():  # Baton waits until this block has ended; so everything it is to know is said inside
    if "TRAINED_BY" in os.environ:  # whom Baton will not let approve it; MLflow's own guess is the account's name
        mlflow.set_tag("mlflow.user", os.environ["TRAINED_BY"])
    mlflow.log_input(learned, context="training")
    mlflow.log_input(measured, context="evaluation")
    logged = mlflow.sklearn.log_model(model, name="model", signature=infer_signature(X, scores))
    auc, auc_high = (roc_auc_score(held_out.target[part], scores[part]) for part in (high | ~high, high))
    mlflow.log_metric("auc", auc, dataset=measured, model_id=logged.model_id)
    mlflow.log_metric("auc/ash:high", auc_high, dataset=measured, model_id=logged.model_id)
    version = mlflow.register_model(logged.model_uri, "churn-ranker", tags={"baton.digest": digest(logged)})
    print(f"churn-ranker {version.version}")
