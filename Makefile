# The commands of a working copy. The first one that runs makes .venv and installs what it needs;
# a changed pyproject.toml or constraints.txt installs again.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: help demo test lint bench mutants features learning zoo clean

help:
	@echo "make demo      compile SqueezeNet for every backend and measure that they agree"
	@echo "make test      lint, check the types, run the test suite"
	@echo "make lint      ruff and mypy alone"
	@echo "make bench     time the commands that people wait for"
	@echo "make mutants   break networks on purpose, and see that every mistake is found and blamed"
	@echo "make features  try what PyTorch and Keras offer a model on every family, on every engine"
	@echo "make learning  train LeNet in PyTorch and in Keras from the same start, five times"
	@echo "make zoo       measure every model on every backend and export, and write docs/zoo.md (hours)"
	@echo "make clean     remove caches and build leftovers (.venv stays)"

demo: .venv/installed-all
	@$(BIN)/python -m netspec.exports.demo

test: lint
	@echo "== pytest, in two processes, each file in one of them"
	@OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist loadfile

lint: .venv/installed-test
	@echo "== ruff check"
	@$(BIN)/ruff check .
	@echo "== ruff format --check"
	@$(BIN)/ruff format --check .
	@echo "== mypy --strict"
	@$(BIN)/mypy

bench: .venv/installed-all
	@$(BIN)/python tests/bench.py

mutants: .venv/installed-test
	@$(BIN)/python -m tests.mutants

features: .venv/installed-test
	@NETSPEC_FEATURES=all $(BIN)/pytest -q tests/test_torch_features.py tests/test_keras_features.py tests/test_keras_engines.py

learning: .venv/installed-test
	@$(BIN)/python tests/learning.py

zoo: .venv/installed-all
	@$(BIN)/python tests/zoo_matrix.py

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path "./.venv/*" -prune -exec rm -rf {} +

# The stamp of an extra is made last, so that an interrupted installation is tried again.
.venv/installed-%: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "netspec needs Python 3.11 or newer, not " + sys.version.split()[0] + ": make PYTHON=...")'
	@if [ ! -x $(BIN)/pip ]; then echo "== making .venv with $(PYTHON)"; $(PYTHON) -m venv .venv; fi
	@echo "== installing netspec[$*] in .venv (frameworks are large: minutes on the first run)"
	@$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@$(BIN)/python -m compileall -q netspec backends exports # as pip does to what it copies
	@$(if $(filter test,$*),$(BIN)/python tests/software_vulkan.py || true) # else its tests skip
	@$(if $(filter test,$*),$(BIN)/python tests/fashion_mnist.py || true) # else its tests skip
	@touch $@ $(if $(filter test,$*),.venv/installed-all) # test includes all
