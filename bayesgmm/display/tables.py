"""Tables of text as Markdown and LaTeX."""

import pandas as pd

from bayesgmm.display.cards import Grid, left_out, rows_shown

_LATEX = {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {character: "\\" + character for character in "&%$#_"}


def to_markdown(table: pd.DataFrame) -> str:
    """A table in GitHub's Markdown: the index first and to the left, the columns to the right."""
    lines = [["", *table.columns], ["---", *["---:"] * len(table.columns)], *_rows(table)]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def to_latex(table: pd.DataFrame) -> str:
    """A LaTeX tabular with the rules of the package booktabs."""

    def line(cells: list[str]) -> str:
        return " & ".join("".join(_LATEX.get(c, c) for c in str(cell)) for cell in cells) + r" \\"

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


def _rows(table: pd.DataFrame) -> list[list[str]]:
    return [[str(name), *map(str, cells)] for name, cells in zip(table.index, table.to_numpy(), strict=True)]


def to_grid(table: pd.DataFrame, name: str = "") -> tuple[Grid, list[str]]:
    """The first lines of a table of text, and a sentence on those that are left out. name: title of the index."""
    shown = _rows(table.head(rows_shown(len(table))))
    missing = left_out(len(table), len(shown), "row")
    return Grid([name, *table.columns], shown), [f"Not shown: {text}." for text in missing]
