# Two commands on a fresh machine with Python 3.11: `make run` and `make test`.
# Everything they need is installed here, in .venv, with hashes; nothing is installed twice.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
export PORT ?= 8000
DATA ?=
PYTEST ?= -n auto

VENV := .venv
BIN := $(VENV)/bin
STACK := $(BIN)/python -m registry.stack
INSTALLED := $(VENV)/.installed-$(shell cksum requirements-dev.txt | cut -d ' ' -f 1)
TRANSLATED := $(patsubst %.po,%.mo,$(wildcard registry/locale/*/LC_MESSAGES/*.po))
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links

.PHONY: help run test bench lint format messages screenshots validation requirements setup packages clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 22

run: setup  ## the registry with demo data on http://localhost:8000 (PORT=…, DATA=…); Ctrl-C ends it
	@$(BIN)/python -m registry.serve $(if $(DATA),--data '$(DATA)')

test: setup  ## every test, on real PostgreSQL, Redis, Celery and Chromium (PYTEST="tests/x.py -k y")
	@$(STACK) run --test $(if $(DATA),--data '$(DATA)') -- $(BIN)/python -m pytest $(PYTEST)

bench: setup  ## the speed of what people wait for, as ratios to floors of the same run
	@$(STACK) run --data '$(or $(DATA),$(shell $(STACK) where)/bench)' -- $(BIN)/python -m benchmarks

lint: $(INSTALLED)  ## format, rules, types, direction of imports
	@$(BIN)/ruff format --check . && $(BIN)/ruff check .
	@$(STACK) with $(if $(DATA),--data '$(DATA)') -- $(BIN)/mypy
	@$(BIN)/lint-imports

format: $(INSTALLED)  ## what `make lint` asks of the format
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

messages: $(INSTALLED)  ## the Korean catalogue anew from the code; it says what is left to translate
	@$(STACK) with $(if $(DATA),--data '$(DATA)') -- $(BIN)/python manage.py makemessages -l ko \
		--no-obsolete --no-location --ignore .venv --ignore tests --ignore benchmarks --ignore docs --ignore 'styleguide*'
	@msgfmt --check --statistics --output-file=/dev/null registry/locale/ko/LC_MESSAGES/django.po

screenshots: $(INSTALLED)  ## the pictures of the documentation, from a running `make run`
	@$(STACK) with $(if $(DATA),--data '$(DATA)') -- $(BIN)/python docs/screenshots.py

validation: $(INSTALLED)  ## docs/validation.md anew: which test proves which requirement
	@$(STACK) run --test $(if $(DATA),--data '$(DATA)') -- \
		$(BIN)/python -m pytest -q -p tests.traceability --collect-only >/dev/null

requirements:  ## pin anew what pyproject.toml names (UPGRADE=--upgrade takes newer versions)
	@test -x $(BIN)/uv || $(MAKE) --no-print-directory $(INSTALLED)
	@$(COMPILE) $(UPGRADE) pyproject.toml -o requirements.txt
	@$(COMPILE) $(UPGRADE) pyproject.toml --group embedded --group test --group lint \
		-c requirements.txt -o requirements-dev.txt

setup: packages $(INSTALLED) $(TRANSLATED)
	@.ci/chromium $(BIN) >/dev/null

packages:
	@.ci/packages '$(PYTHON)'

$(INSTALLED): requirements-dev.txt
	@echo "Installing Python packages (once)…"
	@test -x $(BIN)/python || '$(PYTHON)' -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@rm -f $(VENV)/.installed-* && touch $@

%.mo: %.po
	@msgfmt --check --output-file=$@ $<

clean:  ## stops the embedded servers and removes their data and the venv
	@test ! -x $(BIN)/python || ($(STACK) stop && $(STACK) stop --test && rm -rf "$$($(STACK) where)")
	@rm -rf $(VENV) .static $(TRANSLATED)
