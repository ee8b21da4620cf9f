.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
DEMO ?=
BENCH ?=
# Each peer lives in an environment of its own: their requirements exclude each other.
PEERS := larch xlogit biogeme pyfixest mesa

.PHONY: help demo test test-all lint bench clean

help: ## show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "nestflow needs Python 3.11 or later; say which: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/.installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ .venv/.installed

.venv/.installed-lint: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[lint]'
	@touch $@ .venv/.installed

demo: .venv/.installed ## install, then run the whole job once into runs/demo (options: DEMO="--workers 5000")
	$(BIN)/nestflow demo $(DEMO)

test: .venv/.installed-test ## install what the tests need and run them
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

test-all: .venv/.installed-test ## the long Monte-Carlo proofs as well
	$(BIN)/python -m pytest -n 2

lint: .venv/.installed-lint ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/.installed $(PEERS:%=.venvs/%/.installed) ## time nestflow beside its peers (options: BENCH="--scale small")
	$(BIN)/python benchmarks/run.py $(BENCH)

.venvs/%/.installed: benchmarks/requirements/%.txt
	$(PYTHON) -m venv .venvs/$*
	.venvs/$*/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

clean: ## remove what the other targets made
	rm -rf .venv .venvs runs dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name '*.nb[ic]' -delete
