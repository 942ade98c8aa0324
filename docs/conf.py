"""How Sphinx builds these pages: `make docs`, which writes docs/_build/html."""

import os
import re
from importlib import metadata
from typing import Any

# Pages that are notebooks draw into the page, whatever the shell asked of Matplotlib.
os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"

project = "bayesgmm"
author = "The bayesgmm developers"
version = release = metadata.version("bayesgmm")

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
nitpicky = True
smartquotes = False
default_role = "code"

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

# Every page is run, and a cell that fails fails the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_ipywidgets_js: dict[str, Any] = {}  # no page has widgets, so none has to fetch them

# Types stand in the docstrings, in words.
autodoc_typehints = "none"
autosummary_generate = True
numpydoc_show_class_members = False  # the template of a class lists them

html_theme = "pydata_sphinx_theme"
html_title = "bayesgmm"
html_theme_options = {
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 8,
}
html_show_sourcelink = False
copybutton_exclude = ".linenos, .gp, .go"


def _is_field(app: Any, kind: str, name: str, value: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what a NamedTuple says of its fields, "Alias for field number 0": the class's docstring says more."""
    return True if (getattr(value, "__doc__", "") or "").startswith("Alias for field number") else None


def _text_below_name(app: Any, kind: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Put what follows "name : " on a line of its own.

    Our docstrings begin their text there, where numpydoc expects a type and would set the line in another face.
    """
    section, found = "", []
    for i, line in enumerate(lines):
        if i + 1 < len(lines) and re.fullmatch("-{3,}", lines[i + 1]):
            section = line
        entry = re.fullmatch(r"(\S.*?) : (.+)", line) if section in ("Parameters", "Attributes") else None
        found += [entry[1], f"    {entry[2]}"] if entry else [line]
    lines[:] = found


def setup(app: Any) -> None:
    app.connect("autodoc-skip-member", _is_field)
    app.connect("autodoc-process-docstring", _text_below_name, priority=400)  # before numpydoc, at 500
