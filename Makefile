# The menu. `make run` and `make test` are all that a fresh clone needs: Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help run setup pages test check screenshots format bench clean

help:
	@echo "make run      start the playground: a small internet on this machine"
	@echo "make test     everything, with the real mail programs it talks to"
	@echo "make check    format, lint, types, floors, fast tests; under a minute"
	@echo "make bench    compare with Postfix + Dovecot on this machine"
	@echo "make setup    only the environment (.venv)"
	@echo "make pages    build the webmail"
	@echo "make format   let the formatter decide layout"
	@echo "make clean    remove .venv and everything made"

run: .venv/.runtime pages
	@exec $(BIN)/posthouse playground

setup: .venv/.runtime

# The webmail, built into posthouse/web/static when its sources have changed.
pages: .venv/.runtime
	@$(BIN)/python scripts/build-webmail.py

test: .venv/.development pages
	@scripts/install-peers.sh
	@$(BIN)/python scripts/build-webmail.py --modules
	$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder -m "not bench" $(PYTEST)

check: .venv/.development
	$(BIN)/ruff format --check posthouse tests bench
	$(BIN)/ruff check posthouse tests bench
	$(BIN)/mypy
	MYPYPATH=bench $(BIN)/mypy --strict bench
	$(BIN)/python -m pytest -q -n 2 -m "not slow and not interop and not bench" $(PYTEST)

# Every page in both languages, light and dark, at three widths, into screenshots/.
screenshots: .venv/.development pages
	@scripts/install-peers.sh --fonts
	@$(BIN)/python scripts/build-webmail.py --modules
	$(BIN)/python -m tests.browser.shots

format: .venv/.development
	$(BIN)/ruff format posthouse tests
	$(BIN)/ruff check --fix posthouse tests

bench: .venv/.development
	$(BIN)/python bench/compare.py $(BENCH)
	$(BIN)/python bench/jmap.py
	$(BIN)/python bench/junk.py
	$(BIN)/python bench/filters.py

# A stamp each, so that a second start needs no network.
.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.runtime: requirements/runtime.txt pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements/runtime.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements/build.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/.development: requirements/development.txt .venv/.runtime
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements/development.txt
	@touch $@

clean:
	rm -rf webmail/node_modules posthouse/web/static .venv .peers build dist bench-results .pytest_cache .mypy_cache .ruff_cache
