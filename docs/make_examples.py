"""Run the code of pages and write its output into them: `python docs/make_examples.py [PAGE ...]`, or `make pages`.

The Python blocks of docs/examples/PAGE.md run in order, in docs/images/examples, where they save their pictures; those
of docs/gallery.md run in docs/images/gallery. The output of a block replaces the text block below it. Two pages with
PyMC models are run in this way too, because PyTensor takes too long to compile their models at each build.
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
PYMC_PAGES = [DOCS / "from-pymc.md", DOCS / "how-to" / "changing-the-model.md"]
BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?P<below>\n```text\n.*?```\n)?", re.DOTALL)


def run_page(text: str) -> str:
    """Run the page's code, which saves its pictures, and return the page with the new output."""
    return BLOCK.sub(_block_runner(), text)


def _block_runner() -> Callable[[re.Match[str]], str]:
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
    """Reduce the picture to 256 colours: a third of the file size, without a visible difference."""
    with Image.open(picture) as image:
        small = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small.save(picture, optimize=True)


def _pictures_of(page: Path) -> Path:
    return DOCS / "images" / ("gallery" if page == GALLERY else "examples")


def _modification_times(folder: Path) -> dict[Path, int]:
    return {picture: picture.stat().st_mtime_ns for picture in folder.iterdir()}


def main(names: list[str]) -> None:
    pages = {page.stem: page for page in [*sorted(EXAMPLES.glob("*.md")), GALLERY, *PYMC_PAGES]}
    for page in [pages[name] for name in names or pages]:
        folder = _pictures_of(page)
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
        before = _modification_times(folder)
        page.write_text(run_page(page.read_text()))
        after = _modification_times(folder)
        changed = sorted(picture for picture, time in after.items() if time != before.get(picture))
        for picture in changed:
            if picture.suffix == ".png":
                _shrink(picture)
        print(f"{page.name}: {', '.join(picture.name for picture in changed) or 'no pictures'}")


if __name__ == "__main__":
    main(sys.argv[1:])
