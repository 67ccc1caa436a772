# Everything a developer or a newcomer does. Needs Python 3.11 or later, git and make; no root.
# `make` alone lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK_FLAGS := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet
OUT ?= service
# Most tests wait for servers of their own, so files of them run side by side, in the order of tests/conftest.py:
# five at a time keep two cores busy.
AT_ONCE := -n 5 --dist loadfile --no-loadscope-reorder
# The last half hour before a leap day, in UTC; in Berlin that day has begun.
AT ?= 2028-02-28T23:30:00Z
PROTOS := $(patsubst protos/%,%,$(wildcard protos/ext/*/*/*/*/*.proto protos/leasehold/*/*.proto))

# Where alerts send people; what the alerts have already, unless it is given.
RUNBOOK_URL ?= $(shell sed -nE 's/.*runbook_url: ([^#]*)#.*/\1/p' deploy/prometheus/alerts.yml | head -n 1)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand -t 20

.PHONY: run
run: $(VENV)/.run ## set up and serve on an embedded store
	$(BIN)/leasehold serve --embedded

.PHONY: test
test: $(VENV)/.dev lint ## set up, check and test (some minutes)
	$(BIN)/python -m pytest $(AT_ONCE)

.PHONY: test-long
test-long: $(VENV)/.dev ## the tests that take longer (half an hour)
	$(BIN)/python -m pytest -m long $(AT_ONCE)

.PHONY: test-at
test-at: $(VENV)/.dev ## the tests under another wall clock: make test-at AT=2028-02-28T23:30:00Z
	TZ=Europe/Berlin $(BIN)/python -m tests.shifted_clock $(AT) $(BIN)/python -m pytest $(AT_ONCE)

.PHONY: torture
torture: $(VENV)/.dev ## break stores under load for 30 minutes, and judge every answer (docs/guarantees.md)
	$(BIN)/python -m tests.torture --matrix --seconds 1800 --document docs/guarantees.md

.PHONY: mutations
mutations: $(VENV)/.dev ## plant mistakes in copies of the tree: does each one's test notice it? (15 minutes)
	$(BIN)/python -m tests.mutations

.PHONY: fuzz
fuzz: $(VENV)/.dev ## send a million requests of random and spoilt bytes (5 minutes)
	$(BIN)/python -m tests.fuzz --inputs 1000000

.PHONY: bench
bench: $(VENV)/.dev ## measure beside etcd and others (25 quiet minutes; see docs/benchmarks.md)
	$(BIN)/python -m tests.benchmarks run

.PHONY: bench-growth
bench-growth: $(VENV)/.dev ## measure beside ten million leases (10 quiet minutes, 8 GB)
	$(BIN)/python -m tests.benchmarks growth

.PHONY: bench-docs
bench-docs: $(VENV)/.dev ## write the last runs into docs/benchmarks.md
	$(BIN)/python -m tests.benchmarks render $(wildcard build/bench.json build/growth.json)

.PHONY: lint
lint: $(VENV)/.dev ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: format
format: $(VENV)/.dev ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The virtual path before the equals sign becomes the Python package of the output.
.PHONY: proto
proto: $(VENV)/.dev ## make service/leasehold/generated from protos/
	$(BIN)/python -m grpc_tools.protoc -I leasehold/generated=protos \
		--python_out=$(OUT) --pyi_out=$(OUT) --grpc_python_out=$(OUT) \
		$(addprefix leasehold/generated/,$(PROTOS))

.PHONY: rules
rules: ## make the operator's rules: make rules RUNBOOK_URL=https://example.com/leasehold/docs/runbook.md
	for file in alerts alerts_test; do \
	  sed 's|runbook_url: [^#]*#|runbook_url: $(RUNBOOK_URL)#|' deploy/prometheus/$$file.yml >deploy/prometheus/$$file.new && \
	  mv deploy/prometheus/$$file.new deploy/prometheus/$$file.yml; \
	done
	{ printf '# Made by `make rules` from deploy/prometheus.\napiVersion: monitoring.coreos.com/v1\n'; \
	  printf 'kind: PrometheusRule\nmetadata:\n  name: leasehold\nspec:\n  groups:\n'; \
	  grep -hv '^groups:' deploy/prometheus/rules.yml deploy/prometheus/alerts.yml | sed 's/^./  &/'; \
	} >deploy/kubernetes/monitoring/prometheusrule.yaml

.PHONY: acl
acl: $(VENV)/.dev ## make the rules of deploy/redis/users.acl from the scripts' headers
	$(BIN)/python -m tests.make_acl

.PHONY: lock
lock: $(VENV)/.dev ## renew the lock files within the ranges of pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --extra embedded --group build --group redis-cli \
		$(LOCK_FLAGS) --upgrade -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml $(LOCK_FLAGS) -c requirements.lock -o deploy/requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra embedded --group dev \
		$(LOCK_FLAGS) --upgrade -c requirements.lock -o requirements-dev.lock

.PHONY: clean
clean: ## remove the environment and all caches
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist

# The stamps say which lock file an environment was made from; a changed lock makes it again.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Leasehold needs Python 3.11 or later; name one with: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
