# The commands the README names; .ci/run calls the same ones.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCHMARKS := herd herd_bounds trickle idle slow_target drain ranking cleaning evaluator accuracy size
COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate --all-extras pyproject.toml
# What Django's settings need to be read by tools that run nothing.
TOOL_ENV := DJANGO_SECRET_KEY=tools-sign-nothing-with-this-key CRONBELL_DATA=$(VENV)/tools

.PHONY: help setup run test check bench faults fuzz screenshots format messages docs lock mutants audit clean

help: ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(STAMP) ## a virtual environment of the project's own, from the hashed lock file

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Cronbell needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Say which to use: make PYTHON=python3.12 setup")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

run: $(STAMP) ## the ideas service with sample data, on http://127.0.0.1:8000
	IDEASGPT_SAMPLE=1 $(BIN)/ideasgpt up

test: $(STAMP) ## every test on SQLite, then what depends on the store again on PostgreSQL
	$(BIN)/python scripts/test.py $(ARGS)

check: $(STAMP) ## format, lint, types, and the project's own rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@$(TOOL_ENV) $(BIN)/mypy & types=$$!; \
	$(BIN)/python -m pytest --numprocesses=2 --dist=worksteal tests/project; rules=$$?; \
	wait $$types && exit $$rules

bench: $(STAMP) ## one benchmark for each promise, as a ratio to a limit measured in the same run
	@set -e; for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name; done

faults: $(STAMP) ## kill, stop, restart, fill, step: what a test can't show (ARGS=--full takes an hour)
	$(BIN)/python -m tests.faults $(ARGS)

fuzz: $(STAMP) ## the API against its own OpenAPI document, much longer than a test may (ARGS=1000)
	SCHEMA_EXAMPLES=$(or $(ARGS),300) $(BIN)/python -m pytest tests/dashboard/test_schema.py

screenshots: $(STAMP) ## every page in every look, into screenshots/pages (needs Chromium)
	SCREENSHOTS=1 $(BIN)/python -m pytest tests/browser/test_every_page.py

format: $(STAMP) ## rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

messages: $(STAMP) ## gather the texts to translate (needs GNU gettext) and compile the translations
	$(TOOL_ENV) $(BIN)/python scripts/messages.py

docs: $(STAMP) ## write docs/reference from the code
	$(BIN)/python scripts/reference.py

lock: ## pin every dependency with its hashes (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv, which resolves for all systems at once: pip install uv"; exit 2; }
	$(COMPILE) --group dev -o requirements.lock
	$(COMPILE) --group build --constraint requirements.lock -o deploy/requirements.lock

mutants: $(STAMP) ## change what judges addresses, signs and retries: do tests notice? (half an hour)
	$(BIN)/python scripts/mutate.py $(ARGS)

audit: $(STAMP) ## ask the advisories about every locked package; fails where it could not (needs the network)
	$(BIN)/python scripts/audit.py

clean: ## remove what the commands made; the data in .cronbell stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis .pytest_cache build dist screenshots
	find src tests benchmarks scripts -name __pycache__ -prune -exec rm -rf {} +
