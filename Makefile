# make demo   see a simulated company's churn: terminal report and demo/report.html
# make test   lint, then every test; installs what the tests need
# `make help` lists the rest.

PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3))
VENV   := .venv
BIN    := $(VENV)/bin
JOBS   ?= 2

# Quiet; and packages without a wheel are built apart from this environment, as newer pips do anyway.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --use-pep517 -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test lint types format bench docs setup clean

help:
	@echo 'make demo    set up, simulate a company, print its churn, write demo/report.html'
	@echo 'make test    set up, lint and run every test        (PYTEST="tests/rules -x" picks some)'
	@echo 'make lint    ruff, mypy and the import rules'
	@echo 'make format  let ruff rewrite what it can'
	@echo 'make bench   every benchmarks/bench_*.py in turn, each prints its own table'
	@echo 'make docs    the documentation as a static site in site/'
	@echo 'make setup   everything a developer needs, in .venv'
	@echo 'make clean   remove what the above made, .venv too'

# --- set-up. A stamp is newer than what it was made from, so repeating costs nothing. -------------------------------

$(BIN)/python:
	@tools/make-venv "$(PYTHON)" $(VENV)

$(VENV)/.demo-stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo 'Installing Tenure into $(VENV), about half a minute the first time.'
	@$(PIP) -e .
	@touch $@

$(VENV)/.test-stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo 'Installing Tenure with everything that its tests need into $(VENV), about a minute the first time.'
	@$(PIP) -e '.[spark,pandas,polars,text,docs,test]'
	@touch $@ $(VENV)/.demo-stamp

$(VENV)/.debian-stamp: tools/install-debian-packages | $(BIN)/python
	@tools/install-debian-packages
	@touch $@

setup: $(VENV)/.test-stamp

# --- what people run --------------------------------------------------------------------------------------------------

demo: $(VENV)/.demo-stamp
	$(BIN)/tenure demo demo/

test: $(VENV)/.debian-stamp lint
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(PYTEST)

lint: $(VENV)/.test-stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache

format: $(VENV)/.test-stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test-stamp
	@set -e; for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

docs: $(VENV)/.test-stamp
	$(BIN)/python -m tenure.faces.reference_pages docs/reference
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) demo site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
