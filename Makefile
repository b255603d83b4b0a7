# make quickstart | make test | make install: each sets itself up from nothing but Python >= 3.11.
PYTHON ?= python3
DATA ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: install quickstart test lint slow browser clean

install: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'causeway needs Python 3.11 or newer')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[test]"
	touch $(READY)

quickstart: install
	$(BIN)/causeway quickstart

# The default tests; DATA=../shared/data adds those on real recordings.
test: install lint
	$(BIN)/python -m pytest tests -n 2 $(if $(DATA),--data=$(DATA))

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Transfer over seeds, processes ended half-way, foundation models: minutes.
slow: install
	$(BIN)/python -m pytest tests -m slow $(if $(DATA),--data=$(DATA))

clean:
	rm -rf $(VENV) build dist
