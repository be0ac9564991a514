# Each target makes its own virtual environment in .venv when there is none, and installs what it needs there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

.PHONY: demo test coverage check docs bench bench-selection clean axe label-studio referees test-referees

demo: $(VENV)/.demo
	$(BIN)/al-agent demo

# Files in their order, so that the many short ones at the end keep both processes busy to the last.
test: $(VENV)/.test
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(COVERAGE)

# Half as much work again.
coverage: COVERAGE = --cov
coverage: test

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

# Our selection beside the peers that install, each in an environment of its own: some 4 GB, and an hour.
bench-selection: $(VENV)/.test
	$(BIN)/python benchmarks/bench_selection.py

clean:
	rm -rf $(VENV) .axe .venv-peers .venv-label-studio .venv-referees al-agent-demo build dist *.egg-info docs/_build .coverage .hypothesis
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find al_agent benchmarks samplers scorers tests -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp for each set of extras: it is as old as the files that say what to install.
$(VENV)/.%: setup.cfg constraints.txt | $(VENV)/bin/python
	$(INSTALL) ".[$*]"
	@touch $@

# The real Label Studio and the official clients of vendors, each in an environment of its own. Tests that need one that is
# not there are skipped by name.
label-studio: .venv-label-studio/.done

referees: .venv-referees/kili/.done .venv-referees/superannotate/.done

test-referees: $(VENV)/.test referees
	$(BIN)/python -m pytest tests/referees

# What looks for obstacles to people in the pages of a report.
axe: .axe/.done

.axe/.done:
	npm install --prefix $(@D) --silent --no-audit --no-fund axe-core@4.14.1
	@touch $@

.venv-label-studio/.done: tests/environments/label-studio.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $< label-studio
	@touch $@

.venv-referees/kili/.done: tests/environments/kili.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $< kili
	@touch $@

# The official SuperAnnotate client cannot upload priority scores on Python 3.11.
.venv-referees/superannotate/.done: tests/environments/superannotate.txt
	@python=$$(for one in python3.12 python3.10 python3.13 $(HOME)/.pyenv/versions/3.12.*/bin/python; do \
		command -v $$one >/dev/null && $$one -c '' 2>/dev/null && command -v $$one && break; done); \
	if [ -z "$$python" ]; then echo "SuperAnnotate's client needs Python 3.12 or 3.10, and none is here: left out"; else \
		"$$python" -m venv $(@D) && \
		$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $< superannotate && touch $@; fi

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
