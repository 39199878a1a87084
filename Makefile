# Two commands do everything from nothing: `make bench` and `make test`.
# ARGS goes to pytest: make bench ARGS="--cnnbench-data=DIR --cnnbench-seeds=0-4"

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ALL_INSTALLED := $(VENV)/.all-installed

.PHONY: bench test lint docs slow clean

bench: $(INSTALLED)
	$(BIN)/python -m pytest suites/ --benchmark-only $(ARGS)

test: $(ALL_INSTALLED)
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

lint: $(ALL_INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(ALL_INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

# Proofs that take long; `make test` runs bounded versions of them.
slow: $(ALL_INSTALLED)
	$(BIN)/python -m pytest -m slow $(ARGS)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "cnnbench needs Python 3.11 or later, this is " + sys.version.split()[0] + ": set PYTHON=python3.x")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[tensorflow]'
	touch $@

# The tests run the other backends, too; PyTorch's download is gigabytes, so where it is absent they skip it.
$(ALL_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[tensorflow,jax,openvino,pictures,nvml,docs,dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .benchmarks
