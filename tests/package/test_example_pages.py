"""What the example pages show is what the package has, and what it says of Old Faithful."""

import ast
import re
from pathlib import Path

import pytest
from helpers.paths import DOCS

import bayesgmm as bg

GALLERY = DOCS / "gallery.md"
PAGES = sorted((DOCS / "examples").glob("*.md"))
OF_PYMC = [DOCS / "from-pymc.md", DOCS / "how-to" / "changing-the-model.md"]
MOST_BYTES = {".png": 150_000, ".gif": 1_000_000}


def code_of(page):
    return "".join(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))


def verdicts_of(page):
    return re.findall(r"^Verdict: ([^,\n]*)", page.read_text(), re.MULTILINE)


def public_names(code):
    """Dotted names such as plots.plot_fit that the code takes from bg."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        names = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if names and isinstance(node, ast.Name) and node.id == "bg":
            found.add(".".join(reversed(names)))
    return found


def is_public(name):
    """Each module on the way lists the next name in its __all__, where it has one."""
    value = bg
    for part in name.split("."):
        if part.startswith("_") or part not in getattr(value, "__all__", dir(value)):
            return False
        value = getattr(value, part)
    return True


@pytest.mark.parametrize("page", [*PAGES, GALLERY, *OF_PYMC], ids=lambda page: page.stem)
def test_the_code_of_a_page_uses_public_names_only(page):
    names = public_names(code_of(page))
    assert page.stem == "index" or "fit_em" in names
    assert sorted(name for name in names if not is_public(name)) == []


def test_names_that_are_not_public_are_found():
    assert [is_public(name) for name in ("fit_em", "datasets.simulate", "plots.plot_fit")] == [True] * 3
    assert [is_public(name) for name in ("fit", "plots.fit_plot", "plots.axes_or_new")] == [False] * 3
    assert public_names("bg.plots.plot_fit(bg.fit(x)).savefig(y)") == {"plots.plot_fit", "plots", "fit"}


@pytest.mark.parametrize("page", [*PAGES, GALLERY], ids=lambda page: page.stem)
def test_every_link_of_a_page_leads_to_a_file_and_every_picture_it_saves_is_shown(page):
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).is_file()] == []
    pictures = [page.parent / link for link in links if link.endswith((".png", ".gif"))]
    saved = re.findall(r'\.save(?:fig)?\("(.*?)"', code_of(page))
    assert sorted(saved) == sorted(picture.name for picture in pictures)
    assert [picture.name for picture in pictures if picture.stat().st_size > MOST_BYTES[picture.suffix]] == []


def test_the_gallery_shows_every_picture_that_there_is():
    pictures = {name for name in bg.plots.__all__ if name.startswith(("plot_", "animate_"))}
    drawn = {name.removeprefix("plots.") for name in public_names(code_of(GALLERY))}
    assert sorted(pictures - drawn) == []
    shown = {Path(link).name for link in re.findall(r"\]\((images/.*?)\)", GALLERY.read_text())}
    assert shown == {picture.name for picture in (DOCS / "images" / "gallery").iterdir()}


def test_the_index_tells_the_verdict_of_every_page():
    index = next(page for page in PAGES if page.stem == "index").read_text()
    told = dict(re.findall(r"\]\((.*?)\.md\) \|.*\| ([a-z ]+):", index))
    assert told == {page.stem: verdicts_of(page)[0] for page in PAGES if page.stem != "index"}


def test_the_page_of_old_faithful_says_what_a_rerun_says(faithful_em, faithful_posterior):
    page = next(page for page in PAGES if page.stem == "old-faithful")
    summary = bg.compare(faithful_em, faithful_posterior).summary()
    assert summary.splitlines()[:3] == page.read_text().partition("```text\n")[2].splitlines()[:3]
