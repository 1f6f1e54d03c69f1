# From a bare checkout: `make run` brings Converge up, `make test` runs every test. Both make what they need first.

VENV := .venv
BIN := $(VENV)/bin
# Any Python from 3.11 on; name another one with `make PYTHON=/path/to/python run`.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$p && break; done)
ARGS ?=

.PHONY: help run test test-postgres check bench chaos hosts env chromium lock format

help:
	@echo "make run     start Converge (CONVERGE_PORT chooses the port; ARGS='--workers 4' goes to manage.py up)"
	@echo "make test    run all tests (ARGS goes to pytest)"
	@echo "make test-postgres   all tests on PostgreSQL (make test runs what leans on SQL most there)"
	@echo "make check   linters, types, layering, missing migrations"
	@echo "make bench   benchmarks, as a table and as JSON"
	@echo "make chaos   kills, freezes and cuts everything, by seeds (ARGS='--seeds 200', '--soak 600', '--mutations')"
	@echo "make hosts   network namespaces as hosts, cut off from each other (Linux, root; ARGS='7' for the seventh trouble)"
	@echo "make format  rewrite the code as the linters want it"
	@echo "make lock    work the pinned requirements out again"

run: env
	@exec $(BIN)/python manage.py up $(ARGS)

# Three processes share the tests, which wait much of their time; ARGS='-n 0' has one process run them all, in order.
test: env chromium
	$(BIN)/python -m pytest $(if $(findstring no:xdist,$(ARGS)),,-n 3) $(ARGS)

test-postgres: env chromium
	$(BIN)/python -m tests.postgres_server $(ARGS)

check: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/djlint templates --lint --quiet

bench: env
	@cmp -s requirements-bench.lock $(VENV)/installed-bench.lock || { \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.lock \
		&& cp requirements-bench.lock $(VENV)/installed-bench.lock; } || \
		echo "The peers could not be installed; the benchmarks run without them."
	$(BIN)/python -m tests.bench $(ARGS)

chaos: env
	$(BIN)/python -m tests.chaos $(ARGS)

hosts: env
	$(BIN)/python -m tests.hosts $(ARGS)

format: env
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The environment is made once, and installed into again only when the lock differs from what was installed.
env:
	@test -n "$(PYTHON)" || test -x $(BIN)/python || { \
		echo "Converge needs Python 3.11 or newer, and none was found on PATH."; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
		echo "No virtual environment could be made: on Debian or Ubuntu, install python3-venv."; exit 1; }
	@cmp -s requirements.lock $(VENV)/installed.lock || { \
		echo "Installing the pinned requirements into $(VENV) ..." \
		&& $(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock \
		&& cp requirements.lock $(VENV)/installed.lock; }

# The browser journeys need a real Chromium. Debian's is used: it comes with the fonts and libraries it needs.
chromium:
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium for the browser journeys ..."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			chromium fonts-dejavu-core >/dev/null; \
	else \
		echo "The browser journeys need Chromium, and none is on PATH. Install it (sudo apt-get install chromium)," \
			"or leave them out: make test ARGS='-m \"not browser\"'"; exit 1; \
	fi

# --strip-extras and no index lines: the lock names packages and versions, never a host.
lock: env
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-tools
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --extra test --output-file requirements.lock \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options --strip-extras pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --extra bench --constraint requirements.lock \
		--output-file requirements-bench.lock --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--no-emit-options --strip-extras pyproject.toml
