import pytest

pytest.register_assert_rewrite("tests.fakes.mlflow_contract")
