# make lab    set up .venv and open the course in JupyterLab
# make test   set up .venv and run every test
# All targets are described in README.md and CONTRIBUTING.md.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The small CPU build on Linux: make lab TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
# The tested versions; empty to let pip choose: make test CONSTRAINTS=
CONSTRAINTS ?= constraints.txt
D2L := d2l==1.0.3
# Options for JupyterLab or pytest: make lab ARGS="--no-browser --port=8899"
ARGS ?=
NOTEBOOKS ?= $(sort $(wildcard notebooks/*.ipynb))

STAMP := $(VENV)/.d2lstab-installed
PIP := -m pip --disable-pip-version-check
# JupyterLab refuses to run as root, as in most containers, unless it is told to.
ROOT_OPTION := $(if $(filter 0,$(shell id -u)),--allow-root)
# What d2l imports, read from pyproject.toml so that it is written down once.
D2L_NEEDS = import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['d2l'])

# Threads that wait must not spin: with several workers on two cores they would take the time
# of those that compute (measured: 55 s in place of 8 minutes, with D2LSTAB_THREADS=2).
export OMP_WAIT_POLICY ?= PASSIVE
export GOMP_SPINCOUNT ?= 0

.PHONY: lab install test check lint bench browser d2l links claims clean

lab: $(STAMP)
	$(BIN)/python -m jupyterlab $(ROOT_OPTION) $(ARGS) notebooks/00_start_here.ipynb

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, got " + sys.version.split()[0] + ": make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) install $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) -e '.[test,bench,d2l]'
	$(BIN)/python $(PIP) install --no-deps $(D2L)
	touch $(STAMP)

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadscope $(ARGS)
	$(MAKE) check

check: $(STAMP)
	@test -n "$(NOTEBOOKS)" || { echo "NOTEBOOKS must name at least one notebook: make check NOTEBOOKS=notebooks/00_start_here.ipynb"; exit 2; }
	$(BIN)/python -m pytest --nbval --nbval-current-env -n 2 --dist loadscope $(NOTEBOOKS)

browser: $(STAMP)
	D2LSTAB_BROWSER=all $(BIN)/python -m pytest tests/test_browser.py $(ARGS)

lint: $(STAMP)
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

bench: $(STAMP)
	for script in $(sort $(wildcard benchmarks/*.py)); do $(BIN)/python $$script || exit 1; done

links: $(STAMP)
	$(BIN)/python tools/links.py

claims: $(STAMP)
	$(BIN)/python tools/claims.py
	$(BIN)/python tools/execute.py notebooks/00_start_here.ipynb

# Into the active environment (conda, for example), not into .venv.
d2l:
	$(PYTHON) $(PIP) install $$($(PYTHON) -c "$(D2L_NEEDS)")
	$(PYTHON) $(PIP) install --no-deps $(D2L)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis artifacts
	find d2lstab tests benchmarks tools notebooks -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf
