# `make help` lists the targets.

PYTHON ?= python3
JOBS ?= 4
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
LOCAL := deploy/local

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

.PHONY: install
install: $(VENV)/.installed ## Make the virtual environment, with .venv/bin/trimtab in it
	@:

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed: make PYTHON=python3.11")'
	@echo "installing into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

.PHONY: tools
tools: ## Find or build helm, kustomize, kubectl and the control plane
	@$(PYTHON) $(LOCAL)/tools.py >/dev/null

.PHONY: check
check: install ## Lint, format, types, order of the rooms
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --quiet --check
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/mypy --no-error-summary $(LOCAL)/*.py
	@$(BIN)/lint-imports --no-logo >/dev/null || $(BIN)/lint-imports
	@echo "all checks passed"

.PHONY: test
test: install tools ## Run the tests (ARGS="-k word" is handed to pytest)
	@$(BIN)/python -m pytest --quiet --numprocesses=$(JOBS) --dist=worksteal $(ARGS)

.PHONY: test-long
test-long: install tools ## Try 200 random histories instead of 25, and a crash at every read too
	@TRIMTAB_LONG=1 $(BIN)/python -m pytest --quiet --numprocesses=$(JOBS) --dist=worksteal \
		tests/e2e/test_model.py tests/e2e/test_crash_points.py $(ARGS)

.PHONY: demo
demo: install tools ## Show the main job on a control plane (KEEP=1 waits before the end)
	@$(BIN)/python $(LOCAL)/controlplane.py run -- \
		$(BIN)/python examples/demo/demo.py $(if $(KEEP),--keep)

.PHONY: down
down: ## Stop the control plane that `controlplane.py up` keeps
	@$(PYTHON) $(LOCAL)/controlplane.py down

.PHONY: bench
bench: install tools ## Measure against kubectl and helm
	@$(BIN)/python $(LOCAL)/controlplane.py run -- $(BIN)/python bench/bench.py $(ARGS)

.PHONY: clean
clean: ## Delete what was made in this folder (built tools stay in the cache)
	@rm -rf $(VENV) build dist .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find pipeline renderers tests deploy examples -name __pycache__ -prune -exec rm -rf {} +
