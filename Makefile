# Walrus on Kubernetes. `make help` lists the targets; each says which step it is in and how long it took.
# Everything is installed below this folder (.venv, .tools, .kube, build), except Debian packages and a cache of what
# is slow to build (~/.cache/walrus-on-kubernetes, or WALRUS_CACHE). All scripts stand alone: scripts/.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

# A KUBECONFIG of yours is used as it is; without one, our kind cluster is.
export KUBECONFIG ?= $(CURDIR)/.kube/config
export PATH := $(CURDIR)/.tools/bin:$(CURDIR)/.venv/bin:$(PATH)
unexport VIRTUAL_ENV

STEP := @scripts/step
PYTEST := python -m pytest
ARGS ?=

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 } /^## / { printf "\n%s\n", substr($$0, 4) }' Makefile

## Set up
.PHONY: setup lock proto crds reference
setup: ## the Python environment (.venv) and pinned tools (.tools)
	$(STEP) "setup: Python" scripts/python-env
	$(STEP) "setup: tools" scripts/tools

lock: setup ## pin the newest fitting versions of all dependencies, with their hashes
	$(STEP) "lock" scripts/lock

proto: setup ## regenerate the code of proto/
	$(STEP) "proto" scripts/proto

crds: setup ## regenerate the custom resource definitions, chart schema and their reference pages from the models
	$(STEP) "crds" python -m walrus_operator.api.generate

reference: setup ## regenerate the reference pages of configuration, commands, errors, metrics and the devnet's contract
	$(STEP) "reference" python scripts/reference.py
	$(STEP) "reference: contract" python -m walrus_sui.devnet.reference

## Check and test
.PHONY: check format test integration e2e soak bench
check: setup ## format, lint, types, import rules, generated files, charts, unit tests, laws, scenarios
	$(STEP) "check: format" ruff format --check .
	$(STEP) "check: lint" ruff check .
	$(STEP) "check: types" mypy
	$(STEP) "check: import rules" lint-imports
	$(STEP) "check: generated files" scripts/check-generated
	$(STEP) "check: charts" scripts/chart-check
	$(STEP) "check: unit tests, laws, scenarios" $(PYTEST) $(ARGS)

format: setup ## let ruff format and fix what it can
	$(STEP) "format" ruff format .
	$(STEP) "fix" ruff check --fix .

test: check integration e2e ## everything that CI runs: check, integration, cluster-up, images, e2e

integration: cluster ## tests with several processes on this machine, and against a cluster's API server
	$(STEP) "integration tests" $(PYTEST) tests/integration $(ARGS)

e2e: cluster images ## tests on a cluster: yours if KUBECONFIG is set, otherwise kind's
	$(STEP) "end-to-end tests" $(PYTEST) tests/e2e $(ARGS)

soak: setup ## laws, scenarios and integration tests with ever new seeds for SOAK_MINUTES (30)
	$(STEP) "soak" scripts/soak

bench: setup ## measure, print a table and write bench/results.json
	$(STEP) "bench" python bench/run.py $(ARGS)

## Run
.PHONY: demo demo-down images cluster cluster-up cluster-down docker-down
demo: cluster images ## a ten-node network on Kubernetes that stores a file and gives it back
	$(STEP) "demo" python scripts/demo.py $(ARGS)

demo-down: setup ## remove what the demo made
	$(STEP) "demo-down" python scripts/demo.py --down

images: setup ## build the image and load it into the kind cluster (elsewhere: WALRUS_REPOSITORY=... WALRUS_PUSH=1)
	$(STEP) "images" scripts/images

cluster: setup
	$(STEP) "cluster" scripts/cluster-ready

cluster-up: setup ## Docker, node image and a kind cluster of four nodes; kubeconfig in .kube/config
	$(STEP) "cluster-up" scripts/cluster-up

cluster-down: ## remove that cluster
	$(STEP) "cluster-down" scripts/cluster-down

docker-down: ## stop Docker, if cluster-up started it by hand
	$(STEP) "docker-down" scripts/docker-down

## Clean up
.PHONY: clean
clean: ## remove build results and caches of this folder; .venv, .tools and the cluster stay
	rm -rf build dist test-results .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -not -path './.tools/*' -prune -exec rm -rf {} +
