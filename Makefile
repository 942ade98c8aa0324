# Every target works from a fresh clone with make and Python 3.12, 3.13 or 3.14, and installs its dependencies into .venv.
# `make PYTHON=/path/to/python` chooses the interpreter.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: setup demo pages docs test test-slow test-lowest fuzz faults lint benchmark lock clean distclean help

SHELL := /bin/sh
PYTHON :=
ARGS :=
pip_install := -m pip --disable-pip-version-check install --quiet

find_python = sh tools/find-python.sh $(1) $(2) "$(PYTHON)"

check_venv = import sys; (3, 12) <= sys.version_info[:2] <= (3, 14) or \
    sys.exit('.venv has Python %d.%d; 3.12 to 3.14 is needed: run make distclean, then try again' % sys.version_info[:2])

setup: .venv/.installed  ## make .venv: the locked dependencies and this package, editable

.venv/bin/python:
	@python=$$($(call find_python,12,14)) && echo "Making .venv with $$python" && "$$python" -m venv --clear .venv

.venv/.installed: pyproject.toml requirements/lock.txt | .venv/bin/python
	@.venv/bin/python -c "$(check_venv)"
	@echo "Installing requirements/lock.txt and bayesgmm into .venv"
	@.venv/bin/python $(pip_install) --requirement requirements/lock.txt
	@.venv/bin/python $(pip_install) --no-deps --no-build-isolation --editable .
	@touch $@

# The package and what it needs, without the tools of its developers, if those are not there already.
.venv/.package: pyproject.toml requirements/lock.txt | .venv/bin/python
	@.venv/bin/python -c "$(check_venv)"
	@test -e .venv/.installed || { echo "Installing bayesgmm and the packages that it needs into .venv: about a minute"; \
	    .venv/bin/python $(pip_install) --constraint requirements/lock.txt --editable .; }
	@touch $@

.venv/.benchmark: requirements/benchmark.txt .venv/.installed
	@echo "Installing requirements/benchmark.txt into .venv"
	@.venv/bin/python $(pip_install) --constraint requirements/lock.txt --requirement requirements/benchmark.txt
	@touch $@

# The oldest dependencies do not support Python 3.13.
.venv-lowest/bin/python:
	@python=$$($(call find_python,12,12)) && echo "Making .venv-lowest with $$python" && "$$python" -m venv --clear .venv-lowest

.venv-lowest/.installed: pyproject.toml requirements/lowest.txt | .venv-lowest/bin/python
	@echo "Installing requirements/lowest.txt and bayesgmm into .venv-lowest"
	@.venv-lowest/bin/python $(pip_install) --requirement requirements/lowest.txt
	@.venv-lowest/bin/python $(pip_install) --no-deps --no-build-isolation --editable .
	@.venv-lowest/bin/python -m pip check
	@touch $@

demo: .venv/.package  ## compare EM and the posterior on Old Faithful, into demo-output: about a minute, and a minute of set-up
	.venv/bin/bayesgmm analyze --dataset faithful --components 2 --seed 1 --out demo-output --overwrite

pages: .venv/.installed  ## run the pages that keep their output; some of them: ARGS="iris gallery"
	.venv/bin/python docs/make_examples.py $(ARGS)

test: .venv/.installed  ## run the tests without the slow ones, 10 to 20 minutes on two cores; ARGS="-k kernel" is passed to pytest
	@echo "Running the tests: 10 to 20 minutes on two cores; the first run also compiles"
	.venv/bin/python -m pytest --numprocesses 2 --dist loadfile $(ARGS)

test-slow: .venv/.installed  ## run the slow tests
	.venv/bin/python -m pytest -m slow $(ARGS)

fuzz: .venv/.installed  ## try every public function on thousands of odd arguments; fewer: ARGS="--cases 1000"
	PYTHONPATH=tests .venv/bin/python -m fuzz $(ARGS)

faults: .venv/.installed  ## kill, interrupt and starve the package; takes about half an hour
	.venv/bin/python -m pytest -m "slow or not slow" tests/faults $(ARGS)

# Old releases emit deprecation warnings of their own, so warnings are not errors here.
test-lowest: .venv-lowest/.installed  ## run the tests with the oldest supported dependencies; needs Python 3.12
	.venv-lowest/bin/python -m pytest -W default $(ARGS)

docs: .venv/.installed  ## build the documentation into docs/_build/html
	rm -rf docs/_build docs/reference/generated
	.venv/bin/python -m sphinx --fail-on-warning --keep-going --nitpicky --jobs 2 --quiet docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

lint: .venv/.installed  ## check style and types
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m mypy

benchmark: .venv/.benchmark  ## measure against other packages
	.venv/bin/python -m benchmarks $(ARGS)

lock:  ## renew requirements/lock.txt and benchmark.txt from the newest releases
	@set -e; python=$$($(call find_python,12,14)); folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	"$$python" -m venv "$$folder/venv"; \
	install() { "$$folder/venv/bin/python" $(pip_install) "$$@"; }; \
	freeze() { "$$folder/venv/bin/python" -m pip freeze --all --exclude pip --exclude bayesgmm; }; \
	echo "Resolving with $$python"; \
	install --upgrade pip; \
	install --group dev .; \
	freeze > "$$folder/lock"; \
	install --group benchmark --constraint "$$folder/lock"; \
	freeze | grep -vxFf "$$folder/lock" > "$$folder/benchmark"; \
	{ echo "# Written by make lock: the dependencies of the package and of the group dev, with their own dependencies."; \
	  cat "$$folder/lock"; } > requirements/lock.txt; \
	{ echo "# Written by make lock: the dependencies of the benchmarks that are not in lock.txt."; \
	  cat "$$folder/benchmark"; } > requirements/benchmark.txt; \
	wc -l requirements/lock.txt requirements/benchmark.txt

clean:  ## remove outputs and caches
	rm -rf demo-output dist build docs/_build docs/reference/generated .pytest_cache .mypy_cache .ruff_cache
	find . -name '.venv*' -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## also remove the environments
	rm -rf .venv .venv-lowest

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
