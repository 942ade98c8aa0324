"""Sphinx extension: formulas as MathML, made while the pages are built, with a mathematical font beside them.

Every current browser draws MathML itself, so that the pages need neither JavaScript nor a network for their formulas.
See docs/decisions/0080.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils.nodes import SkipNode
from math_core import LatexToMathML

CONVERTER = LatexToMathML(fancy_error=False)  # a formula that it cannot read fails the build
FONT = "STIXTwoMath-Regular.ttf"


def inline(translator: Any, node: Any) -> None:
    translator.body.append(CONVERTER.convert_with_local_state(node.astext(), displaystyle=False))
    raise SkipNode


def block(translator: Any, node: Any) -> None:
    formula = CONVERTER.convert_with_local_state(node.astext(), displaystyle=True)
    translator.body.append(f'<div class="formula">{formula}</div>\n')
    raise SkipNode


def font_file() -> Path:
    """The font that the package ziamath ships."""
    spec = find_spec("ziamath")
    assert spec is not None and spec.origin is not None, "ziamath is not installed"
    return Path(spec.origin).parent / "fonts" / FONT


def setup(app: Any) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.config.html_math_renderer = "mathml"
    app.config.html_static_path.append(str(font_file()))
    app.add_css_file("mathml.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
