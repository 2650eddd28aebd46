# `make help` lists what can be asked of the project. Every verb sets up what it needs, once.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

VENV  := .venv
PY    := $(VENV)/bin/python
READY := $(VENV)/.ready

# Whose tests run on each kind of store: --store=postgresql.
STATE := tests/sagas tests/sourcing tests/flows

# pyright comes complete from the package index; asking for news would need a network.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

##@ Use

demo: $(READY)/isthmus  ## Run the shop: 2,000 orders, two workers killed, the books at the end
	@$(PY) examples/shop/demo.py

shop: $(READY)/isthmus  ## Run the shop and keep it open, until Ctrl-C
	@$(PY) examples/shop/demo.py --keep

tour: $(READY)/isthmus  ## See sagas killed and resumed, flows, read models; then the pages (KEEP=1 stays open)
	@$(PY) examples/shop/tour.py $(if $(KEEP),--keep)
	@printf '\nThe patterns, a page each:\n' && printf '  %s\n' docs/patterns/*.md docs/resilience/[a-z]*.md

bench: $(READY)/isthmus $(READY)/bench  ## Measure against peers and against the bare disk
	@$(PY) -m bench

bench-services: $(READY)/isthmus $(READY)/bench  ## Measure serving and calling, beside peers
	@$(PY) -m bench rest client rpc http_layers

bench-state: $(READY)/isthmus $(READY)/bench  ## Measure sagas, events and PostgreSQL, beside peers
	@$(PY) -m bench sagas events events_growth pgqueue

bench-resilience: $(READY)/isthmus $(READY)/bench  ## Measure what policies cost, beside peers
	@$(PY) -m bench resilience

##@ Develop

setup: $(READY)/isthmus $(READY)/test $(READY)/check  ## Make .venv with isthmus and every tool (no-op when up to date)

test: $(READY)/isthmus $(READY)/test  ## Run the tests (code in the docs is run by check); T="-k lease" narrows
	@$(PY) -m pytest -q --ignore=tests/docs --ignore=tests/engines/postgres -n $(or $(JOBS),2) -m "not torture" $(T)
	@ORDEAL=$(or $(ORDEAL),0.3) $(PY) -m pytest -q --ignore=tests/engines/postgres -n $(or $(JOBS),2) -m torture $(T) || [ $$? = 5 ] # 5: none, as T narrows

test-engines: $(READY)/isthmus $(READY)/test  ## Run the tests of engines that need a server; T="-k lease" narrows
	@$(PY) -m pytest -q -n $(or $(JOBS),2) tests/engines/postgres $(T)
	@$(PY) -m pytest -q -n $(or $(JOBS),2) $(STATE) --store=postgresql -m "not torture" $(T) || [ $$? = 5 ]
	@ORDEAL=$(or $(ORDEAL),0.2) $(PY) -m pytest -q -n $(or $(JOBS),2) tests/torture $(STATE) --store=postgresql -m torture -k "not normal" $(T) || [ $$? = 5 ]

torture: $(READY)/isthmus $(READY)/test  ## Run only the tests that kill real processes, at length (ORDEAL=5)
	@ORDEAL=$(or $(ORDEAL),5) $(PY) -m pytest -q -m torture -s $(T)
	@ORDEAL=$(or $(ORDEAL),5) $(PY) -m pytest -q -m torture -s tests/torture $(STATE) --store=postgresql $(T) || [ $$? = 5 ]

simulate: $(READY)/isthmus $(READY)/test  ## Run a whole shop in simulated worlds, by seed (SEEDS=1000); SEED=7 replays one
	@SEEDS=$(or $(SEEDS),200) $(PY) -m pytest -q tests/simulation -k whatever_happens $(T)

faults: $(READY)/isthmus $(READY)/test  ## Plant faults in the sqlite engine, and see that the tests catch them; T="lease" narrows
	@$(PY) tools/mutate_sqlite.py $(T)

mutate: $(READY)/isthmus $(READY)/test  ## Change the resilience room a little, and score its tests (N=200, or all); T="cache" narrows
	@$(PY) tools/mutate_resilience.py $(T)

check: lint types imports public docs  ## Judge everything that can be judged without running the tests

lint: $(READY)/check
	@echo "lint: ruff"
	@$(VENV)/bin/ruff check --quiet --output-format=concise
	@$(VENV)/bin/ruff format --check --quiet || { echo "badly formatted: run 'make fmt'"; exit 1; }

types: $(READY)/isthmus $(READY)/test $(READY)/check
	@echo "types: pyright"
	@$(VENV)/bin/pyright

imports: $(READY)/isthmus $(READY)/check
	@echo "imports: import-linter"
	@$(VENV)/bin/lint-imports --no-logo

public: $(READY)/isthmus $(READY)/test
	@echo "public API: tests/public/api.txt"
	@$(PY) tools/public_api.py --check tests/public/api.txt

docs: $(READY)/isthmus $(READY)/test
	@echo "docs: code and links"
	@$(PY) -m pytest -q tests/docs

api: $(READY)/isthmus $(READY)/test  ## Accept the public API as it is now
	@$(PY) tools/public_api.py > tests/public/api.txt
	@git diff --stat -- tests/public/api.txt

fmt: $(READY)/check  ## Format the code and mend what ruff can mend
	@$(VENV)/bin/ruff check --quiet --fix-only
	@$(VENV)/bin/ruff format

shape: $(READY)/isthmus  ## Show how long files and functions are, and which stand out
	@$(PY) tools/shape.py src

lock:  ## Renew requirements/dev.txt with the newest versions
	@tools/lock requirements/dev.txt

clean:  ## Remove the environment, caches and build products
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## Show this
	@awk 'BEGIN { FS = ":.*##" } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*##/ { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo

$(READY)/%: pyproject.toml requirements/dev.txt tools/setup
	@tools/setup $(VENV) $*
	@mkdir -p $(READY) && touch $@

.PHONY: demo shop tour bench bench-state bench-resilience bench-services setup test test-engines torture simulate faults mutate check lint types imports public docs api fmt shape lock clean help
