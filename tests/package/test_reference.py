"""The reference has a page for every public name, and for nothing else."""

import re

from helpers.paths import DOCS
from helpers.public import public_names, resolve

REFERENCE = DOCS / "reference"


def names_in_the_reference():
    found = []
    for page in REFERENCE.glob("*.md"):
        for block in re.findall(r"```\{eval-rst\}\n(.*?)```", page.read_text(), re.DOTALL):
            module = re.search(r"currentmodule:: (\S+)", block)[1].removeprefix("bayesgmm").strip(".")
            names = re.findall(r"^   ([A-Za-z][\w.]*)$", block.partition("autosummary::")[2], re.MULTILINE)
            found += [f"{module}.{name}".strip(".") for name in names]
    return found


def test_every_public_name_stands_in_the_reference_once():
    found = names_in_the_reference()
    assert sorted(found) == sorted(public_names())


def test_every_page_of_the_reference_is_in_its_index():
    index = (REFERENCE / "index.md").read_text()
    listed = re.search(r"```\{toctree\}.*?\n\n(.*?)```", index, re.DOTALL)[1].split()
    assert sorted(listed) == sorted(page.stem for page in REFERENCE.glob("*.md") if page.stem != "index")


def test_every_public_name_says_what_it_is():
    assert [name for name in public_names() if not (resolve(name).__doc__ or "").strip()] == []
