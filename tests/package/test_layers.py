"""Imports run downwards only, no two modules import each other in a circle, and each heavy library has one door."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from helpers.paths import PACKAGE

MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

# The floors of each folder, lowest first; a floor is a line of rooms (files without their ending, or folders). A room
# imports from lower floors of its folder, never from its own floor: `em`, `bayes` and `posterior` do not know each
# other. In a folder without floors files import each other freely, but not in a circle.
FLOORS = {
    "": (
        "escaping frozen interrupts types version wording",
        "errors",
        "environment",
        "parallel received validation display compile_cache files draw_statistics storage",
        "checked_tables thresholds kernel",
        "mixture",
        "convergence datasets row_index",
        "em bayes posterior",
        "comparison",
        "plots",
        "analysis precompile",
        "estimators cli priors results",
        "__init__ __main__",
    ),
    "em": ("runs", "search stored", "uncertainty shrinkage", "problems result", "fit", "path", "__init__"),
    "bayes": ("model", "pymc modes", "sampling", "__init__"),
    "files": ("contents folders", "layout", "cells", "columns", "tables", "__init__"),
    "analysis": ("saved", "result", "run", "__init__"),
    "posterior": ("draws", "labels partition prediction", "diagnosis", "__init__"),
}
# Where each heavy library may be imported: a module, or every module of a folder.
DOORS = {
    # The other two only name the type of a model.
    "pymc": ("bayes/pymc/", "bayes/sampling/pymc_target.py", "bayes/sampling/sample_model.py"),
    "pytensor": ("bayes/pymc/",),
    "nutpie": ("bayes/sampling/nuts.py",),
    "arviz": ("draw_statistics.py", "plots/sampling.py"),
    "arviz_stats": ("draw_statistics.py",),
    "matplotlib": ("plots/",),
    "pandas": (
        "comparison/",
        "bayes/sampling/default_target.py",
        "bayes/sampling/schema.py",
        "convergence.py",
        "datasets/",
        "display/tables.py",
        "em/uncertainty/standard_errors.py",
        "estimators/shared.py",
        "files/",
        "plots/",
        "posterior/",
        "row_index.py",
    ),
    "sklearn": ("comparison/partitions.py", "estimators/"),
    "numba": ("kernel/", "parallel.py", "em/search/", "em/uncertainty/", "bayes/", "posterior/partition/search.py"),
    "llvmlite": ("kernel/", "bayes/model/native_calls.py"),
    "typer": ("cli.py",),
    "rich": ("cli.py",),
}
# The libraries beyond the standard one and this package that a room may need.
PLAIN = {
    "kernel": {"numpy", "numba", "llvmlite"},
    "mixture": {"numpy", "scipy", "threadpoolctl"},
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
            if base.startswith("bayesgmm"):  # `from bayesgmm.em import search` is about em/search
                yield from (f"{base}.{alias.name}" for alias in node.names)
            else:
                yield base


def floor_of(room, folder):
    return next((number for number, rooms in enumerate(FLOORS[folder]) if room in rooms.split()), None)


def is_below(target, path):
    """Whether a module may import another; both as parts relative to the package."""
    own = Path(path).with_suffix("").parts
    folder = ""
    for room, other in zip(own, target, strict=False):
        if room != other:
            if folder not in FLOORS:
                return True
            floor, of_other = floor_of(room, folder), floor_of(other, folder)
            return floor is not None and of_other is not None and of_other < floor
        folder = f"{folder}/{room}".lstrip("/")
    return True


def violations(source, path):
    """What a module at `path` (relative to the package) imports and must not."""
    own = Path(path).with_suffix("").parts
    for depth, room in enumerate(own):
        folder = "/".join(own[:depth])
        if folder in FLOORS and floor_of(room, folder) is None:
            return [f"{path} stands on no floor; give {room} one in FLOORS"]
    found = []
    for name in imported_names(source, path):
        top, *rest = name.split(".")
        if top == "bayesgmm":
            # The whole package, whose names lead anywhere, is for the command.
            names_a_room = rest and floor_of(rest[0], "") is not None
            if not (is_below(rest, path) if names_a_room else own == ("cli",)):
                found.append(f"{path} imports {name}, which is not below it")
        elif top in DOORS and not any(
            path == door or (door.endswith("/") and path.startswith(door)) for door in DOORS[top]
        ):
            found.append(f"{path} imports {name}; that is for {', '.join(DOORS[top])}")
        elif own[0] in PLAIN and top not in sys.stdlib_module_names and top not in PLAIN[own[0]]:
            found.append(f"{path} imports {name}; {own[0]} needs {', '.join(sorted(PLAIN[own[0]]))} only")
    return found


@cache
def graph():
    """The modules that each module of the package imports."""
    known = {path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in MODULES}
    arrows = {}
    for module, path in known.items():
        names = {name.removeprefix("bayesgmm.") for name in imported_names((PACKAGE / path).read_text(), path)}
        targets = {name if name in known else name.rpartition(".")[0] for name in names}
        arrows[module] = {target for target in targets if target in known and target != module}
    return arrows


@pytest.mark.parametrize("path", [path for path in MODULES if path not in ("__init__.py", "__main__.py")])
def test_imports_run_downwards_and_through_the_doors(path):
    assert violations((PACKAGE / path).read_text(), path) == []


def test_no_modules_import_each_other_in_a_circle():
    tuple(
        TopologicalSorter({module: arrows for module, arrows in graph().items() if module != "__init__"}).static_order()
    )


def test_a_circle_would_be_found():
    arrows = dict(graph())
    arrows["kernel.passes"] = arrows["kernel.passes"] | {"kernel.rows"}
    with pytest.raises(CycleError):
        tuple(TopologicalSorter(arrows).static_order())


def test_floors_and_doors_name_what_there_is():
    for folder, floors in FLOORS.items():
        rooms = [room for floor in floors for room in floor.split()]
        there = {path.stem for path in (PACKAGE / folder).glob("*.py")}
        there |= {path.parent.name for path in (PACKAGE / folder).glob("*/__init__.py")}
        assert sorted(rooms) == sorted(there)
    for doors in DOORS.values():
        assert all((PACKAGE / door).exists() for door in doors)
    assert {folder for folder in FLOORS if folder} <= {Path(path).parent.as_posix() for path in MODULES}


@pytest.mark.parametrize("library", DOORS)
def test_every_door_is_used(library):
    through = {
        path
        for path in MODULES
        if library in {name.split(".")[0] for name in imported_names((PACKAGE / path).read_text(), path)}
    }
    unused = [door for door in DOORS[library] if not any(path.startswith(door) for path in through)]
    assert unused == []


def test_every_package_states_its_rule():
    """In two sentences at the most, at the head of its `__init__`."""
    for path in MODULES:
        if path.endswith("/__init__.py"):
            text = ast.get_docstring(ast.parse((PACKAGE / path).read_text()))
            assert text and "TODO" not in text, path


WRONG = {
    "up": ("mixture/wrong.py", "from bayesgmm.em.fit import fit_em"),
    "to the neighbour": ("bayes/model/wrong.py", "from bayesgmm.em.search.start import Guess"),
    "to the other neighbour": ("em/search/wrong.py", "import bayesgmm.bayes.model.prior"),
    "from reading to making": ("posterior/labels/wrong.py", "from bayesgmm.bayes.sampling.sample import run"),
    "from making to reading": ("bayes/modes/wrong.py", "from bayesgmm.posterior import draws"),
    "up inside a folder": ("em/search/wrong.py", "from bayesgmm.em.result import EMFit"),
    "up inside a folder, by a relative name": ("em/runs.py", "from .search import climb"),
    "to the neighbour inside a folder": (
        "posterior/labels/wrong.py",
        "from bayesgmm.posterior.partition import losses",
    ),
    "up, as an attribute of the package": ("comparison/compare.py", "from bayesgmm import plots"),
    "up, by a relative name": ("mixture/wrong.py", "from ..em import fit"),
    "up, from the bottom": ("validation.py", "from .mixture.parameters import MixtureParameters"),
    "up, inside a function": ("em/fit.py", "def f():\n    from bayesgmm.comparison.compare import compare"),
    "up, for a type checker only": (
        "files/folders.py",
        "if TYPE_CHECKING:\n    from bayesgmm.analysis.result import Analysis",
    ),
    "the whole package": ("em/fit.py", "import bayesgmm as bg"),
    "a name of the whole package": ("em/fit.py", "from bayesgmm import analyze"),
    "the kernel to the mixture": ("kernel/rows.py", "from bayesgmm.mixture.parameters import MixtureParameters"),
    "PyMC outside bayes": ("em/fit.py", "import pymc as pm"),
    "PyMC beside its door": ("bayes/sampling/default_target.py", "import pymc as pm"),
    "the modes to PyMC's folder": ("bayes/modes/wrong.py", "from bayesgmm.bayes.pymc.model import build_model"),
    "PyTensor in the kernel": ("kernel/passes.py", "import pytensor.tensor as pt"),
    "nutpie beside its door": ("bayes/sampling/gibbs.py", "import nutpie"),
    "ArviZ beside its door": ("posterior/labels/align.py", "import arviz as az"),
    "Matplotlib in the comparison": ("comparison/compare.py", "def plot():\n    import matplotlib.pyplot as plt"),
    "scikit-learn in EM": ("em/search/start.py", "from sklearn.cluster import KMeans"),
    "pandas in the kernel": ("kernel/rows.py", "import pandas as pd"),
    "a module on no floor": ("helpers.py", "import numpy as np"),
    "a module on no floor of its folder": ("em/helpers.py", "import numpy as np"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_import_is_found(wrong):
    path, source = WRONG[wrong]
    assert len(violations(source, path)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("em/search/right.py", "from bayesgmm.kernel.rows import Rows\nimport math"),
        ("em/search/right.py", "from bayesgmm.em.search.start import Guess\nfrom bayesgmm.em.runs import Status"),
        (
            "comparison/right.py",
            "from bayesgmm.posterior.diagnosis.diagnose import diagnose\nfrom bayesgmm.em.result import EMFit",
        ),
        ("cli.py", "def f():\n    import bayesgmm"),
        ("plots/sampling.py", "from bayesgmm import errors\nimport arviz as az"),
    ],
)
def test_a_right_import_is_not(path, source):
    assert violations(source, path) == []


def modules_after(code):
    """Full names of the modules in a fresh interpreter that has run `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return set(done.stdout.split())


def loaded_after(code):
    """Their top-level names."""
    return {name.split(".")[0] for name in modules_after(code)}


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


def test_the_namespaces_are_loaded_when_they_are_used_and_not_by_a_fit():
    code = "import bayesgmm as bg\n"
    namespaces = {f"bayesgmm.{name}" for name in ("priors", "results", "datasets", "plots")}
    assert not modules_after(code) & (namespaces | {"bayesgmm.errors"})
    assert not modules_after(f"{code}bg.fit_em([1.0, 2.0, 4.0], 1, n_init=1)") & namespaces
    assert "bayesgmm.results" in modules_after(f"{code}bg.results.EMFit")


def test_an_analysis_loads_no_pictures_until_it_is_saved():
    assert "bayesgmm.plots" not in modules_after("import bayesgmm as bg\nbg.analyze")


def test_every_public_name_is_where_the_table_of_contents_says():
    import bayesgmm as bg

    assert set(bg.__all__) <= set(dir(bg))
    for name in bg.__all__:
        assert getattr(bg, name) is not None
    with pytest.raises(AttributeError, match="No bayesgmm attribute fit_em_"):
        bg.fit_em_  # noqa: B018
