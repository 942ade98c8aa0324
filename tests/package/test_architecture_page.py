"""The architecture page names files and folders that exist, and every room of the package."""

import re

from helpers.paths import DOCS, PACKAGE, ROOT

PAGE = (DOCS / "architecture.md").read_text()


def test_every_path_on_the_architecture_page_exists():
    paths = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]*(?:\.py)?|[a-z_]+\.py)`", PAGE))
    assert len(paths) > 40
    folders = [PACKAGE, ROOT, *(path for path in PACKAGE.rglob("*/") if path.name != "__pycache__")]
    assert sorted(path for path in paths if not any((folder / path).exists() for folder in folders)) == []


def test_the_table_of_layers_names_every_room():
    table = PAGE.partition("## Layers")[2].partition("\n## ")[0]
    rooms = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    rooms |= {path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")}
    assert sorted(room for room in rooms if f"`{room}`" not in table) == []
