# `make` alone lists the verbs. Everything runs from .venv, built from requirements.lock with its hashes.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
LOCK_STAMP := .venv/.locked
READY := .venv/.ready

# A .venv that is a link belongs to another checkout: it is used as it stands, with this tree's sources first.
ifneq ($(shell test -L .venv && echo linked),)
READY :=
export PYTHONPATH := $(CURDIR)/src:$(CURDIR)/tests
endif

.PHONY: help demo serve test check bench bars soak lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-7s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(READY) ## the whole story on this machine: gateway, paper venue, a real client; then goes on serving
	@$(BIN)/leverlock demo

serve: $(READY) ## API and gateway with your own settings
	@$(BIN)/leverlock serve

test: $(READY) ## every test but the long ones
	@$(BIN)/python -m pytest

check: $(READY) ## style, types, floors, sizes
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@PYTHONPATH="src:$${PYTHONPATH:-}" $(BIN)/lint-imports
	@$(BIN)/python tools/size.py

bench: $(READY) ## what is fast, measured against peers in the same run
	@$(BIN)/python -m bench

bars: $(READY) ## a line per security bar and mission row; PROVE=1 takes each guard out (PROVE=stale: the unproved); ONLY=B5,M15
	@$(BIN)/python tools/bars.py $(if $(PROVE),--prove $(PROVE)) $(if $(ONLY),--only $(ONLY))

soak: $(READY) ## the long tests, each named as it runs
	@$(BIN)/python -m pytest -m soak -v --timeout=7200 --durations=10

lock: ## requirements.lock anew from pyproject.toml; what is locked stays where it still fits (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv, in an environment of its own"; exit 1; }
	@uv pip compile pyproject.toml --group dev --generate-hashes --no-emit-index-url --no-header \
		--universal --python-version 3.11 --quiet -o requirements.lock

clean: ## take away the environment and the caches; .leverlock, where the demo keeps its data, stays
	@test ! -L .venv || rm .venv
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .grimp_cache build dist bench/out
	@find src tests tools bench -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# Built anew when the lock changes, so that nothing stays behind that the lock no longer names.
$(LOCK_STAMP): requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "Leverlock needs Python 3.11 or newer; '$(PYTHON)' was not found. Install python3, or name one: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Leverlock needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Name a newer one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv --clear .venv \
		|| { echo "'$(PYTHON) -m venv' failed. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing $$(grep -c '^[a-z0-9].*==' requirements.lock) locked packages into .venv, each checked against its hash"
	@$(BIN)/python -m pip install --require-hashes --no-deps -r requirements.lock \
		| sed -unE 's#^(Collecting|Processing) (.*/)?([^ ]+).*#  \3#p'
	@touch $@

.venv/.ready: $(LOCK_STAMP) pyproject.toml
	@$(BIN)/python -m pip install --quiet --no-index --no-deps --no-build-isolation --editable .
	@touch $@
