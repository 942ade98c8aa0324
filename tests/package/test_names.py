"""The public names are what they say, whichever module was imported first."""

import subprocess
import sys

import bayesgmm as bg


def test_every_public_name_is_the_thing_of_that_name():
    """A module named like a function would take its place once it is imported."""
    code = (
        "import pkgutil, importlib, bayesgmm as bg\n"
        "for module in pkgutil.walk_packages(bg.__path__, 'bayesgmm.'): importlib.import_module(module.name)\n"
        "wrong = [n for n in bg.__all__ if getattr(bg, n).__name__.split('.')[-1] != n]\n"
        "modules = [n for n in bg.__all__ if n not in ('datasets', 'plots') and not callable(getattr(bg, n))]\n"
        "assert not wrong and not modules, (wrong, modules)\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(bg, "no_such_name")
    assert "fit_em" in dir(bg)
