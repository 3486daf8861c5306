"""Systems that are not Baton's. MLflow is 800 MB: its tests run where BATON_MLFLOW names a Python that has it."""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("BATON_MLFLOW") else ["test_mlflow_server.py"]
