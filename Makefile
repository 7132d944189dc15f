# Every command of the project. `make` alone lists them.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
FOLDER ?=
SEEDS ?= 2000
SECONDS ?= 120
MINUTES ?= 15
SAMPLE ?= 1000
SEED ?=
BENCH ?=
PLANNERS ?= no_seqscan no_indexscan only_seqscan no_hashjoin no_nestloop only_nestloop only_mergejoin no_sort parallel stale

RUNTIME_EXTRAS := postgres,embedded,uvloop

.DEFAULT_GOAL := help
.PHONY: help demo test check format lint types imports wheel docs site sim ablation marks mutation conditions points chaos races crashes pooler planners schedules bench clean

help: ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: $(VENV)/.runtime ## survey FOLDER (default: this checkout) with a flow on an embedded PostgreSQL
	@$(BIN)/fairlead demo $(if $(FOLDER),'$(FOLDER)')

test: $(VENV)/.development ## run all tests; those of PostgreSQL start a server of their own
	$(BIN)/pytest -n 2 --maxschedchunk 16

check: $(VENV)/.development lint imports types test wheel ## everything that CI runs

format: $(VENV)/.development ## put the code into its one format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/.development ## format and lint, without changing anything
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

imports: $(VENV)/.development ## who may import whom
	$(BIN)/lint-imports

types: $(VENV)/.development ## mypy and pyright, both strict
	$(BIN)/mypy
	$(BIN)/pyright

wheel: $(VENV)/.development ## build the wheel and test what is in it
	tests/wheel.sh $(BIN)/python

docs: $(VENV)/.development ## write the pages and drawings that follow from the code
	$(BIN)/python docs/generate.py

site: $(VENV)/.development ## build the documentation as a site: build/site/index.html
	rm -rf build/site
	$(BIN)/python -m sphinx -W --keep-going -q -E -d build/doctrees -b html docs build/site
	@echo "build/site/index.html"

sim: $(VENV)/.development ## SEEDS random worlds of flows, clients, hosts and faults: all invariants after every commit
	$(BIN)/python -W ignore -m tests.simulation.campaign --seeds $(SEEDS)

ablation: $(VENV)/.development ## one safeguard after the other is switched off, and the campaign has to find out
	$(BIN)/python -W ignore -m tests.simulation.ablation

marks: $(VENV)/.development ## which branches of recovery SEEDS worlds and the tests that prove the others reach, the seldom ones first
	$(BIN)/python -W ignore -m tests.marks --seeds $(SEEDS)

mutation: $(VENV)/.development ## SAMPLE changes of the kernel, one at a time: how many its tests notice, and those that they do not
	$(BIN)/python -m tests.mutation --sample $(SAMPLE) $(if $(SEED),--seed $(SEED))

conditions: $(VENV)/.development ## conditions of the SQL that writes, one left out at a time: which test notices, and which are noticed by none
	$(BIN)/python -m tests.mutation.conditions

points: $(VENV)/.development ## crash points in memory: every port call of every scenario fails in every way
	$(BIN)/python -m pytest -q tests/simulation --seeds $(SEEDS)

chaos: $(VENV)/.development ## workers, database and network under fire for MINUTES, by the dice of SEED; then every promise is checked
	$(BIN)/python -m tests.chaos --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

races: $(VENV)/.development ## every command against every other, stopped at each of their points, in memory and PostgreSQL
	$(BIN)/python -m pytest -q -n 2 tests/races --every-point

crashes: $(VENV)/.development ## a process killed at each statement and commit of a scenario on PostgreSQL, and another one after it
	$(BIN)/python -m pytest -q -n 2 tests/crashes --every-point

pooler: $(VENV)/.development ## all contract suites behind PgBouncer in transaction mode, which has to be installed
	@$(BIN)/python -c 'from tests.support.pgbouncer import PROGRAM as p; p or exit("PgBouncer is not installed")'
	FAIRLEAD_ADAPTERS=postgres_pgbouncer=tests.support.pooled_subject:adapter $(BIN)/python -m pytest -q -n 2 tests/contract

planners: $(VENV)/.development ## all contract suites under planners that are led astray, one after the other
	@for planner in $(PLANNERS); do echo "$$planner:"; \
	FAIRLEAD_ADAPTERS=postgres_$$planner=tests.support.planner_subjects:$$planner \
	$(BIN)/python -m pytest -q -n 2 tests/contract || exit 1; done

schedules: $(VENV)/.development ## five workers, killed now and then, and a cron of every second for SECONDS: each tick once
	FAIRLEAD_SCHEDULE_SECONDS=$(SECONDS) $(BIN)/python -m pytest -q -s tests/e2e/test_schedules.py

bench: $(VENV)/.development ## the workloads beside the raw baseline, with their costs and targets; BENCH="--help" lists them and their options
	$(BIN)/python -m tests.benchmarks.run $(BENCH)

clean: ## remove what was installed and built
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt pip

$(VENV)/.runtime: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing fairlead into $(VENV) …"
	$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt -e '.[$(RUNTIME_EXTRAS)]'
	@touch $@

$(VENV)/.development: $(VENV)/.runtime
	@echo "installing what the tests need …"
	$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt --group dev
	@touch $@
