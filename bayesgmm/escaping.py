"""Text from files, such as names of columns, made safe for the place where it is shown."""

import re

# Control characters apart from the newline, marks that change the direction of writing, line separators of Unicode,
# and halves of characters, which no encoding can write.
_UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
# NUL, which texts in NetCDF cannot hold, and halves of characters.
_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")
# A spreadsheet takes a cell that begins with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_LATEX = {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {"<": r"\textless{}", ">": r"\textgreater{}"}
_LATEX |= {character: "\\" + character for character in "&%$#_"}


def printable(text: str) -> str:
    r"""The text with characters that would steer a terminal written as escapes, such as \x1b; newlines are kept."""
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def is_writable(text: str) -> bool:
    """Whether the text can be written to every kind of file."""
    return _UNWRITABLE.search(text) is None


def one_line(text: str) -> str:
    """The text, printable and on one line: runs of white space become one space."""
    return printable(" ".join(text.split()))


def spreadsheet_cell(text: str) -> str:
    """The text with an apostrophe before it if a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def markdown_cell(text: str) -> str:
    """The text as a cell of a Markdown table."""
    return one_line(text).replace("|", r"\|")


def latex_cell(text: str) -> str:
    """The text as a cell of a LaTeX table."""
    return "".join(_LATEX.get(character, character) for character in one_line(text))


def matplotlib_text(text: str) -> str:
    """The text without mathematics: Matplotlib reads text between two dollars as formulas. Newlines are kept."""
    return printable(text).replace("$", r"\$")
