# Two commands are all that a newcomer needs: make demo, and make test. Each sets up .venv as far as it needs it.
# Another Python: make test PYTHON=python3.13

PYTHON ?= python3
SECONDS ?= 600
COUNT ?= 10000
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

.DEFAULT_GOAL := help
.NOTPARALLEL:

.PHONY: help
help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: $(VENV)/.ready-to-run ## See a workflow become a picture; needs no ComfyUI and no GPU.
	@$(BIN)/comfywatch demo

.PHONY: test
test: lint types ## Check everything: lint, types, and the tests with their coverage.
	@$(BIN)/python -m pytest --cov --cov-report=term

.PHONY: lint
lint: $(VENV)/.ready-to-work ## Check style and layout.
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

.PHONY: types
types: $(VENV)/.ready-to-work ## Check the types.
	@$(BIN)/mypy --strict

.PHONY: format
format: $(VENV)/.ready-to-work ## Mend what lint can mend by itself.
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

.PHONY: soak
soak: $(VENV)/.ready-to-run ## Kill and break a real daemon and a sandbox for SECONDS (600), and count what was kept.
	@$(BIN)/python -m benchmarks.soak $(SECONDS) $(if $(SEED),--seed $(SEED))

.PHONY: flood
flood: $(VENV)/.ready-to-run ## Drop COUNT (10000) workflows, a third of them broken, and see what comes of each.
	@$(BIN)/python -m benchmarks.flood $(COUNT)

.PHONY: bench
bench: $(VENV)/.ready-to-run ## Measure speed and scale beside the floor; COMFYUI_URL names another ComfyUI than the sandbox.
	@$(BIN)/python -m benchmarks.speed

.PHONY: test-sync
test-sync: $(VENV)/.ready-to-work ## Drop workflows through two real Syncthings over SECONDS (600); needs syncthing installed.
	@command -v syncthing >/dev/null || { echo "make test-sync needs syncthing: Debian's package of that name."; exit 2; }
	@COMFYWATCH_TEST_SYNC=$(SECONDS) $(BIN)/python -m pytest tests/test_sync.py -rP

.PHONY: docs
docs: $(VENV)/.ready-to-write ## Make the documents a site, in build/docs/.
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open build/docs/index.html"

.PHONY: clean
clean: ## Remove what these commands made; projects, settings and state stay.
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* build dist
	@if [ -f demo/.comfywatch-demo ]; then rm -rf demo; fi
	@find comfywatch tests -name __pycache__ -type d -prune -exec rm -rf {} +

# What comfywatch and its sandbox need, and no more: the demo is not to wait for the tools of developers.
$(VENV)/.ready-to-run: pyproject.toml $(BIN)/python
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"comfywatch needs Python 3.11 or later; $(PYTHON) is {v[0]}.{v[1]}. Name another: make PYTHON=python3.12 ...")'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "Setting up $(VENV), once ..."; $(PYTHON) -m venv --clear $(VENV); }
	@$(PIP) install --editable '.[sandbox]'
	@touch $@

# pip knows dependency groups from 25.1 on.
$(VENV)/.ready-to-work: pyproject.toml $(VENV)/.ready-to-run
	@$(PIP) install --upgrade 'pip>=25.1'
	@$(PIP) install --editable '.[sandbox]' --group dev
	@touch $@

$(VENV)/.ready-to-write: pyproject.toml mkdocs.yml $(VENV)/.ready-to-work
	@$(PIP) install --group docs
	@touch $@

# Nothing makes it by itself; one that is missing, or was replaced by another Python, makes the stamps above old.
$(BIN)/python: ;
