# Everything a person does with this checkout. `make demo` and `make test` set up what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PAGE_SOURCES := $(shell find dashboard -type f -not -path '*/node_modules/*' 2>/dev/null)

.PHONY: setup demo test test-all test-kit self-test test-peers test-wheel lint docs reports bench generate clean

setup: $(VENV)/.ready src/ores/hub/page/index.html

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ORES needs Python 3.11 or newer; found " + sys.version.split()[0] + ". Name another one: make PYTHON=python3.12 …")'
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing: on Debian, apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

src/ores/hub/page/index.html: $(VENV)/.ready $(PAGE_SOURCES)
	$(BIN)/python -m tools.page

demo: setup
	$(BIN)/ores demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.generate --check
	$(BIN)/python -m tools.policy

# Two at once, for much of it waits.
test: lint
	$(BIN)/pytest -n 2 --dist worksteal

# Long replays, soaks and fuzzing as well.
test-all: lint
	$(BIN)/pytest -m 'not peers' -o timeout=7200

# The maker's pages, the module in C, the committed reports; and the kit against everything that is wrong on purpose.
test-kit: setup
	$(BIN)/pytest -m kit -n 2
	$(BIN)/ores conform --self-test --quick --json

# The same, and that the kit blames nothing else for it: an hour on two cores.
self-test: setup
	$(BIN)/ores conform --self-test --json

# Every reference implementation, run as a user would and judged; writes standard/conformance/reports.
reports: setup
	$(BIN)/python -m tools.reports

# Against software that none of us wrote.
test-peers: setup
	$(BIN)/python -m tools.peers

# The plain wheel alone: its dependency list, and the SDK's tests with it.
test-wheel: setup
	$(BIN)/python -m tools.wheel

# The standard and the guides as a site, in site/; a broken link, anchor or id fails it.
docs: setup
	$(BIN)/python -m tools.website

bench: setup
	$(BIN)/python -m bench

# The only writer of generated files.
generate: setup
	$(BIN)/python -m tools.generate

clean:
	rm -rf $(VENV) dist site .site src/ores/hub/page dashboard/node_modules
