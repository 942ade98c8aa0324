"""Every public name has an example in its docstring, and every example prints what it shows."""

import doctest
import inspect
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from helpers.public import public_names, resolve

import bayesgmm as bg

# In numpydoc's order.
SECTIONS = ["Parameters", "Attributes", "Returns", "Raises", "Warns", "See Also", "Notes", "References", "Examples"]
PUBLIC = public_names()


def examples_of(name):
    """The examples of a public name and of its methods: one piece per docstring, none with variables of another."""
    return [piece for piece in doctest.DocTestFinder().find(resolve(name), name, globs={}) if piece.examples]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_has_an_example_that_is_true(name):
    found = examples_of(name)
    assert name in [piece.name for piece in found], f"the docstring of {name} has no example"
    try:
        for piece in found:
            assert doctest.DocTestRunner().run(piece).failed == 0, f"{piece.name}: see what is printed"
    finally:
        plt.close("all")


def test_no_example_stands_where_it_is_not_run():
    run = sum(len(piece.examples) for name in PUBLIC for piece in examples_of(name))
    sources = [path.read_text() for path in Path(bg.__file__).parent.rglob("*.py")]
    assert run == sum(len(re.findall(r"^ *>>> ", source, re.MULTILINE)) for source in sources)


@pytest.mark.parametrize("name", PUBLIC)
def test_the_sections_of_a_docstring_are_in_numpydocs_order(name):
    for piece in examples_of(name):
        found = re.findall(r"^([A-Z][A-Za-z ]+)\n(-{3,})$", inspect.cleandoc(piece.docstring), re.MULTILINE)
        headings = [heading for heading, _ in found]
        assert headings == sorted(headings, key=SECTIONS.index)
        assert all(len(heading) == len(line) for heading, line in found)
