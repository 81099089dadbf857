# `make study` and `make test` need only make and Python >= 3.11 with venv; everything else comes from requirements.lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# `make study EXTRA=cuda` has the packages of that extra besides, such as JAX for NVIDIA GPUs; also tpu, pacs, hub, torch.
EXTRA ?=
READY := $(VENV)/installed$(addprefix -,$(EXTRA))

.PHONY: install study test test-slow lint types docs lock clean

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python >= 3.11 is needed; say make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# The lock does not have the extras; everything that it has keeps its version.
$(VENV)/installed-%: $(VENV)/installed
	$(BIN)/python -m pip freeze --exclude-editable > $(VENV)/constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(VENV)/constraints.txt --no-build-isolation --editable '.[$*]'
	touch $@

install: $(READY)

study: $(READY)
	$(BIN)/mammo-jax study

# A process a core, each with whole modules, so that no fixture of a module is made twice; the longest begin first.
test: $(VENV)/installed
	$(BIN)/python -m pytest -n auto --dist loadscope --no-loadscope-reorder

test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mkdocs build

types: $(VENV)/installed
	$(BIN)/mypy

# runs/site/index.html; a warning, such as for a link that leads nowhere, is an error.
docs: $(VENV)/installed
	$(BIN)/mkdocs build

# One file that resolves on every supported Python; needs uv (pip install uv).
lock:
	uv pip compile --universal --python-version 3.11 --extra dev --generate-hashes --no-annotate --no-header pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) runs
