"""The MLflow adapter against a fake server: the contract, then everything a server can do wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.mlflow import MLflow
from tests.fakes.mlflow_contract import MLflowContract


class TestFakeServer(MLflowContract):
    @pytest.fixture
    def url(self) -> Iterator[str]:
        with MLflow() as fake:
            yield fake.url
