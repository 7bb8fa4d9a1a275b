# make up      the whole mesh on this machine: http://127.0.0.1:8080 (PORT=), data under .hutong (DATA=)
# make test    every check and every test, files side by side (T= takes pytest's arguments)
# make bench   every benchmark: ours beside its yardstick (ROUNDS= rounds of each)
# make fuzz    requests, heads, bodies and tokens: 100,000 made up by hypothesis, and schemathesis (INPUTS=)
# make stubs   the stubs again, after a change of protos/
# make sbom    the software bill of materials, CycloneDX, in build/sbom.cdx.json
# make clean   away with the virtual environment and caches; DATA stays

PYTHON ?= python3
PORT ?= 8080
DATA ?= .hutong
T ?=
ROUNDS ?= 5
INPUTS ?= 100000

.DEFAULT_GOAL := up
.PHONY: up test bench fuzz stubs sbom clean

PIP := .venv/bin/python -m pip --disable-pip-version-check

up: .venv/.ready-run
	@.venv/bin/hutong up --port "$(PORT)" --data "$(DATA)"

test: .venv/.ready-dev
	@.venv/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(T)

bench: .venv/.ready-dev
	@.venv/bin/hutong bench all --rounds "$(ROUNDS)"

fuzz: .venv/.ready-dev
	@.venv/bin/python -m tests.testkit.fuzz "$(INPUTS)"

stubs: .venv/.ready-dev
	@PYTHON=.venv/bin/python protos/generate

sbom: .venv/.ready-run
	@PYTHON="$(PYTHON)" .ci/sbom

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build protos/build *.egg-info protos/*.egg-info

.venv/bin/python:
	@echo "Making .venv (once)"
	@"$(PYTHON)" .ci/venv .venv

# Stamps, so that a warm start goes straight to work; an edited requirement makes them stale.
.venv/.ready-run: requirements.txt pyproject.toml protos/pyproject.toml | .venv/bin/python
	@echo "Installing what a running mesh needs (once)"
	@$(PIP) install -qq -r requirements.txt
	@$(PIP) install -qq --no-deps --no-build-isolation -e ./protos -e .
	@touch $@

.venv/.ready-dev: requirements-dev.txt .venv/.ready-run
	@echo "Installing what tests and checks need (once)"
	@$(PIP) install -qq -r requirements-dev.txt
	@touch $@
