# `make demo` and `make test` do all the set-up they need, from a bare Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests on all cores: small models gain nothing from threads, so each process has one.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal
INPUTS := scripts/install.py requirements/runtime.lock requirements/dev.lock pyproject.toml

.PHONY: help install demo test test-slow check lint types contracts format lock clean

help:
	@echo "make install    set up $(VENV) with what training and serving need"
	@echo "make demo       fine-tune, report and serve an embedded example (SERVE=0: do not serve)"
	@echo "make test       set up the development tools too, and run the tests"
	@echo "make test-slow  run the tests that take longer: every method on every family, kills, a million rows"
	@echo "make check      lint, types and import contracts"

install: $(VENV)/.runtime

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: $(VENV)/bin/python $(INPUTS)
	$(BIN)/python scripts/install.py runtime
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(BIN)/python scripts/install.py dev
	@touch $@

demo: $(VENV)/.runtime
	$(BIN)/tunesmith demo $(if $(filter 0,$(SERVE)),--no-serve) $(DEMO_ARGS)

test: $(VENV)/.dev
	$(PYTEST) -m "not slow" $(TEST_ARGS)

test-slow: $(VENV)/.dev
	$(PYTEST) -m slow $(TEST_ARGS)

check: lint types contracts

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

contracts: $(VENV)/.dev
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/.dev
	$(BIN)/python scripts/lock.py

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
