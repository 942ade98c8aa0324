"""The layout of a text file: its separator, its line of names, and rows that do not fit."""

import csv
import io
import re
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import NamedTuple

from bayesgmm.errors import InputError
from bayesgmm.files.contents import REMEDY
from bayesgmm.wording import count, shown

# Lines that the separator is guessed from. A longer row further down is refused by pandas.
_N_SAMPLE = 200
_SPACES = " "
# No file has it: the separator of a file of one column.
_NONE = "\x1f"
_CANDIDATES = (",", ";", "\t", "|", _SPACES)
_WORDS = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "space": _SPACES, "spaces": _SPACES, "pipe": "|"}
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", _SPACES: "spaces"}
_LOOKS_NUMERIC = re.compile(r"\s*[+-]?(\d[\d.,]*|[.,]\d+)([eE][+-]?\d+)?\s*|NA|NaN|")


class Layout(NamedTuple):
    """How a text file is divided into cells.

    separator : one character; a space stands for any number of spaces and tabs.
    names : the names in the file's first line, as they are written.
    body : the text below the line of names.
    first_line : number, counted from 1, of the line that `body` begins with.
    comments : lines before the names that begin with #.
    """

    separator: str
    names: list[str]
    body: str
    first_line: int
    comments: int

    @property
    def pandas_separator(self) -> str:
        """The separator in the words of pandas."""
        return r"\s+" if self.separator == _SPACES else self.separator

    @property
    def in_words(self) -> str:
        """The separator in words, such as "semicolon (';')"; empty for a file of one column."""
        if self.separator == _NONE:
            return ""
        word = _NAMES.get(self.separator)
        shown = "" if self.separator in ("\t", _SPACES) else f" ({self.separator!r})"
        return f"{word}{shown}" if word else repr(self.separator)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The rows that are not blank, each with the number of the line on which it begins."""
        return _rows(self.body, self.separator, self.first_line)


def find_layout(text: str, source: str, separator: str | None) -> Layout:
    """Find the separator, and check that the first line has a name for each field of the rows.

    Raises
    ------
    InputError
        A row has more fields than there are names, or the first line has no names.
    """
    text, first_line, stated, comments = _without_preamble(text)
    separator = _as_separator(separator) or stated or _guess(text)
    try:
        (line, names), *sample = islice(_rows(text, separator, first_line), _N_SAMPLE + 1)
    except (ValueError, csv.Error) as error:
        reason = "all its lines are blank" if not text.strip() else str(error)
        raise InputError(f"{source} cannot be read as a table: {reason}. {REMEDY}") from error
    n_header_lines = _n_lines_of_first_row(text, separator)
    body = _without_lines(text, n_header_lines)
    layout = Layout(separator, [name.strip() for name in names], body, first_line + n_header_lines, comments)
    if not sample:
        raise InputError(f"{source} has column names but no rows. {REMEDY}")
    _check_lengths(layout, source, line, sample)
    _check_names(layout, source, line, sample)
    return layout


def _without_preamble(text: str) -> tuple[str, int, str | None, int]:
    """The text from its line of names on, that line's number, the separator of a line `sep=;`, and skipped comments."""
    n, stated, comments = 0, None, 0
    for line in io.StringIO(text):
        match = re.fullmatch(r'"?sep=(.)"?', line.strip("\n"))
        if match:
            stated = match[1]
        elif line.startswith("#"):
            comments += 1
        elif line.strip():
            break
        n += 1
    return _without_lines(text, n), n + 1, stated, comments


def _without_lines(text: str, n: int) -> str:
    """The text without its first n lines."""
    return text[sum(map(len, islice(io.StringIO(text), n))) :]


def _as_separator(separator: str | None) -> str | None:
    if separator is None:
        return None
    character = _WORDS.get(separator.lower(), separator) if isinstance(separator, str) else ""
    if len(character) != 1 or character in '"\n\r' or character.isalnum():
        raise InputError(
            f"sep must be one character, or one of the words comma, semicolon, tab, space; received "
            f"{shown(separator)}. Leave it out to have it recognised."
        )
    return character


def _guess(text: str) -> str:
    """The separator by which most cells are numbers, among those that divide all lines alike."""
    head = "".join(islice(io.StringIO(text), _N_SAMPLE + 1))
    best, best_score = _NONE, (0.0, 0.0, 0)
    for separator in _CANDIDATES:
        try:
            (_, names), *rows = _rows(head, separator, 1)
        except (ValueError, csv.Error):
            continue
        if len(names) < 2 or not rows:
            continue
        fit = sum(len(row) == len(names) for _, row in rows) / len(rows)
        is_too_long = any(len(row) > len(names) for _, row in rows)
        cells = [cell for _, row in rows for cell in row]
        share = sum(_LOOKS_NUMERIC.fullmatch(cell) is not None for cell in cells) / len(cells)
        if separator == _SPACES and fit < 1 and not is_too_long:
            continue  # words in a file of one column
        score = (0.0 if is_too_long else fit, share, len(names))
        if score > best_score:
            best, best_score = separator, score
    return best


def _rows(text: str, separator: str, first_line: int) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, with the numbers of their first lines."""
    spaced = separator == _SPACES
    lines = (re.sub(r"[ \t]+", " ", line.strip()) + "\n" if spaced else line for line in io.StringIO(text))
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    end = 0
    for row in reader:
        begin, end = end, reader.line_num
        if any(cell.strip() for cell in row) or len(row) > 1:
            yield first_line + begin, row


def _n_lines_of_first_row(text: str, separator: str) -> int:
    reader = csv.reader(io.StringIO(text), delimiter=separator)
    for row in reader:
        if row and (len(row) > 1 or row[0].strip()):
            break
    return reader.line_num


def _check_lengths(layout: Layout, source: str, line: int, sample: list[tuple[int, list[str]]]) -> None:
    for number, row in sample:
        if len(row) > len(layout.names):
            raise InputError(too_long(layout, source, line, number, row))


def too_long(layout: Layout, source: str, line: int, number: int, row: list[str]) -> str:
    """The message about a row with more fields than there are names."""
    between = f"separated by {layout.in_words}" if layout.in_words else "not separated"
    if not row[-1].strip():
        hint = "The last field is empty: remove the separator at the end of the rows, or add one to the names."
    elif len(row) == len(layout.names) + 1 and not _LOOKS_NUMERIC.fullmatch(row[-1]):
        hint = "Add the name that is missing."
    else:
        hint = (
            "If the first field of the rows is a row name or number, add a name for it, such as id. If commas are "
            "decimal marks, pass --sep and --decimal (sep= and decimal= in Python)."
        )
    return (
        f"{source} cannot be read as a table: line {number} has {count(len(row), 'field')} "
        f"({_shown(row)}), and line {line} has {count(len(layout.names), 'name')} ({_shown(layout.names)}), "
        f"{between}. {hint}"
    )


def _check_names(layout: Layout, source: str, line: int, sample: list[tuple[int, list[str]]]) -> None:
    """Refuse a first line of data."""
    names = layout.names
    numbers = [(position, float(name)) for position, name in enumerate(names) if is_number(name)]
    if not numbers or [str(i) for i in range(len(names))] == names:  # pandas writes 0, 1, 2, ... for missing names
        return
    values = [value for _, value in numbers]
    grows = all(left < right for left, right in pairwise(values))
    repeats = any(
        name and not is_number(name) and any(len(row) > position and row[position].strip() == name for _, row in sample)
        for position, name in enumerate(names)
    )
    named = any(name and not is_number(name) for name in names)
    # Numbers that grow are names of columns when other columns have words: years, wavelengths.
    if not named or repeats or not grows:
        hint = " If the names are in a comment line, remove its #." if layout.comments else ""
        raise InputError(
            f"{source} has numbers where its column names should be: {_shown(names)} in line {line}. Write the names "
            f"of the columns in the first line.{hint}"
        )


def is_number(text: str) -> bool:
    """Whether Python reads the text as a finite number."""
    try:
        return abs(float(text)) < float("inf")
    except ValueError:
        return False


def _shown(cells: list[str]) -> str:
    """Up to six cells, each cut after 30 characters."""
    texts = [cell if len(cell) <= 30 else cell[:29] + "…" for cell in cells[:6]]
    return ", ".join(texts) + (", ..." if len(cells) > 6 else "")
