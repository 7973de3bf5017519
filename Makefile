# `make run` and `make test` are all a newcomer needs; the rest is for changing things.
# The first call makes .venv and installs into it, the next ones only look at the stamps.

# Another Python: make run PYTHON=/opt/python3.13/bin/python3
PYTHON ?= python3.14 python3.13 python3.12 python3.11 python3
BIN := .venv/bin

# pip reads the first for what it installs and the second for what it builds with.
INSTALL := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet

.PHONY: help run test check fix bench bench-check chaos soak fuzz screenshots clean
.NOTPARALLEL:
.DEFAULT_GOAL := help

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

run: .venv/installed-run ## start everything (make run ARGS="--port 9000")
	@exec $(BIN)/darkroom up $(ARGS)

# As many files at a time as there are cores; one after the other with ARGS="-n 0".
test: .venv/installed-test ## run the tests (make test ARGS="-k idempotency")
	@$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)

check: .venv/installed-dev ## check format, lint, types, imports, infra/ and known vulnerabilities
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python .ci/infra.py
	@$(BIN)/python .ci/audit.py

fix: .venv/installed-dev ## format, and repair what can be repaired
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# All rows take half an hour and write docs/benchmarks.md; some of them only print.
bench: .venv/installed-test ## measure side by side with others (make bench ROW=drain)
	@$(BIN)/python -m tests.bench $(or $(ROW),--write) $(ARGS)

bench-check: .venv/installed-test ## say which figures fell by more than a fifth (ROW=drain)
	@$(BIN)/python -m tests.bench --check $(ROW) $(ARGS)

chaos: .venv/installed-test ## 10,000 prompts while all is being killed (ARGS="--jobs 1000 --seed 7")
	@$(BIN)/python -m tests.chaos.drive $(ARGS)

soak: .venv/installed-test ## an hour of calls, and what must not grow (ARGS="--minutes 15")
	@MODEL_EXAMPLES=2000 $(BIN)/pytest --timeout=0 tests/wire/test_job_store_model.py
	@$(BIN)/python -m tests.chaos.drive --scenario soak $(ARGS)

fuzz: .venv/installed-test ## send what a document's reader might (ARGS="--examples 500")
	@$(BIN)/python -m tests.fuzz $(ARGS)

screenshots: .venv/installed-test ## take the pictures of the docs anew (ARGS="jobs")
	@$(BIN)/python -m tests.browser.screenshots $(ARGS)

clean: ## remove environments and caches; the data folder stays
	rm -rf .venv .venv-bench* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find service workers tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Who has more has less as well: the stamps of the smaller installs come along.
.venv/installed-run: EXTRAS :=
.venv/installed-test: EXTRAS := [test,otel]
.venv/installed-test: LESS := .venv/installed-run
.venv/installed-dev: EXTRAS := [test,otel,dev]
.venv/installed-dev: LESS := .venv/installed-run .venv/installed-test
.venv/installed-%: pyproject.toml constraints.txt | $(BIN)/python $(BIN)/pip
	@echo "Installing Darkroom$(EXTRAS) into .venv ..."
	@$(INSTALL) --editable ".$(EXTRAS)"
	@touch $(LESS) $@

# pip is what venv writes last: with both in place the environment is whole.
FITS := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
$(BIN)/python $(BIN)/pip:
	@for python in $(PYTHON); do \
		if $$python -c '$(FITS)' 2>/dev/null; then \
			echo "Making .venv with $$($$python --version) ..."; \
			exec $$python -m venv --clear .venv; \
		fi; \
	done; \
	for python in $(PYTHON); do \
		command -v $$python >/dev/null || continue; \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			minor=$$($$python -c 'import sys; print(sys.version_info[1])'); \
			echo "$$python cannot make virtual environments here: install its venv module (on Debian and Ubuntu: apt install python3.$$minor-venv)." >&2; \
		else \
			echo "Darkroom needs Python 3.11 or newer, but $$python is $$($$python --version 2>&1): install a newer one, or name it with PYTHON=/path/to/python3." >&2; \
		fi; \
		exit 1; \
	done; \
	echo "Darkroom needs Python 3.11 or newer, and there is none on PATH: install it, or name it with PYTHON=/path/to/python3." >&2; \
	exit 1
