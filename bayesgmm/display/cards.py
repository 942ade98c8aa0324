"""How results show themselves: in a console as aligned text, in a notebook as HTML that says the same."""

import textwrap
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from bayesgmm.wording import count

_WIDTH = 100
_MOST_ROWS, _MOST_COLUMNS, _LONGEST_NAME = 12, 6, 20


class Grid(NamedTuple):
    """A table of text. header: a title for each column; rows: as many cells each, the first of which is its name."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


class Card(NamedTuple):
    """What a result says of itself. title: one line; lines: what comes before the table; notes: what comes after it."""

    title: str
    lines: Sequence[str] = ()
    grid: Grid | None = None
    notes: Sequence[str] = ()


class Displayed:
    """A result that shows its card."""

    def _card(self) -> Card:
        raise NotImplementedError

    def __repr__(self) -> str:
        return as_text(self._card())

    def _repr_html_(self) -> str:
        return as_html(self._card())


def as_text(card: Card) -> str:
    """The card in lines of at most 100 characters, unless the table is wider."""
    lines = [card.title, *_wrapped(card.lines)]
    if card.grid is not None:
        cells = [[" ".join(cell.split()) for cell in row] for row in (card.grid.header, *card.grid.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for name, *others in cells:
            aligned = [name.ljust(widths[0]), *map(str.rjust, others, widths[1:])]
            lines.append("  " + "  ".join(aligned).rstrip())
    return "\n".join([*lines, *_wrapped(card.notes)])


def as_html(card: Card) -> str:
    """The card as HTML, nothing of which is taken for markup."""
    parts = [f"<strong>{escape(card.title)}</strong>", *map(escape, card.lines)]
    if card.grid is not None:
        header, *rows = (list(map(escape, row)) for row in (card.grid.header, *card.grid.rows))
        body = "".join(_html_row(row[0], row[1:], "td") for row in rows)
        head = _html_row(header[0], header[1:], "th")
        parts.append(f"<table><thead>{head}</thead><tbody>{body}</tbody></table>")
    return "<div>" + "".join(f"<div>{part}</div>" for part in (*parts, *map(escape, card.notes))) + "</div>"


def _html_row(name: str, cells: Sequence[str], tag: str) -> str:
    aligned = "".join(f'<{tag} style="text-align: right">{cell}</{tag}>' for cell in cells)
    return f'<tr><th style="text-align: left">{name}</th>{aligned}</tr>'


def _wrapped(texts: Sequence[str]) -> list[str]:
    return [
        line
        for text in texts
        for line in textwrap.wrap(text, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    ]


def rows_in_words(n_samples: float) -> str:
    """A number of rows, or the sum of their weights."""
    return count(int(n_samples), "row") if float(n_samples).is_integer() else f"rows of weight {n_samples:.6g}"


def short_name(name: str) -> str:
    """A feature's name on one line, its end cut off where it is long."""
    name = " ".join(name.split())
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def left_out(n_all: int, n_shown: int, noun: str) -> list[str]:
    """A sentence's part on what is not shown, where something is not."""
    return [f"{n_all - n_shown} of {count(n_all, noun)}"] if n_shown < n_all else []


def rows_shown(n: int) -> int:
    """How many of n rows a table shows."""
    return min(n, _MOST_ROWS)


def columns_shown(n: int) -> int:
    """How many of n features a table shows."""
    return min(n, _MOST_COLUMNS)
