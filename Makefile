# Two commands matter: `make demo` and `make test`. Neither needs more than Linux, git, make, Python >= 3.11 and the package index.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
#: More than the cores of a small machine: these tests wait for processes and servers more than they reckon.
XDIST  ?= 5

.PHONY: demo test lint format bench bench-analysis lock clean

demo: $(VENV)/.run ## the whole of Baton on this machine: local Slack, hook receiver, three trained models
	@$(BIN)/baton demo $(if $(TOUR),--tour,) $(if $(PORT),--port $(PORT),)

test: $(VENV)/.dev $(VENV)/.mlflow ## lint, types, then every test this machine can run
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	@$(BIN)/python -m pytest -n $(XDIST) --dist worksteal $(PYTEST_ARGS)

lint: $(VENV)/.dev
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: $(VENV)/.dev
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench: $(VENV)/.dev ## ratios against bare Bolt, on both sizes of database
	@$(BIN)/python -m bench

bench-analysis: $(VENV)/.dev ## false alarms and power of a rollout's analysis, by simulation
	@$(BIN)/python -m bench.analysis

lock: $(VENV)/.dev ## resolve anew; review the diff
	@$(PIP) install uv
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 -c requirements-dev.lock tests/external/mlflow.in -o $(VENV)/mlflow.all
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-deps --no-header -c $(VENV)/mlflow.all tests/external/mlflow.in -o tests/external/mlflow.lock

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Baton needs Python 3.11 or newer; PYTHON=… names another one.")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Setting up (once) …"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	@echo "Setting up for tests (once) …"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-deps -e .
	@touch $@ $(VENV)/.run

#: A folder that only the MLflow of the tests sees. Where it cannot be had its tests are skipped, and fail under CI.
$(VENV)/.mlflow: tests/external/mlflow.lock | $(VENV)/.dev
	@echo "Setting up MLflow for its tests (once) …"
	@rm -rf $(VENV)/mlflow
	@$(PIP) install --require-hashes --no-deps --no-compile --target $(VENV)/mlflow -r $< && touch $@ || \
		{ rm -rf $(VENV)/mlflow; echo "MLflow cannot be installed here; its tests are skipped."; test -z "$$CI"; }
