"""DataFrames as CSV, and DataFrames of text as Markdown, as LaTeX, and as the table of a card."""

from collections.abc import Sequence

import pandas as pd

from bayesgmm.display.cards import Grid, rows_shown
from bayesgmm.escaping import latex_cell, markdown_cell, spreadsheet_cell


def to_csv(table: pd.DataFrame) -> str:
    """The table as CSV in full precision; a text that a spreadsheet would take for a formula gets an apostrophe."""
    names = ["" if name is None else str(name) for name in table.index.names]
    index = table.index.to_frame(index=False).set_axis(names, axis=1)
    whole = pd.concat([index, table.reset_index(drop=True)], axis=1).map(_safe_cell)
    text = whole.set_axis(list(map(_safe_cell, whole.columns)), axis=1).to_csv(index=False)
    return text.encode("utf-8", "backslashreplace").decode()  # halves of characters become escapes


def _safe_cell(cell: object) -> object:
    return spreadsheet_cell(cell) if isinstance(cell, str) else cell


def to_markdown(table: pd.DataFrame) -> str:
    """The table in GitHub's Markdown: the index left-aligned in the first column, the other columns right-aligned."""
    lines = [["", *table.columns], ["---", *["---:"] * len(table.columns)], *_rows(table)]
    return "\n".join(f"| {' | '.join(markdown_cell(str(cell)) for cell in line)} |" for line in lines)


def to_latex(table: pd.DataFrame) -> str:
    """The table as a LaTeX tabular with the rules of the package booktabs."""

    def line(cells: list[str]) -> str:
        return " & ".join(latex_cell(str(cell)) for cell in cells) + r" \\"

    return "\n".join(
        [
            rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
            r"\toprule",
            line(["", *table.columns]),
            r"\midrule",
            *map(line, _rows(table)),
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def to_grid(
    table: pd.DataFrame,
    name: str = "",
    *,
    noun: str = "row",
    n_shown: int | None = None,
    ranking: Sequence[int] | None = None,
) -> Grid:
    """The table of a card. name : title of the index; the other options are those of `Grid`."""
    n_shown = rows_shown(len(table)) if n_shown is None else n_shown
    return Grid([name, *table.columns], _rows(table), noun, n_shown, ranking)


def _rows(table: pd.DataFrame) -> list[list[str]]:
    return [[str(name), *map(str, cells)] for name, cells in zip(table.index, table.to_numpy(), strict=True)]
