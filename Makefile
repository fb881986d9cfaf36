# Every command of the project. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-from-lock

# make run: a data set of one's own instead of simulated logs
LOGS ?=
FORMAT ?=
COLUMNS ?=
DAYS ?= 3
# make run PREVIEW=1: say what would be read and written, and stop
PREVIEW ?=
# make bench: folders of public logs
DATA ?=
FOLDERS = $(foreach folder,$(DATA),--data "$(folder)")
# make bench-import: size of the CSV
ROWS ?= 1000000
BENCH := $(BIN)/python -m training.bench

export PYTHONPATH := dags
export DO_NOT_TRACK := 1
export GX_ANALYTICS_ENABLED := false

.PHONY: help setup run test check-server lint lint-types lint-imports lint-sql up down bench bench-quality bench-speed bench-import mutants lock clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(STAMP) ## the virtual environment, made from the lock when it is missing or older than it

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	# torch with what its wheel for this platform needs (an index may serve one with CUDA libraries); the rest as locked
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement requirements.lock
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: $(STAMP) ## the main job: days of logs through the whole workflow in Airflow; LOGS=DIR FORMAT=csv|movielens|... [COLUMNS=map.yaml] [DAYS=3] [PREVIEW=1]
	@$(BIN)/python -m local run --logs "$(LOGS)" --format "$(FORMAT)" --columns "$(COLUMNS)" --days $(DAYS) --preview "$(PREVIEW)"

test: $(STAMP) lint ## every test, lint first
	# a worker per core: threads of a worker's own would only take turns
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder -q

check-server: $(STAMP) ## the server profile as processes, without Docker; a worker is lost in train and in promote
	@$(BIN)/python -m tests.docker.native

lint: $(STAMP) ## format, linter, types, import rules, SQL
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target lint-types lint-imports lint-sql

lint-types:
	$(BIN)/mypy

lint-imports:
	$(BIN)/lint-imports

lint-sql:
	$(BIN)/sqlfluff lint dbt_project

up: $(STAMP) ## Airflow, MLflow, the lookup server and the worker that follows events, in the background; prints the addresses
	@$(BIN)/python -m local up

down: $(STAMP) ## stop all of that, every child process too
	@$(BIN)/python -m local down

bench: $(STAMP) ## figures against peers, as a table; DATA="DIR DIR" benchmarks public logs, else simulated ones
	@$(BENCH) quality --seeds 1 $(FOLDERS)

bench-quality: $(STAMP) ## three seeds, intervals, both protocols, and each system's own study; DATA="DIR DIR"
	@$(BENCH) quality --seeds 3 --protocol temporal --protocol loo $(FOLDERS)
	@$(BENCH) cold-start $(FOLDERS)
	@$(BENCH) multi-interest $(FOLDERS)
	@$(BENCH) losses $(FOLDERS)
	@$(BENCH) samplers $(FOLDERS)

bench-speed: $(STAMP) ## lookups (in process, over HTTP), top-k, feature building and training beside incumbents and limits, as ratios
	@$(BIN)/python -m serving_export.bench

bench-import: $(STAMP) ## import of a large CSV beside DuckDB's bare copy, with peak memory; ROWS=20000000
	@$(BENCH) import --rows $(ROWS)

mutants: $(STAMP) ## mutation testing of gate, registry, packed file, row checks and cut; survivors listed
	OMP_NUM_THREADS=1 $(BIN)/mutmut run --max-children 2
	$(BIN)/mutmut results

lock: ## write requirements.lock anew from the newest versions that pyproject.toml allows
	rm -rf $(VENV).lock && $(PYTHON) -m venv $(VENV).lock
	$(VENV).lock/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 setuptools
	$(VENV).lock/bin/python -m pip install --quiet --disable-pip-version-check '.[dev]'
	$(VENV).lock/bin/python -m pip uninstall --quiet --yes attune
	$(VENV).lock/bin/python -m pip freeze --all | sed 's/+cpu$$//' | grep -v '^pip==' > requirements.lock
	rm -rf $(VENV).lock

clean: ## what linters, tests and dbt left behind; the home .attune and the environment stay
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache mutants dbt_project/target dbt_project/logs
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
