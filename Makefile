# Everything a newcomer or a contributor runs. `make` alone lists the targets.
#
#   PYTHON=python3.12   the Python a new .venv is made with
#   ARGS=…              more arguments for `make test`, `make fuzz`, `make sample` and `make bench`

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

BIN := $(abspath $(VENV))/bin
READY := $(VENV)/.ready
BREWTOPIA := $(BIN)/brewtopia
SAMPLES := data/raw

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup report sample ingest lab notebooks test fuzz check format bench lambda bundle clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(READY) ## Make .venv with the pinned packages (every other target does this too)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "make: $(PYTHON) is no Python 3.11 to 3.13: name one, as in make setup PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

report: ingest ## From sample data (or BREWTOPIA_RAW) to the trend reports, and the page to open
	@pages=$$($(BREWTOPIA) report company_trends branch_trends --all-branches) && \
		printf '\nThe reports are made. Open this page:\n%s\n' "$$(echo "$$pages" | head -n 1)"

sample: $(READY) ## Write sample till CSVs into data/raw, if nothing is there
	@if [ -n "$$BREWTOPIA_RAW" ] || grep -qs '^ *BREWTOPIA_RAW *=' .env; then \
		echo "BREWTOPIA_RAW is set: no sample data needed"; \
	elif [ -z "$$(ls -A $(SAMPLES) 2>/dev/null)" ]; then \
		rm -rf $(SAMPLES).new && $(BREWTOPIA) sample $(SAMPLES).new $(ARGS) >/dev/null && \
		rm -rf $(SAMPLES) && mv $(SAMPLES).new $(SAMPLES) && \
		echo "Sample till files are in $(SAMPLES)"; \
	fi

ingest: sample ## Clean the till CSVs and load them into the warehouse
	@$(BREWTOPIA) ingest

lab: ingest ## Open JupyterLab on the notebook to start from
	@$(BREWTOPIA) lab

notebooks: ingest ## Run every notebook once, from top to bottom
	@$(BREWTOPIA) report ingest
	@$(BREWTOPIA) report load
	@$(BREWTOPIA) report company_trends
	@$(BREWTOPIA) report data_quality
	@$(BREWTOPIA) report branch_trends --branch \
		"$$($(BREWTOPIA) sql 'select min(branch) as branch from orders' --format csv | tail -n 1)"

test: $(READY) ## Run all tests (one file: make test ARGS=tests/test_settings.py)
	@$(BIN)/pytest -n 2 $(ARGS)

fuzz: $(READY) ## Run the property tests with ever new examples, until one fails
	@while $(BIN)/pytest -q -n 2 -m hypothesis --hypothesis-profile=fuzz $(ARGS); do :; done; false

check: $(READY) ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict

format: $(READY) ## Let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## Measure against DuckDB and pandas on the same data
	$(BIN)/python -m benchmarks $(ARGS)

lambda: $(READY) ## Make the zip of the Lambda functions, build/brewtopia-lambda.zip
	@$(BIN)/python deploy/lambda/build.py build/brewtopia-lambda.zip

bundle: ## Make the archive that the instance runs, build/brewtopia-bundle.tar.gz
	@mkdir -p build
	git archive --format=tar.gz --output=build/brewtopia-bundle.tar.gz HEAD

clean: ## Remove .venv and caches; data and reports stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
