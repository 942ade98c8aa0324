"""Write what the pages print and draw: `python docs/make_examples.py [PAGE ...]`, or `make pages` for all.

A page is its own script. The Python blocks of docs/examples/PAGE.md run in order, in docs/images/examples, where they
save their pictures, and those of docs/gallery.md in docs/images/gallery; what a block prints replaces the text block
below it. Two more pages are written so because PyTensor takes too long to compile their models at each build.
"""

import os
import re
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from PIL import Image

DOCS = Path(__file__).resolve().parent
EXAMPLES, GALLERY = DOCS / "examples", DOCS / "gallery.md"
OF_PYMC = [DOCS / "from-pymc.md", DOCS / "how-to" / "changing-the-model.md"]
BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?P<below>\n```text\n.*?```\n)?", re.DOTALL)


def written(page: str) -> str:
    """The page with everything printed anew; its pictures are saved."""
    return BLOCK.sub(_runner(), page)


def _runner() -> Callable[[re.Match[str]], str]:
    namespace: dict[str, Any] = {}

    def run(block: re.Match[str]) -> str:
        printed = StringIO()
        with redirect_stdout(printed):
            exec(block["code"], namespace)
        plt.close("all")
        lines = [line.rstrip() for line in printed.getvalue().splitlines()]
        text = "\n```text\n" + "\n".join(lines) + "\n```\n" if lines else ""
        return f"```python\n{block['code']}```\n{text}"

    return run


def _shrink(picture: Path) -> None:
    """At most 256 colours: a third of the file, and no difference to the eye."""
    with Image.open(picture) as image:
        small = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small.save(picture, optimize=True)


def _pictures_of(page: Path) -> Path:
    return DOCS / "images" / ("gallery" if page == GALLERY else "examples")


def _times(folder: Path) -> dict[Path, int]:
    return {picture: picture.stat().st_mtime_ns for picture in folder.iterdir()}


def main(names: list[str]) -> None:
    pages = {page.stem: page for page in [*sorted(EXAMPLES.glob("*.md")), GALLERY, *OF_PYMC]}
    for page in [pages[name] for name in names or pages]:
        folder = _pictures_of(page)
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
        before = _times(folder)
        page.write_text(written(page.read_text()))
        changed = sorted(picture for picture, time in _times(folder).items() if time != before.get(picture))
        for picture in changed:
            if picture.suffix == ".png":
                _shrink(picture)
        print(f"{page.name}: {', '.join(picture.name for picture in changed) or 'no pictures'}")


if __name__ == "__main__":
    main(sys.argv[1:])
