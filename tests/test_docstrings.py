"""The examples in the docstrings print what they say."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import bayesgmm

MODULES = [
    "analysis",
    "bayes.loo",
    "bayes.predict",
    "bayes.prior",
    "bayes.subsets",
    "em.fit",
    "mixture.parameters",
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_are_true(name):
    failed, attempted = doctest.testmod(import_module(f"bayesgmm.{name}"))
    assert attempted > 0
    assert failed == 0


def test_every_module_with_an_example_is_in_the_list():
    package = Path(bayesgmm.__file__).parent
    found = {
        ".".join(path.relative_to(package).with_suffix("").parts)
        for path in package.rglob("*.py")
        if ">>> " in path.read_text()
    }
    assert found == set(MODULES)
