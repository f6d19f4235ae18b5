.DEFAULT_GOAL := help
.NOTPARALLEL:

PYTHON ?= python3
PORT ?= 8000
MINUTES ?= 60
# More for pytest: make test ARGS='-k refunds -x'
ARGS ?=

# Compiled modules are kept whatever the environment says: the tests start some hundred processes.
export PYTHONDONTWRITEBYTECODE :=

# Processes of tests, each with a PostgreSQL of its own; AT_ONCE= for one. The quick tests wait for
# deadlines and servers a third of the time, so four of their processes keep two cores at work.
SCOPES := --dist loadscope --no-loadscope-reorder
AT_ONCE ?= -n 2 $(SCOPES)
test: AT_ONCE = -n 4 $(SCOPES)

BIN := .venv/bin
# The environment of the benchmark's peers in Python.
PEERS := bench/peers/python/.venv
PAGE := web/dist/graphiql/manifest.json
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
# The lines of constraints.txt from the head of a section to the next empty line. A section has all
# that its packages need, but for [specification], of which only a file is read.
section = sed -n '/^\# \[$(1)\]/,/^$$/p' constraints.txt
install = { $(foreach name,$(1),$(call section,$(name));) } | \
	$(PIP) install --require-hashes --no-deps -r /dev/stdin

.PHONY: help run test test-rest test-all test-fast test-stripe pictures diagrams documents trees soak campaign bench bench-quick bench-growth bench-memory bench-peers bench-python bench-paying bench-documents bench-signing-in bench-strangers bench-held-lock bench-hostile first-hour rows-read check lock clean

help: ## Say what can be made.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1@\2/p' $(MAKEFILE_LIST) | awk -F@ '{printf "%-22s %s\n", $$1, $$2}'

run: .venv/.portal $(PAGE) ## Serve the demo on 127.0.0.1 (PORT=8000, DEMO_JSON=FILE for its URL and tokens).
	@exec $(BIN)/portal demo --port $(PORT) $(if $(DEMO_JSON),--json '$(DEMO_JSON)')

test: .venv/.test .venv/.portal $(PAGE) ## Run the tests, on SQLite and PostgreSQL (ARGS='-k name').
	@$(BIN)/python -m tests.support.postgres --find >/dev/null || $(MAKE) -s .venv/.postgres
	@echo 'Running the tests …'
	@$(BIN)/python -m pytest $(AT_ONCE) --quick $(ARGS)

test-rest: .venv/.test .venv/.portal $(PAGE) ## Run what make test leaves out, but for long campaigns and broken networks.
	@$(BIN)/python -m tests.support.postgres --find >/dev/null || $(MAKE) -s .venv/.postgres
	@echo 'Running the rest of the tests …'
	@$(BIN)/python -m pytest $(AT_ONCE) --rest $(ARGS)

test-all: .venv/.test .venv/.portal $(PAGE) ## Run every test, also those that break servers and networks (some minutes more).
	@$(BIN)/python -m tests.support.postgres --find >/dev/null || $(MAKE) -s .venv/.postgres
	@echo 'Running every test …'
	@$(BIN)/python -m pytest $(AT_ONCE) $(ARGS)

test-fast: .venv/.test .venv/.portal ## Run the tests that need no server, no browser and no campaign.
	@$(BIN)/python -m pytest $(AT_ONCE) -m 'not server and not browser and not campaign and not faults' $(ARGS)

test-stripe: .venv/.test .venv/.portal ## Try what the double promises against Stripe itself, and record it (STRIPE_TEST_KEY=sk_test_…).
	@case "$$STRIPE_TEST_KEY" in \
		sk_test_*) ;; \
		*) echo 'Set STRIPE_TEST_KEY to a secret key of a test account: it begins with sk_test_.' >&2; exit 1 ;; \
	esac
	@$(BIN)/python -m pytest tests/sandbox/test_stripe.py $(ARGS)

pictures: .venv/.test .venv/.portal $(PAGE) ## Take the documentation's pictures again, in chromium.
	@PICTURES=docs/pictures $(BIN)/python -m pytest -q -k 'readmes_picture' tests/browser

diagrams: .venv/.test .venv/.portal ## Generate the diagrams of states in docs/architecture.md again.
	@$(BIN)/python -m tests.support.state_diagrams

documents: .venv/.test .venv/.portal ## Write the portal page's manifest and its ids again, after a change of its queries.
	@$(BIN)/python -m tests.support.page_documents

trees: .venv/.test .venv/.portal ## Write the snapshots of plan trees in tests/planner/trees/ again.
	@$(BIN)/python -m tests.support.plan_trees

soak: .venv/.test .venv/.portal ## Try generated operations and killed servers for MINUTES=60, others each time.
	@$(BIN)/python -m tests.support.postgres --find >/dev/null || $(MAKE) -s .venv/.postgres
	@$(BIN)/python -m tests.soak $(MINUTES)

campaign: .venv/.test .venv/.portal ## Have 1,000 clients pay amid crashes, on each database (minutes; ARGS='--clients 50 --seed 1').
	@$(BIN)/python -m tests.support.postgres --find >/dev/null || $(MAKE) -s .venv/.postgres
	@$(BIN)/python -m tests.payments.campaign $(ARGS)

bench: .venv/.test .venv/.portal bench-peers ## Measure the portal beside its peers, write bench/RESULTS.md (half an hour; ARGS='--help').
	@$(BIN)/python -m tests.support.postgres --find >/dev/null || $(MAKE) -s .venv/.postgres
	@$(BIN)/python -m bench $(ARGS)

bench-growth: .venv/.test .venv/.portal ## Measure a page in practices of ten thousand, a hundred thousand and a million rows (four minutes).
	@$(BIN)/python -m tests.support.postgres --find >/dev/null || $(MAKE) -s .venv/.postgres
	@$(BIN)/python -m bench.growth $(ARGS)

bench-memory: .venv/.test .venv/.portal ## Measure whether the server's memory grows (twenty minutes; ARGS='--minutes 5').
	@$(BIN)/python -m tests.support.postgres --find >/dev/null || $(MAKE) -s .venv/.postgres
	@$(BIN)/python -m bench.memory $(ARGS)

# The benchmark says which peers aren't there, and measures the others.
bench-peers: .venv/.portal $(PEERS)/.made ## Install what the peers need (once; Node of PATH, NODE= or a wheel).
	@{ $(BIN)/python -m bench.nodejs --find >/dev/null || $(MAKE) -s .venv/.node; } && \
		$(BIN)/python -m bench.nodejs || echo 'The peers of Node are not installed, for the reason above.' >&2

bench-python: .venv/.test .venv/.portal $(PEERS)/.made ## Measure the billing page, the dashboard and a balance beside the peers in Python (three minutes).
	@echo 'Measuring …'
	@$(BIN)/python -m bench --targets by-hand,portal,idiomatic,strawchemy,django --operations billing,dashboard,tiny \
		--connections 8 --clients 60 --parts operations $(ARGS)

bench-quick: .venv/.test .venv/.portal ## Measure the portal beside an endpoint written by hand (two minutes).
	@$(BIN)/python -m tests.support.postgres --find >/dev/null || $(MAKE) -s .venv/.postgres
	@$(BIN)/python -m bench.quick $(ARGS)

bench-paying: .venv/.test .venv/.portal ## Measure paying with a slow Stripe, while pages are read (a minute).
	@$(BIN)/python -m tests.support.postgres --find >/dev/null || $(MAKE) -s .venv/.postgres
	@$(BIN)/python -m bench.paying

bench-documents: .venv/.test .venv/.portal ## Measure how long documents take to print (a minute).
	@$(BIN)/python -m bench.documents

bench-signing-in: .venv/.test .venv/.portal ## Measure whether asking for a sign-in link tells who is known (half a minute).
	@$(BIN)/python -m tests.support.postgres --find >/dev/null || $(MAKE) -s .venv/.postgres
	@$(BIN)/python -m bench.signing_in

bench-strangers: .venv/.test .venv/.portal ## Measure the CPU that hostile requests without a token take (a minute).
	@$(BIN)/python -m tests.support.postgres --find >/dev/null || $(MAKE) -s .venv/.postgres
	@$(BIN)/python -m bench.strangers $(ARGS)

bench-held-lock: .venv/.test .venv/.portal ## Measure what a held row lock on one client costs another practice (a minute).
	@$(BIN)/python -m tests.support.postgres --find >/dev/null || $(MAKE) -s .venv/.postgres
	@$(BIN)/python -m bench.held_lock $(ARGS)

bench-hostile: .venv/.test .venv/.portal ## Measure what hostile callers cost a client of another practice (nine minutes).
	@$(BIN)/python -m tests.support.postgres --find >/dev/null || $(MAKE) -s .venv/.postgres
	@$(BIN)/python -m bench.hostile $(ARGS)

first-hour: .venv/.test .venv/.portal ## Follow docs/setup.md from an empty PostgreSQL to a restored backup, and time each step (two minutes).
	@$(BIN)/python -m tests.support.postgres --find >/dev/null || $(MAKE) -s .venv/.postgres
	@$(BIN)/python -m bench.first_hour $(ARGS)

rows-read: .venv/.test .venv/.portal ## Count the rows that PostgreSQL reads for pages of 100,000 clients (ten minutes).
	@$(BIN)/python -m tests.support.postgres --find >/dev/null || $(MAKE) -s .venv/.postgres
	@$(BIN)/python -m bench.rows_read

check: .venv/.lint .venv/.test .venv/.portal ## Format, lint, types, the import contract, schema.graphql.
	@echo 'Checking format, lint, types, imports and schema.graphql …'
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/portal schema --check

lock: .venv/.lock ## Pin the newest packages that pyproject.toml allows in constraints.txt.
	@echo 'Pinning the packages of pyproject.toml …'
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python .ci/lock.py

clean: ## Remove what the other targets made; the demo's data stays.
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@rm -rf web/dist web/node_modules bench/peers/node/node_modules $(PEERS)
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.made:
	@for python in '$(PYTHON)' python3.13 python3.12 python3.11 ''; do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
	done; \
	if [ -z "$$python" ]; then \
		echo '$(PYTHON) is older than Python 3.11, or not there. Install a newer one, or name it:' >&2; \
		echo 'make PYTHON=/path/to/python3.13' >&2; \
		exit 1; \
	fi; \
	[ "$$python" = '$(PYTHON)' ] || echo "$(PYTHON) is older than Python 3.11 or not there, so $$python is taken."; \
	echo 'Setting up .venv (once, about half a minute) …'; \
	"$$python" -m venv --clear .venv
	@touch $@

.venv/.run: .venv/.made constraints.txt
	@echo 'Installing the packages of constraints.txt …'
	@$(call install,run)
	@touch $@

# The project itself: a .pth with this folder, and the portal command.
.venv/.portal: .venv/.run pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# The tests read Stripe's specification.
.venv/.test: .venv/.specification

# Each of the other sections on top of [run]: test, lint, specification, postgres, node, lock. [peers]
# has an environment of its own.
.venv/.%: .venv/.run
	@echo 'Adding the $* packages to .venv (once) …'
	@$(call install,run $*)
	@touch $@

# The peers import the rules and the rows of the project, so [run] is there too.
$(PEERS)/.made: .venv/.made constraints.txt
	@echo "Setting up the environment of the benchmark's peers in Python (once) …"
	@$(BIN)/python -m venv --clear $(PEERS)
	@{ $(call section,run); $(call section,peers); } | \
		$(PEERS)/bin/python -m pip --disable-pip-version-check -qq install --require-hashes --no-deps -r /dev/stdin
	@touch $@

# Node bundles the page and never serves it, so where there is none this says so and the API
# runs without the page.
$(PAGE): $(shell find web/graphiql -type f) web/build.mjs web/build.sh web/package-lock.json
	@node="$${NODE:-node}"; \
	if ! "$$node" -e 'process.exit(+(parseInt(process.versions.node) < 18))' 2>/dev/null; then \
		echo 'There is no Node 18 or newer in PATH, so the one of a wheel is taken.'; \
		$(MAKE) -s .venv/.node && node='$(CURDIR)/$(BIN)/node'; \
	fi; \
	NODE="$$node" sh web/build.sh || { \
		echo 'The GraphiQL page was not built, for the reason above, and the API runs without it.' >&2; \
		echo 'It needs Node 18 or newer, in PATH or as NODE=/path/to/node. Then run this again.' >&2; \
	}
