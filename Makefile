# `make quickstart` and `make test` are all a newcomer needs; both install what they use.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# torch comes first and sam2 is built without isolation, since its build would fetch a torch of its own.
PIP := SAM2_BUILD_CUDA=0 $(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt
PACKAGES := tpo_core backbones/tpo_backbones heads/tpo_heads plugins/tpo_plugins
TESTS ?= -n 2 --dist loadfile

.PHONY: quickstart test check lint types layers tiny bench clean

$(VENV)/base: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)) and "tpo needs Python 3.11 or 3.12: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) -U pip setuptools wheel hatchling editables numpy
	$(PIP) torch torchvision
	$(PIP) --no-build-isolation sam2
	$(PIP) --no-build-isolation -e .
	@touch $@

$(VENV)/dev: $(VENV)/base
	$(PIP) --no-build-isolation -e '.[dev,tensorboard]'
	@touch $@

quickstart: $(VENV)/base
	$(BIN)/tpo quickstart

test: $(VENV)/dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(TESTS)

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev
	$(BIN)/mypy

layers: $(VENV)/dev
	$(BIN)/lint-imports

check: lint types layers test

# The embedded weights, from nothing: the shipped ones took four hours in all, most of it on one core.
tiny: $(VENV)/base
	$(BIN)/python -m tpo_plugins.tiny.pretrain
	$(BIN)/python -m tpo_plugins.tiny.pretrain_sam2

bench: $(VENV)/base
	for file in benchmarks/bench_*.py; do $(BIN)/python $$file || exit 1; done

clean:
	rm -rf $(VENV) runs build dist
