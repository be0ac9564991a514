# Each target makes its own virtual environment in .venv when there is none, and installs what it needs there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

.PHONY: demo test check docs bench clean

demo: $(VENV)/.plot
	$(BIN)/al-agent demo

test: $(VENV)/.test
	$(BIN)/python -m pytest --cov

check: $(VENV)/.check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg

docs: $(VENV)/.docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --builder html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

bench: $(VENV)/.test
	$(BIN)/python benchmarks/run_all.py

clean:
	rm -rf $(VENV) al-agent-demo build dist *.egg-info docs/_build .coverage .hypothesis
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find al_agent benchmarks samplers scorers tests -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp for each set of extras: it is as old as the files that say what to install.
$(VENV)/.%: setup.cfg constraints.txt | $(VENV)/bin/python
	$(INSTALL) ".[$*]"
	@touch $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
