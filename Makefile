# Everything runs in .venv, made on first use and brought up to date when pyproject.toml changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The torch that the tests compare with is large; `make test ORACLE=` leaves it out and the comparisons are skipped.
ORACLE ?= oracle
RUN := $(BIN)/python -m
# How many processes share the tests; each needs about 1.5 GB.
WORKERS ?= 2
# The MNIST files, where they are at hand: a folder given, or one beside the checkout.
ifneq ($(or $(TINYGRAD_EDU_DATA),$(wildcard ../shared/data)),)
export TINYGRAD_EDU_DATA := $(abspath $(or $(TINYGRAD_EDU_DATA),$(wildcard ../shared/data)))
endif

.PHONY: demo test quick test-without-numba bench bench-peers lint format docs clean help

help:
	@echo "make demo    train the CNN on handwritten digits, draw its graph and learning curve into out/"
	@echo "make test    the whole test suite          make quick   its quick part"
	@echo "make test-without-numba   the same suite on the NumPy kernels, as where Numba cannot compile"
	@echo "make bench   speed beside other libraries  make lint    ruff and mypy"
	@echo "make bench-peers   install the other libraries for it, in an environment of their own"
	@echo "make docs    API pages into out/docs       make clean   remove what was made"

$(READY): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "tinygrad_edu needs Python 3.11 or newer; try: make PYTHON=python3.12"; exit 1; }
	$(BIN)/python -m pip install -qq --upgrade pip
	$(BIN)/python -m pip install -qq --editable .
	@touch $@

$(VENV)/.ready-dev: $(READY)
	$(BIN)/python -m pip install -qq --editable ".[dev]"
	@touch $@

$(VENV)/.ready-oracle: $(VENV)/.ready-dev
	$(if $(ORACLE),$(BIN)/python -m pip install -qq --editable ".[$(ORACLE)]")
	@touch $@

# The libraries that `make bench` compares with want versions of their own, so they get an environment of their own.
PEERS := .venv-bench
$(PEERS)/.ready: pyproject.toml
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@echo '*' > $(PEERS)/.gitignore
	$(PEERS)/bin/python -m pip install -qq --upgrade pip
	$(PEERS)/bin/python -m pip install -qq --editable . torch==2.13.0 jax keras mygrad autograd micrograd tinygrad threadpoolctl
	@touch $@

demo: $(READY)
	$(BIN)/tinygrad-edu demo --out out

test: $(VENV)/.ready-oracle
	$(RUN) pytest -n $(WORKERS) --dist loadfile

test-without-numba: $(VENV)/.ready-oracle
	NUMBA_DISABLE_JIT=1 $(RUN) pytest -n $(WORKERS) --dist loadfile

quick: $(VENV)/.ready-dev
	$(RUN) pytest -m "not slow" -x -q tests/test_engine.py tests/test_nano.py tests/kernels tests/nn tests/optim tests/datasets

# A full run takes about an hour and rewrites benchmarks/results; a part of it: make bench BENCH="--only kernels --threads 1"
BENCH ?= --core-type both --out benchmarks/results
bench: $(if $(wildcard $(PEERS)/.ready),$(PEERS)/.ready,$(VENV)/.ready-oracle)
	$(if $(wildcard $(PEERS)/.ready),$(PEERS),$(VENV))/bin/python -m benchmarks $(BENCH)

bench-peers: $(PEERS)/.ready

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy -p tinygrad_edu

format: $(VENV)/.ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.ready-dev
	$(BIN)/python -m pip install -qq pdoc
	$(BIN)/pdoc --docformat numpy --output-directory out/docs tinygrad_edu

clean:
	rm -rf $(VENV) $(PEERS) out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
