# fedkit: every target builds .venv from requirements.lock on first use. `make help` lists the targets.
PYTHON  ?= python3
PROFILE ?= mini
ARGS    ?=
VENV    := .venv
BIN     := $(VENV)/bin
STAMP   := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help reproduce test lint lab bench clean venv

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  options: PROFILE=smoke|mini|course|paper  ARGS='--only 31 41 --seeds 0'  PYTHON=python3.12"

reproduce: $(STAMP)  ## run the notebooks of a profile; report in results/PROFILE/index.html
	$(BIN)/python reproduce.py --profile $(PROFILE) $(ARGS)

test: lint  ## ruff, unit tests, every notebook and solution in the smoke profile
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not notebooks"
	$(BIN)/python -m pytest -m notebooks

lint: $(STAMP)  ## ruff check and ruff format --check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lab: $(STAMP)  ## JupyterLab on notebooks/
	$(BIN)/jupyter lab notebooks

bench: $(STAMP)  ## speed, memory and learning; each prints JSON and a table
	@failed=0; for script in bench/[a-z]*.py; do echo "== $$script"; \
	  OMP_NUM_THREADS=1 $(BIN)/python "$$script" || failed=1; done; exit $$failed

venv: $(STAMP)  ## only the environment

clean:  ## remove the environment, caches and build products; results/ stays
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "fedkit needs Python 3.11 or newer, and '$(PYTHON)' is not: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON) cannot make a virtual environment: install its venv module (Debian: python3-venv)" >&2; exit 1; }
	@echo "installing fedkit's packages into $(VENV) (once, some minutes)"
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-compile -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $(STAMP)
