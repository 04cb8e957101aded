# make demo · make studio · make docs · make test · make lint: each sets up what it needs in .venv and nowhere else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo docs studio test test-slow lint types check clean

demo: $(VENV)/.installed
	$(BIN)/hubel study digits

studio: $(VENV)/.installed-studio
	$(BIN)/hubel studio

docs: $(VENV)/.installed-docs
	$(BIN)/mkdocs build --quiet

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m "not slow"

test-slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

check: lint types test

notebooks: $(VENV)/.installed-dev
	$(BIN)/pip install --quiet --constraint constraints.txt jupytext
	$(BIN)/jupytext --to ipynb examples/*.py

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml setup.py constraints.txt $(wildcard src/hubel/convolve/native/*) | $(VENV)/bin/python
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-studio: $(VENV)/.installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[studio]'
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,sound,lite2]'
	touch $@

clean:
	rm -rf $(VENV) runs site .pytest_cache .mypy_cache .ruff_cache
