"""Cards: how results show themselves, as aligned text in a console and as HTML with the same words in a notebook.

A result describes itself once, as a full `Card`. `Displayed` shows a shortened card as the result's repr and the full
card as its `summary()`.
"""

import textwrap
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from bayesgmm.escaping import one_line, printable
from bayesgmm.wording import count

_WIDTH = 100  # characters of a line
# Limits of a shortened card.
_MOST_ROWS, _MOST_FEATURES, _MOST_SENTENCES = 12, 6, 3
_LONGEST_NAME = 20  # characters of a feature's name in a header


class Grid(NamedTuple):
    """A table of text, and how a shortened card cuts it.

    header : title of each column.
    rows : cells of each row; the first cell is the row's name.
    noun : name of one row, for the sentence about hidden rows.
    n_shown : rows of a shortened card.
    ranking : row numbers, the most important first; a shortened card keeps the first ones. By default the table's
        order.
    n_features : the last `n_features` columns describe one feature each; a shortened card keeps the first six of them.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    noun: str = "row"
    n_shown: int = _MOST_ROWS
    ranking: Sequence[int] | None = None
    n_features: int = 0


class Listing(NamedTuple):
    """Sentences of one kind, each on its own line; a shortened card shows the first `n_shown`.

    noun : name of one sentence, such as "problem", for the sentence about hidden ones.
    """

    sentences: Sequence[str]
    noun: str
    n_shown: int = _MOST_SENTENCES


class Card(NamedTuple):
    """The full description of a result.

    title : one line that begins with the name of the class.
    lines : text above the table.
    grid : the table.
    notes : text below the table.
    """

    title: str
    lines: Sequence[str | Listing] = ()
    grid: Grid | None = None
    notes: Sequence[str | Listing] = ()


class Displayed:
    """Base class of results: shows the result's card."""

    def _card(self) -> Card:
        raise NotImplementedError

    def summary(self) -> str:
        """The result as text for a reader, with every row and sentence; the repr shows the first few."""
        return as_text(self._card())

    def __repr__(self) -> str:
        return as_text(shortened(self._card()))

    def _repr_html_(self) -> str:
        return as_html(shortened(self._card()))


def brief_text(result: Displayed, more: str) -> str:
    """The shortened card of a result as text. more: how to see all, such as "--full shows all"."""
    return as_text(shortened(result._card(), more))


def shortened(card: Card, more: str = ".summary() shows all") -> Card:
    """The card with the most important rows and sentences, and a last note that counts the hidden ones."""
    hidden: list[str] = []

    def first_of(texts: Sequence[str | Listing]) -> list[str | Listing]:
        kept: list[str | Listing] = []
        for text in texts:
            if isinstance(text, Listing):
                hidden.extend(hidden_in_words(len(text.sentences), text.n_shown, text.noun))
                text = text._replace(sentences=text.sentences[: text.n_shown])
            kept.append(text)
        return kept

    lines, grid = first_of(card.lines), card.grid
    if grid is not None:
        hidden += hidden_in_words(len(grid.rows), grid.n_shown, grid.noun)
        hidden += hidden_in_words(grid.n_features, _MOST_FEATURES, "feature")
        grid = _shortened_grid(grid)
    notes = first_of(card.notes)
    if hidden:
        notes.append(f"Not shown: {' and '.join(hidden)}; {more}.")
    return Card(card.title, lines, grid, notes)


def _shortened_grid(grid: Grid) -> Grid:
    ranking = range(len(grid.rows)) if grid.ranking is None else grid.ranking
    n_columns = len(grid.header) - max(0, grid.n_features - _MOST_FEATURES)
    return grid._replace(
        header=grid.header[:n_columns],
        rows=[grid.rows[i][:n_columns] for i in sorted(ranking[: grid.n_shown])],
        ranking=None,
        n_features=min(grid.n_features, _MOST_FEATURES),
    )


def as_text(card: Card) -> str:
    """The card in lines of at most 100 characters, unless the table is wider."""
    lines = [one_line(card.title), *_wrapped(card.lines)]
    if card.grid is not None:
        cells = [[one_line(cell) for cell in row] for row in (card.grid.header, *card.grid.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for name, *numbers in cells:
            aligned = [name.ljust(widths[0]), *map(str.rjust, numbers, widths[1:])]
            lines.append("  " + "  ".join(aligned).rstrip())
    return "\n".join([*lines, *_wrapped(card.notes)])


def as_html(card: Card) -> str:
    """The card as HTML. Every text is escaped, so that a feature's name is never read as markup."""
    parts = [f"<strong>{escape(card.title)}</strong>", *map(escape, _sentences(card.lines))]
    if card.grid is not None:
        header, *rows = (list(map(escape, row)) for row in (card.grid.header, *card.grid.rows))
        body = "".join(_html_row(row[0], row[1:], "td") for row in rows)
        head = _html_row(header[0], header[1:], "th")
        parts.append(f"<table><thead>{head}</thead><tbody>{body}</tbody></table>")
    parts += map(escape, _sentences(card.notes))
    return "<div>" + "".join(f"<div>{part}</div>" for part in parts) + "</div>"


def _html_row(name: str, cells: Sequence[str], tag: str) -> str:
    aligned = "".join(f'<{tag} style="text-align: right">{cell}</{tag}>' for cell in cells)
    return f'<tr><th style="text-align: left">{name}</th>{aligned}</tr>'


def _sentences(texts: Iterable[str | Listing]) -> list[str]:
    return [sentence for text in texts for sentence in (text.sentences if isinstance(text, Listing) else (text,))]


def _wrapped(texts: Sequence[str | Listing]) -> list[str]:
    return [
        line
        for sentence in _sentences(texts)
        for line in textwrap.wrap(
            printable(sentence), _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
    ]


def rows_in_words(n_samples: float) -> str:
    """A number of rows, or the sum of their weights when that is not a whole number."""
    return count(int(n_samples), "row") if float(n_samples).is_integer() else f"rows of weight {n_samples:.6g}"


def short_name(name: str) -> str:
    """A feature's name on one line; the end of a long name is replaced by an ellipsis."""
    name = one_line(name)
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"


def hidden_in_words(n_all: int, n_shown: int, noun: str) -> list[str]:
    """["3 of 10 rows"] if 3 are hidden, [] if all are shown."""
    return [f"{n_all - n_shown} of {count(n_all, noun)}"] if n_shown < n_all else []


def rows_shown(n: int) -> int:
    """Number of rows that a shortened table shows of n."""
    return min(n, _MOST_ROWS)
