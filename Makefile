# Plain `make` lists what there is. Each target makes or refreshes .venv from the hashed locks by itself.

PYTHON := .venv/bin/python
REFERENCE_DATA := $(abspath ../shared/data)
ifneq ($(wildcard $(REFERENCE_DATA)),)
export POSTMETER_REFERENCE_DATA ?= $(REFERENCE_DATA)
endif

.DEFAULT_GOAL := help
.PHONY: help run demo test check fix bench bench-growth locks base dev sip

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

run: base ## start everything: database, web and API, worker, simulator; Ctrl-C stops it
	@$(PYTHON) -m postmeter.cli run

demo: base ## play the whole journey without a browser, in an instance of its own
	@$(PYTHON) -m postmeter.cli demo

test: check ## everything that CI runs: check, then all tests
	@scripts/peers
	@$(PYTHON) -m pytest -n 2 -p tests.house.nothing_skipped $(TESTS)

check: dev ## style, types, imports, migrations
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports
	@DJANGO_SETTINGS_MODULE=postmeter.config.settings $(PYTHON) -W ignore::RuntimeWarning -m django makemigrations --check --dry-run

fix: dev ## put the style in order, as far as a tool can
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

bench: base ## measure, and write bench/latest.json
	@$(PYTHON) -m postmeter.cli bench

bench-growth: base ## the long one: accept at ten million rows
	@$(PYTHON) -m postmeter.cli bench --growth

sip: ## the packages of the SIP trunk, an optional extra (docs/operating/sip.md)
	@scripts/environment sip

locks: dev ## compile requirements/*.in to hashed locks without addresses
	@scripts/locks

base:
	@scripts/environment base

dev:
	@scripts/environment dev
