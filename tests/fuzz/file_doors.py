"""`read_table`: files as people write them, and files that are something else."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from fuzz.properties import ask
from fuzz.runner import door
from hypothesis import strategies as st

import bayesgmm as bg

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252")
# What is done to the text of a good file.
DAMAGE = {
    "none": lambda text, rng: text,
    "no header": lambda text, rng: text.split("\n", 1)[-1],
    "cut": lambda text, rng: text[: rng.integers(len(text) + 1)],
    "a longer row": lambda text, rng: text + "1,2,3,4,5,6,7,8,9\n",
    "an empty line": lambda text, rng: text.replace("\n", "\n\n", 1),
    "a comment": lambda text, rng: "# measured in 2024\n" + text,
    "text in a cell": lambda text, rng: text.replace("1", "n/a", 1),
    "an open quote": lambda text, rng: text.replace("\n", '\n"', 1),
    "a null": lambda text, rng: text.replace("\n", "\n\0", 1),
    "Windows lines": lambda text, rng: text.replace("\n", "\r\n"),
    "Mac lines": lambda text, rng: text.replace("\n", "\r"),
    "twice": lambda text, rng: text + text,
    "spaces": lambda text, rng: text.replace(",", " , "),
    "infinities": lambda text, rng: text.replace("2", "inf"),
}
SUFFIXES = (".csv", ".csv", ".csv", ".tsv", ".txt", ".parquet", ".xlsx", ".feather", ".gz", ".zip", "")


@dataclass(frozen=True)
class FileCase:
    """A table written as text, and what happened to the text."""

    seed: int
    n_rows: int
    n_columns: int
    separator: str
    decimal: str
    damage: str
    encoding: str
    suffix: str

    def table(self):
        rng = np.random.default_rng(self.seed)
        names = ["a", "größe", "c d", "=e", "$f", "g\tg"][: self.n_columns]
        return pd.DataFrame(rng.standard_normal((self.n_rows, self.n_columns)).round(3) + 10, columns=names)

    def content(self):
        text = self.table().to_csv(index=False, sep=self.separator, decimal=self.decimal, lineterminator="\n")
        return DAMAGE[self.damage](text, np.random.default_rng(self.seed)).encode(self.encoding, errors="replace")


written = st.builds(
    FileCase,
    seed=st.integers(0, 99),
    n_rows=st.integers(0, 20),
    n_columns=st.integers(1, 6),
    separator=st.sampled_from([",", ";", "\t", "|", " "]),
    decimal=st.sampled_from([".", ","]),
    damage=st.one_of(st.just("none"), st.sampled_from(list(DAMAGE))),
    encoding=st.sampled_from(ENCODINGS),
    suffix=st.sampled_from(SUFFIXES),
)


def read(content, suffix, **options):
    """The table that is read from a file of these bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"table{suffix}"
        path.write_bytes(content)
        return ask(lambda: bg.read_table(path, **options))


@door("read_table, written tables", 700, written)
def read_written(case):
    table = read(case.content(), case.suffix)
    assert isinstance(table, pd.DataFrame) and len(table.columns)
    if case.damage == "none" and case.suffix == ".csv" and case.separator != case.decimal:
        expected = case.table()
        # Columns of few rows may look like an index, and are then left out with a warning.
        for name in set(table.columns) & set(expected.columns):
            np.testing.assert_allclose(table[name].to_numpy(dtype=float), expected[name], err_msg=str(name))


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "columns": st.sampled_from([["a"], ["b"], [], "a", None, 3, [1]]),
        "sep": st.sampled_from([",", ";", "comma", "tab", "", ",,", None, 3, "\n"]),
        "decimal": st.sampled_from([".", ",", "", ";", None, 3]),
        "index": st.sampled_from(["a", "id", "", None, 3]),
        "exclude": st.sampled_from([["a"], ["zz"], [], "a", None]),
        "drop_missing": st.booleans(),
    },
)
CELLS = st.one_of(
    st.floats(-99, 99, width=16).map(str),
    st.integers(-9, 9999).map(str),
    st.sampled_from(
        ["1,5", "1.234,5", "", "NA", "nan", "1e400", "-", "inf", '"1"', "x", "2024-01-31", "TRUE", "1 000"]
    ),
)


@st.composite
def near_tables(draw):
    """A line of names and lines of cells, most of them numbers, in any separator."""
    separator, n_columns = draw(st.sampled_from(",;\t| ")), draw(st.integers(1, 4))
    names = separator.join("abcd"[:n_columns])
    numbers = st.floats(-99, 99, width=16).map(str)
    row = st.lists(draw(st.sampled_from([numbers, CELLS])), min_size=n_columns, max_size=n_columns)
    rows = draw(st.lists(row, min_size=1, max_size=6))
    return "\n".join([names, *(separator.join(cells) for cells in rows)]).encode()


TEXTS = st.lists(st.text(alphabet="0123456789.,;\t\"' -eEaNx\0é", max_size=15), max_size=8)
CONTENTS = st.one_of(
    near_tables(), near_tables(), TEXTS.map(lambda lines: "\n".join(lines).encode()), st.binary(max_size=80)
)
USES = st.one_of(st.just({}), st.just({}), OPTIONS)


@door("read_table, any bytes and options", 600, st.tuples(CONTENTS, st.sampled_from(SUFFIXES), USES))
def read_anything(case):
    content, suffix, options = case
    table = read(content, suffix, **options)
    assert isinstance(table, pd.DataFrame) and len(table.columns)
    repr(table)
