# Everything sets itself up in .venv; a machine needs CPython 3.11 or 3.12 with pip, and no more.
# The first that runs: a version manager may put names on the path that don't.
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do $$p -c '' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
WORKERS ?= 2
MINUTES ?= 30

.PHONY: demo test test-quick test-jax test-backends torture lint format bench docs lock clean

demo: .venv/installed
	$(BIN)/dl demo
	@echo 'Here `dl` is $(BIN)/dl; `pipx install --python 3.12 .` puts it on your PATH.'

test: .venv/installed-dev
	$(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_OPTIONS)

# For daily work: what needs no training, no browser and no long wait.
test-quick: .venv/installed-dev
	$(BIN)/python -m pytest -n $(WORKERS) -m 'not slow' $(PYTEST_OPTIONS)

# The recipes on Keras' other backends.
test-jax: .venv/installed-dev
	KERAS_BACKEND=jax $(BIN)/python -m pytest -n $(WORKERS) tests/recipes

test-backends: test-jax
	@$(BIN)/python -m pip install -q -c constraints.txt -e '.[backends]'
	KERAS_BACKEND=torch $(BIN)/python -m pytest -n $(WORKERS) tests/recipes

# Accidents of all kinds until the time is over: see docs/reliability.md.
torture: .venv/installed-dev
	PYTHONPATH=tests $(BIN)/python -m torture --minutes $(MINUTES) $(OPTIONS)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed-dev
	$(BIN)/python -m bench

docs: .venv/installed-dev
	$(BIN)/python -m docs.generate

# Brings constraints.txt up to date with pyproject.toml, for CPython 3.11 and 3.12.
lock:
	uv pip compile -q --universal --python-version 3.11 --all-extras --no-header pyproject.toml \
		-o constraints.txt

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13) and \
		"dl needs CPython 3.11 or 3.12; say which: make PYTHON=/path/to/python3.11 ...")'
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml constraints.txt | .venv/bin/python
	@echo 'Installing into .venv: a few minutes, 3 GB.'
	@$(BIN)/python -m pip install -q -c constraints.txt -e .
	touch $@

.venv/installed-dev: pyproject.toml constraints.txt | .venv/bin/python
	@echo 'Installing into .venv, tools for development too: a few minutes, 3 GB.'
	@$(BIN)/python -m pip install -q -c constraints.txt -e '.[test,lint,lite]'
	touch $@ .venv/installed

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis dist
	find . -name __pycache__ -prune -exec rm -rf {} +
