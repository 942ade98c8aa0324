"""The public names are what they say, and every class that a public function returns is among them."""

import subprocess
import sys
from importlib.metadata import version
from inspect import isclass, isfunction
from types import SimpleNamespace
from typing import TypeAliasType, get_args, get_type_hints

import pytest
from helpers.paths import PACKAGE
from helpers.public import NAMESPACES, public_names, resolve

import bayesgmm as bg
from bayesgmm.bayes.model.std_priors import StdPrior
from bayesgmm.kernel.rows import Rows


def test_every_public_name_is_the_thing_of_that_name():
    """A module named like a function would take its place once it is imported."""
    code = (
        "import pkgutil, importlib, bayesgmm as bg\n"
        "for module in pkgutil.walk_packages(bg.__path__, 'bayesgmm.'): importlib.import_module(module.name)\n"
        "from helpers.public import public_names, resolve\n"
        "wrong = [n for n in public_names() if resolve(n).__name__ != n.split('.')[-1] or not callable(resolve(n))]\n"
        "assert not wrong, wrong\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent / "tests"
    )
    assert done.returncode == 0, done.stderr


def classes_in(hint):
    """The classes of this package in an annotation."""
    if isinstance(hint, TypeAliasType):
        hint = hint.__value__
    if isclass(hint) and hint.__module__.startswith("bayesgmm."):
        yield hint
    for argument in get_args(hint):
        yield from classes_in(argument)


def hints_of(value):
    """Annotations; those that only a type checker can import are names of results, and PyMC's model."""
    return get_type_hints(value, localns=vars(bg.results) | {"pm": SimpleNamespace(Model=object)})


def classes_handed_out(name):
    """The classes that a public function returns, or that a public class has as attributes and returns from methods."""
    value = resolve(name)
    if isfunction(value):
        hints = [hints_of(value)["return"]]
    else:
        members = {key: member for key, member in vars(value).items() if key[0] != "_"}
        functions = [getattr(member, "fget", getattr(member, "__func__", member)) for member in members.values()]
        hints = [hints_of(function).get("return") for function in functions if isfunction(function)]
        hints += [hint for key, hint in hints_of(value).items() if key[0] != "_"]
    return {found for hint in hints for found in classes_in(hint)}


@pytest.mark.parametrize("name", public_names())
def test_every_class_that_a_public_name_hands_out_is_public(name):
    public = {resolve(name) for name in public_names()}
    # A `Prior` holds one of the families in `bg.priors`, of which `StdPrior` is the base class. `Rows` are the data as
    # the package prepared them, for its own use.
    assert classes_handed_out(name) - public - {StdPrior, Rows} == set()


def test_a_class_that_is_not_public_would_be_found():
    assert classes_handed_out("fit_em") == {bg.results.EMFit}
    assert {bg.results.Restart, bg.results.Optimum, bg.results.Status} <= classes_handed_out("results.EMFit")
    assert bg.results.Problem in classes_handed_out("results.Diagnosis")


def test_every_name_has_one_home():
    last = [name.split(".")[-1] for name in public_names()]
    assert len(set(last)) == len(last)


def test_the_namespaces_are_modules_that_list_their_names():
    for namespace in NAMESPACES:
        assert namespace in bg.__all__
        assert len(getattr(bg, namespace).__all__) > 0


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(bg, "no_such_name")
    assert "fit_em" in dir(bg)


def test_a_mistyped_name_is_answered_with_the_right_one():
    done = subprocess.run(
        [sys.executable, "-c", "import bayesgmm as bg; bg.fit_e"], capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1] == "AttributeError: No bayesgmm attribute fit_e. Did you mean: 'fit_em'?"


def test_the_version_is_that_of_the_distribution():
    assert bg.__version__ == version("bayesgmm")
