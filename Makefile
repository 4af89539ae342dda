# Short names for long commands; nothing here is needed on a machine without make.
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
# With what it takes to build oda itself in place, and without oda, which its own extras name.
COMPILE := env -u PIP_FIND_LINKS -u PIP_INDEX_URL CUSTOM_COMPILE_COMMAND="make lock" $(PYTHON) -m piptools compile --quiet \
	--generate-hashes --build-deps-for editable --unsafe-package oda --strip-extras --no-emit-options \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host
ALL := --extra topology --extra page --extra tools

.PHONY: help up down status test test-all lint format lock relock venv

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: ## start the local cluster: Kafka, Cassandra, Elasticsearch, Storm
	./oda up

down: ## end the local cluster; its data stays
	./oda down

status: ## show the servers of the local cluster
	./oda status

test: venv ## unit tests: no server needed
	$(PYTHON) -m pytest tests/unit

test-all: venv ## all tests; starts servers, takes a while
	$(PYTHON) -m pytest

lint: venv ## style and types
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy

format: venv ## put the source in the project's style
	$(PYTHON) -m ruff check --fix
	$(PYTHON) -m ruff format

lock: ## pin the Python packages of pyproject.toml anew: requirements.lock, -topology (a supervisor's) and -dev
	$(COMPILE) $(ALL) --output-file requirements.lock pyproject.toml
	$(COMPILE) --extra topology --constraint requirements.lock --output-file requirements-topology.lock pyproject.toml
	$(COMPILE) $(ALL) --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

relock: venv ## pin the servers of cluster/pom.xml anew, in cluster/artifacts.lock
	$(PYTHON) -m oda.cluster.relock

venv: # makes .venv, or makes it anew, where that is needed, with what developers need
	./oda test --help >/dev/null
