# Everything works from a fresh clone with make and Python 3.12, 3.13 or 3.14:
# each target sets up what it needs, in .venv. `make PYTHON=/path/to/python` chooses the Python.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: setup demo pages docs test test-slow test-lowest lint benchmark lock clean distclean help

SHELL := /bin/sh
PYTHON :=
ARGS :=
pip_install := -m pip --disable-pip-version-check install --quiet

# find_python OLDEST NEWEST [PYTHON]: print the first interpreter from 3.OLDEST to 3.NEWEST that runs and can make
# an environment. Each candidate is really run: a name on the PATH may be a stub that only fails.
define FIND_PYTHON
oldest=$$1 newest=$$2
if [ -n "$$3" ]; then
    set -- "$$3"
else
    set -- python3
    minor=$$newest
    while [ $$minor -ge $$oldest ]; do
        set -- "$$@" python3.$$minor
        minor=$$((minor - 1))
    done
    if pyenv_root=$$(pyenv root 2>/dev/null); then
        minor=$$newest
        while [ $$minor -ge $$oldest ]; do
            for path in "$$pyenv_root"/versions/3.$$minor*/bin/python3; do
                [ -x "$$path" ] && set -- "$$@" "$$path"
            done
            minor=$$((minor - 1))
        done
    fi
fi
probe='
import sys
v = sys.version_info[:3]
if not (3, int(sys.argv[1])) <= v[:2] <= (3, int(sys.argv[2])):
    sys.exit("is Python %d.%d.%d" % v)
try:
    import ensurepip, venv
except ImportError:
    sys.exit("is Python %d.%d.%d without venv and ensurepip (on Debian and Ubuntu: apt install python%d.%d-venv)" % (v + v[:2]))
print(sys.executable)
'
report=
for python in "$$@"; do
    if ! command -v "$$python" >/dev/null 2>&1; then
        reason="not found"
    elif said=$$("$$python" -c "$$probe" $$oldest $$newest 2>&1); then
        printf '%s\n' "$$said" | tail -n 1
        exit 0
    else
        reason=$$(printf '%s\n' "$${said:-does not run}" | head -n 1)
    fi
    report="$$report
  $$python: $$reason"
done
if [ $$oldest -eq $$newest ]; then wanted=3.$$newest; else wanted="3.$$oldest to 3.$$newest"; fi
cat >&2 <<END

This needs Python $$wanted with its venv module, and found none:
$$report

Install one: from your system's packages (Debian and Ubuntu: python3.N and python3.N-venv), with Homebrew
(python@3.N) or pyenv (pyenv install 3.N). Or name one that you have: make PYTHON=/path/to/python3.N ...

END
exit 1
endef
export FIND_PYTHON
find_python = sh -c "$$FIND_PYTHON" find_python $(1) $(2) "$(PYTHON)"

check_venv = import sys; (3, 12) <= sys.version_info[:2] <= (3, 14) or \
    sys.exit('.venv holds Python %d.%d, and this needs 3.12 to 3.14: run make distclean, then try again' % sys.version_info[:2])

setup: .venv/.installed  ## make .venv: the locked dependencies and this package, editable

.venv/bin/python:
	@python=$$($(call find_python,12,14)) && echo "Making .venv with $$python" && "$$python" -m venv --clear .venv

.venv/.installed: pyproject.toml requirements/lock.txt | .venv/bin/python
	@.venv/bin/python -c "$(check_venv)"
	@echo "Installing requirements/lock.txt and bayesgmm into .venv"
	@.venv/bin/python $(pip_install) --requirement requirements/lock.txt
	@.venv/bin/python $(pip_install) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.benchmark: requirements/benchmark.txt .venv/.installed
	@echo "Installing requirements/benchmark.txt into .venv"
	@.venv/bin/python $(pip_install) --constraint requirements/lock.txt --requirement requirements/benchmark.txt
	@touch $@

# The lower bounds are older than Python 3.13.
.venv-lowest/bin/python:
	@python=$$($(call find_python,12,12)) && echo "Making .venv-lowest with $$python" && "$$python" -m venv --clear .venv-lowest

.venv-lowest/.installed: pyproject.toml requirements/lowest.txt | .venv-lowest/bin/python
	@echo "Installing requirements/lowest.txt and bayesgmm into .venv-lowest"
	@.venv-lowest/bin/python $(pip_install) --requirement requirements/lowest.txt
	@.venv-lowest/bin/python $(pip_install) --no-deps --no-build-isolation --editable .
	@.venv-lowest/bin/python -m pip check
	@touch $@

demo: .venv/.installed  ## compare EM and the posterior on Old Faithful; the result is in demo-output
	.venv/bin/bayesgmm analyze --dataset faithful --components 2 --seed 1 --out demo-output --overwrite

pages: .venv/.installed  ## run the pages that keep their output: examples, gallery, PyMC; ARGS="iris gallery" for some of them
	.venv/bin/python docs/make_examples.py $(ARGS)

test: .venv/.installed  ## the tests, but for the slow ones; ARGS="-k kernel" is handed to pytest
	.venv/bin/python -m pytest --numprocesses 2 --dist loadfile $(ARGS)

test-slow: .venv/.installed  ## the slow tests
	.venv/bin/python -m pytest -m slow $(ARGS)

# Old releases warn of their own age; those warnings are not ours.
test-lowest: .venv-lowest/.installed  ## the tests with the oldest supported dependencies; needs Python 3.12
	.venv-lowest/bin/python -m pytest -W default $(ARGS)

docs: .venv/.installed  ## build the documentation, its pages run, into docs/_build/html
	rm -rf docs/_build docs/reference/generated
	.venv/bin/python -m sphinx --fail-on-warning --keep-going --nitpicky --jobs 2 --quiet docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

lint: .venv/.installed  ## ruff and mypy
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m mypy

benchmark: .venv/.benchmark  ## measure against other packages
	.venv/bin/python -m benchmarks $(ARGS)

lock:  ## write requirements/lock.txt and benchmark.txt anew, from pyproject.toml and the newest releases
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
	{ echo "# Written by make lock: the package's dependencies and the group dev, all that they need included."; \
	  cat "$$folder/lock"; } > requirements/lock.txt; \
	{ echo "# Written by make lock: what the benchmarks need besides lock.txt."; \
	  cat "$$folder/benchmark"; } > requirements/benchmark.txt; \
	wc -l requirements/lock.txt requirements/benchmark.txt

clean:  ## remove outputs and caches
	rm -rf demo-output dist build docs/_build docs/reference/generated .pytest_cache .mypy_cache .ruff_cache
	find . -name '.venv*' -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## remove the environments as well
	rm -rf .venv .venv-lowest

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
