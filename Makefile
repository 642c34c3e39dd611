# Each target sets up what it needs in .venv. More arguments: make test ARGS="-k duplicate -x"

PYTHON ?= python3
PYTHONS ?= python3.11 python3.12 python3.13 python3.14
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
GROUPS := build test lint bench lock
COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --quiet \
	--custom-compile-command "make lock" $(ARGS)

# In runlevel 1 the package starts no service.
PROMETHEUS := RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends prometheus

OR_NONE = $(if $(ARGS),|| [ $$? -eq 5 ]) # of the tests that were asked for, none may be of that kind

.DEFAULT_GOAL := help
.PHONY: help demo test check pythons quick faults witnesses fuzz bench audit lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## drive 2,000 orders through a real Kafka, with a crash in the middle
	@$(BIN)/saga demo $(ARGS)

test: $(READY) ## run all tests, those on a real Kafka too
	@$(BIN)/python -m pytest -m "not alone" --numprocesses auto --dist loadfile $(ARGS) $(OR_NONE)
	@$(BIN)/python -m pytest -m alone $(ARGS) $(OR_NONE)

check: $(READY) ## lint, format, types, import rules, house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q tests/house
	@$(MAKE) --no-print-directory pythons

pythons: $(READY) ## run quick tests on each other Python that is installed (PYTHONS="python3.12 ...")
	@own=$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	for python in $(PYTHONS); do \
		version=$$($$python -c 'import ensurepip, venv, sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null) || continue; \
		test $$version = $$own || $(MAKE) --no-print-directory VENV=.venv-$$version PYTHON=$$python quick || exit 1; \
	done

quick: $(READY) # what differs between Pythons first: documents made from docstrings, and bytes on the wire
	@echo "Quick tests on $$($(BIN)/python --version)"
	@$(BIN)/python -m pytest -q tests/saga tests/wire tests/corpus

faults: $(READY) ## kill, pause and cut off pods and brokers for ten minutes, and prove what is left (ARGS="--seconds 3600")
	@$(BIN)/python -m tests.faults $(ARGS)

witnesses: $(READY) ## ask KEDA's own scalers and a real Prometheus, too, what they see of a pod (compiles KEDA once)
	@command -v prometheus > /dev/null || { $(PROMETHEUS) || { apt-get update && $(PROMETHEUS); } } || \
		echo "There is no Prometheus here: its test is skipped."
	@$(BIN)/python -m tests.witnesses.go_programs lag keda
	@$(BIN)/python -m pytest tests/witnesses $(ARGS)

fuzz: $(READY) ## shoot hostile records at all that one record leads to (ARGS="--seconds 600 --seed 7")
	@nice $(BIN)/python -m tests.fuzz $(ARGS)

bench: $(READY) ## measure throughput and latency beside the peers
	@$(BIN)/python -m tests.benchmarks $(ARGS)

audit: $(READY) ## ask whether a dependency of the product has a known hole (asks a service on the network)
	$(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement requirements-runtime.lock $(ARGS)

lock: $(READY) ## pin all dependencies anew (ARGS=--upgrade moves them)
	$(COMPILE) --extra kafka --extra traces $(GROUPS:%=--group %) --output-file requirements.lock > /dev/null
	$(COMPILE) --constraints requirements.lock --output-file requirements-runtime.lock > /dev/null

clean: ## remove everything that make has made here
	rm -rf $(VENV) .venv-* build dist *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find app topologies tests -type d -name __pycache__ -prune -exec rm -rf {} +

$(READY): pyproject.toml requirements.lock
	@command -v $(PYTHON) > /dev/null || \
		{ echo "There is no $(PYTHON) here: install Python 3.11 or newer, or name one with 'make PYTHON=...'." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than Python 3.11: install a newer one, or name one with 'make PYTHON=...'." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments: install its venv module (on Debian: python3-venv)." >&2; exit 1; }
	@test -x $(BIN)/pip || { echo "Setting up $(VENV) (once, about half a minute)"; $(PYTHON) -m venv $(VENV); }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
