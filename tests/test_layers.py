"""Imports run downwards only, and each heavy library has one door."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "bayesgmm"
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

# A module imports from lower floors and from its own part of the house, never from another part of its floor: `em`
# and `bayes` do not know each other. `datasets` simulates mixtures, which is why it stands above `mixture`.
FLOORS = {
    "exceptions": 0,
    "validation": 1,
    "display": 0,
    "caches": 1,
    "io": 1,
    "tables": 1,
    "thresholds": 2,
    "mixture": 2,
    "em": 3,
    "bayes": 3,
    "datasets": 3,
    "densities": 4,
    "assignments": 4,
    "verdict": 5,
    "comparison": 6,
    "plots": 7,
    "report": 8,
    "analysis": 9,
    "estimators": 10,
    "cli": 10,
}
# Where each heavy library may be imported: a module, or every module of a folder.
DOORS = {
    "pymc": ("bayes/",),
    "pytensor": ("bayes/",),
    "nutpie": ("bayes/",),
    "arviz": ("bayes/diagnose.py", "bayes/loo.py", "bayes/sensitivity.py", "plots.py", "plots/"),
    "matplotlib": ("plots.py", "plots/", "analysis.py"),
    "sklearn": ("assignments.py", "estimators/"),
    "numba": ("mixture/", "em/", "bayes/"),
    "llvmlite": ("mixture/", "bayes/"),
    "typer": ("cli.py",),
    "rich": ("cli.py",),
}
# What a mixture and EM may need beyond the standard library and this package.
PLAIN = {
    "mixture": {"numpy", "scipy", "numba", "llvmlite", "threadpoolctl"},
    "em": {"numpy", "scipy", "numba", "pandas", "threadpoolctl"},
}


def imported_names(source, path):
    """Absolute dotted names of everything that a module imports, wherever in it the import stands."""
    package = ["bayesgmm", *Path(path).parent.parts]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base == "bayesgmm":  # `from bayesgmm import plots` is about plots
                yield from (f"{base}.{alias.name}" for alias in node.names)
            else:
                yield base


def violations(source, path):
    """What a module at `path` (relative to the package) imports and must not."""
    part = Path(path).parts[0].removesuffix(".py")
    if part not in FLOORS:
        return [f"{path} stands on no floor; give it one in FLOORS"]
    found = []
    for name in imported_names(source, path):
        top, *rest = name.split(".")
        if top == "bayesgmm":
            target = rest[0] if rest else None
            # The whole package, whose names lead anywhere, is for the top floor.
            floor = FLOORS.get(target, max(FLOORS.values())) if target else max(FLOORS.values()) - 1
            if target != part and floor >= FLOORS[part]:
                found.append(f"{path} imports {name}, which is not below it")
        elif top in DOORS and not any(
            path == door or (door.endswith("/") and path.startswith(door)) for door in DOORS[top]
        ):
            found.append(f"{path} imports {name}; that is for {', '.join(DOORS[top])}")
        elif part in PLAIN and top not in sys.stdlib_module_names and top not in PLAIN[part]:
            found.append(f"{path} imports {name}; {part} needs {', '.join(sorted(PLAIN[part]))} only")
    return found


@pytest.mark.parametrize("path", [path for path in MODULES if path not in ("__init__.py", "__main__.py")])
def test_imports_run_downwards_and_through_the_doors(path):
    assert violations((PACKAGE / path).read_text(), path) == []


def test_the_modules_were_found():
    assert {"em/fit.py", "bayes/sample.py", "mixture/kernel.py", "cli.py"} <= set(MODULES)


WRONG = {
    "up": ("mixture/wrong.py", "from bayesgmm.em.fit import fit_em"),
    "to the neighbour": ("bayes/wrong.py", "from bayesgmm.em.start import Guess"),
    "to the other neighbour": ("em/wrong.py", "import bayesgmm.bayes.prior"),
    "up, as an attribute of the package": ("comparison.py", "from bayesgmm import plots"),
    "up, by a relative name": ("mixture/wrong.py", "from ..em import fit"),
    "up, from the bottom": ("validation.py", "from .mixture.parameters import MixtureParameters"),
    "up, inside a function": ("em/wrong.py", "def f():\n    from bayesgmm.comparison import compare"),
    "up, for a type checker only": ("io.py", "if TYPE_CHECKING:\n    from bayesgmm.analysis import Analysis"),
    "the whole package": ("em/wrong.py", "import bayesgmm as bg"),
    "a name of the whole package": ("em/wrong.py", "from bayesgmm import analyze"),
    "PyMC outside bayes": ("em/wrong.py", "import pymc as pm"),
    "PyTensor in the kernel": ("mixture/kernel.py", "import pytensor.tensor as pt"),
    "ArviZ beside its door": ("bayes/labels.py", "import arviz as az"),
    "Matplotlib in the comparison": ("comparison.py", "def plot():\n    import matplotlib.pyplot as plt"),
    "scikit-learn in EM": ("em/start.py", "from sklearn.cluster import KMeans"),
    "pandas in the kernel": ("mixture/rows.py", "import pandas as pd"),
    "a module on no floor": ("helpers.py", "import numpy as np"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_import_is_found(wrong):
    path, source = WRONG[wrong]
    assert len(violations(source, path)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("em/right.py", "from bayesgmm.mixture.rows import Rows\nimport math"),
        ("em/right.py", "from bayesgmm.em.start import Guess"),
        ("comparison.py", "from bayesgmm.bayes.diagnose import diagnose\nfrom bayesgmm.em.result import EMFit"),
        ("cli.py", "def f():\n    import bayesgmm"),
        ("plots/right.py", "from bayesgmm import exceptions\nimport arviz as az"),
    ],
)
def test_a_right_import_is_not(path, source):
    assert violations(source, path) == []


def loaded_after(code):
    """Top-level modules in a fresh interpreter that has run `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return set(done.stdout.split())


def test_an_em_fit_loads_no_sampler_and_no_pictures():
    code = """
import numpy as np
import bayesgmm as bg
em = bg.fit_em(np.random.default_rng(1).normal(size=(50, 2)), 2, n_init=1, rng=1)
em.parameters.log_density([[0.0, 0.0]])
"""
    loaded = loaded_after(code)
    assert {"numba", "bayesgmm"} <= loaded
    assert not loaded & {"pymc", "pytensor", "nutpie", "arviz", "arviz_base", "matplotlib", "sklearn", "pandas"}


def test_the_estimator_of_em_loads_no_sampler_and_no_pictures():
    loaded = loaded_after(
        "import bayesgmm as bg\nbg.GaussianMixture(n_init=1).fit([[0.0], [1.0], [2.0]]).predict([[0.0]])"
    )
    assert "sklearn" in loaded
    assert not loaded & {"pymc", "pytensor", "nutpie", "arviz", "arviz_base", "matplotlib"}


def test_the_default_model_is_sampled_without_pymc_and_pytensor():
    code = """
import numpy as np
import bayesgmm as bg
X = np.random.default_rng(1).normal(size=50)
bg.sample_posterior(X, 1, draws=4, tune=4, chains=1, rng=1, progress=False)
"""
    loaded = loaded_after(code)
    assert "nutpie" in loaded
    assert not loaded & {"pymc", "pytensor"}


def test_importing_the_package_loads_next_to_nothing():
    assert not loaded_after("import bayesgmm") & {*DOORS, "numpy", "scipy", "pandas", "xarray"}


def test_every_public_name_is_where_the_table_of_contents_says():
    import bayesgmm as bg

    assert set(bg.__all__) <= set(dir(bg))
    for name in bg.__all__:
        assert getattr(bg, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'fit_em_'"):
        bg.fit_em_  # noqa: B018
