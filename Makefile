# Everything that people and CI call. `make help` lists it.

PYTHON ?= python3
BIN := .venv/bin
# One more than CI has cores: some tests wait. Each starts database servers of its own.
WORKERS ?= 3

# The tests start hundreds of processes; each would compile mfprefect anew.
unexport PYTHONDONTWRITEBYTECODE
# Injections of each kind on each database; more where it takes more to have each phase.
FAULTS ?= 48

.DEFAULT_GOAL := help
.PHONY: help demo test faults large bench picture lint format clean servers

help: ## show what can be made
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

.venv/.base: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[sklearn,report]'
	@touch $@

.venv/.dev: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch .venv/.base $@

demo: .venv/.base ## train and score real models on SQLite, through Prefect, in .demo/
	@$(BIN)/mfprefect demo

servers: .venv/.dev
	@$(BIN)/python tests/install_servers.py

test: servers ## run all tests, on private throwaway PostgreSQL and MariaDB servers
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadgroup

# A run that failed or was interrupted is printed, and leaves the document as it was.
faults: servers ## inject faults into real runs, in each phase, and record what came out (25 minutes)
	@rm -f .faults.jsonl
	@if MFPREFECT_TEST_FAULTS=$(FAULTS) MFPREFECT_TEST_RECORD=.faults.jsonl \
		$(BIN)/pytest --numprocesses $(WORKERS) --dist loadgroup -rF tests/faults; \
	then $(BIN)/python tests/faults/faultkit/record.py .faults.jsonl docs/reliability.md; \
	else $(BIN)/python tests/faults/faultkit/record.py .faults.jsonl; exit 1; fi

large: servers ## what takes long for its size: 5 million rows on Teradata's loader, a model of 500 MB
	MFPREFECT_TEST_ROWS=5000000 $(BIN)/pytest tests/contract/test_teradata_holds.py
	MFPREFECT_TEST_MODEL_MB=500 $(BIN)/pytest -rP tests/unit/test_safe_models.py -k large_model

bench: servers ## measure scores beside the databases' own loaders and pandas (hours; BENCH="--rows 1")
	$(BIN)/python benchmarks/scores.py --output benchmarks/results/scores.md $(BENCH)

picture: servers ## photograph a report of the demo for the README (docs/images/report.png)
	@$(BIN)/python -m mfprefect_dev.report_picture

lint: .venv/.dev ## check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: .venv/.dev ## bring the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove what the other targets made
	rm -rf .venv .servers .demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
