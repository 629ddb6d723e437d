# Smart ID Wallet. `make help` tells the commands; everything else stands on `make setup`.
# Works from a folder with spaces in its name, as root or not; without a network once set up.

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test check prove bench crash clean
SHELL := /bin/sh
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_ROOT_USER_ACTION = ignore
PYTEST_PROCESSES ?= 2

# What the set-up was made from: the pinned versions, and the place (a moved .venv does not run).
STAMP = .venv/.made-from
MADE_FROM = "$$(cksum < requirements-dev.txt) $$(pwd)"

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' Makefile

setup: ## make .venv with every dependency pinned by hash (skipped while nothing changed)
	@if [ "$$(cat $(STAMP) 2>/dev/null)" = $(MADE_FROM) ]; then exit 0; fi; \
	set -e; \
	if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then \
		found=; \
		for python in $(PYTHON) python3.12 python3.11 python3 python; do \
			if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
				>/dev/null 2>&1; then found=$$python; break; fi; \
		done; \
		if [ -z "$$found" ]; then \
			echo "make setup needs Python 3.11 or newer with venv: install it (Debian, Ubuntu:" >&2; \
			echo "apt install python3 python3-venv), or name one: make setup PYTHON=/path/to/python3" >&2; \
			exit 1; \
		fi; \
		echo "making .venv with $$("$$found" --version)"; \
		"$$found" -m venv --clear .venv; \
	fi; \
	echo "installing what requirements-dev.txt pins (a minute or two)"; \
	.venv/bin/python -m pip install --quiet --require-hashes -r requirements-dev.txt; \
	.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .; \
	printf '%s\n' $(MADE_FROM) > $(STAMP)

demo: setup ## set up, tell the whole story on a believable Cambodia, and keep serving
	@.venv/bin/smartid demo

serve: setup ## the API and the worker, with PostgreSQL and Redis of their own unless URLs are given
	@.venv/bin/smartid serve

test: setup ## every test but the long ones
	@.venv/bin/pytest -q -n $(PYTEST_PROCESSES) --dist loadfile -m "not long"

check: setup ## style, types and the import rules of the house
	@.venv/bin/ruff check --quiet .
	@.venv/bin/ruff format --check --quiet .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo

prove: setup ## prove the books right, now
	@.venv/bin/smartid prove

bench: setup ## the figures: group posting, payments over HTTP, a salary file, statements
	@.venv/bin/python -m benchmarks

crash: setup ## 300 kills, 1,000 cut COMMITs, 20 power cuts, a full disk, random days: one line of sums
	@.venv/bin/python -m tests.crash

clean: ## remove caches and build leftovers; .venv and the data folder .smartid stay
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

# The lock files, after a change of requirements*.in. Holds no registry's host and no path of a machine.
LOCK = CUSTOM_COMPILE_COMMAND="make -B requirements.txt requirements-dev.txt" \
	.venv/bin/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links --annotation-style=line
requirements.txt:
	@$(LOCK) -o requirements.txt requirements.in
requirements-dev.txt: requirements.txt
	@$(LOCK) -c requirements.txt -o requirements-dev.txt requirements.in requirements-dev.in
