"""What the README shows is what the package prints."""

import re
from contextlib import redirect_stdout
from io import StringIO

from helpers.paths import ROOT

README = (ROOT / "README.md").read_text()


def test_the_python_in_the_readme_prints_what_stands_below_it():
    code = re.search(r"```python\n(.*?)```", README, re.S).group(1)
    shown = re.search(r"```text\n(.*?)```", README, re.S).group(1)
    printed = StringIO()
    with redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    assert printed.getvalue() == shown


def test_every_file_that_the_readme_links_to_is_there():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) >= 5
    root = ROOT
    assert [link for link in links if not (root / link).exists()] == []
