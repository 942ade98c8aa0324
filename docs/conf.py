"""How Sphinx builds these pages: `make docs`, which writes docs/_build/html."""

import os
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # for the extension mathml.py

# Notebook pages draw their figures into the page, whatever backend the shell asks Matplotlib for.
os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"

project = "bayesgmm"
author = "The bayesgmm developers"
version = release = metadata.version("bayesgmm")

extensions = [
    "mathml",
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
]
templates_path = ["_templates"]
html_static_path = ["_static"]
exclude_patterns = ["_build"]
nitpicky = True
smartquotes = False
default_role = "code"

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

# Every notebook page is run at each build, and a failing cell fails the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_ipywidgets_js: dict[str, Any] = {}  # no page has widgets, so their JavaScript is not fetched

# Docstrings state the types in words.
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
    """Skip the fields of a NamedTuple ("Alias for field number 0"): the docstring of the class describes them."""
    return True if (getattr(value, "__doc__", "") or "").startswith("Alias for field number") else None


def _text_below_name(app: Any, kind: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Move the text after "name : " to a line of its own.

    Our docstrings begin the description there. numpydoc expects a type in that place and would format it as one.
    """
    section, new_lines = "", []
    for i, line in enumerate(lines):
        if i + 1 < len(lines) and re.fullmatch("-{3,}", lines[i + 1]):
            section = line
        entry = re.fullmatch(r"(\S.*?) : (.+)", line) if section in ("Parameters", "Attributes") else None
        new_lines += [entry[1], f"    {entry[2]}"] if entry else [line]
    lines[:] = new_lines


def setup(app: Any) -> None:
    app.connect("autodoc-skip-member", _is_field)
    app.connect("autodoc-process-docstring", _text_below_name, priority=400)  # before numpydoc, at 500
