"""Names from files, where they are shown."""

import csv
import io

import pandas as pd
import pytest

import bayesgmm as bg
from bayesgmm.display.tables import to_latex, to_markdown
from bayesgmm.escaping import matplotlib_text, one_line, printable, spreadsheet_cell


@pytest.mark.parametrize("steering", ["\x1b]0;owned\x07", "\x1b[31m", "\x9b31m", "\u202e", "\r", "\x00", "\ud800"])
def test_characters_that_steer_a_terminal_are_written_as_escapes(steering):
    shown = printable(f"a{steering}b\nσ")
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert shown.startswith("a\\") and shown.endswith("b\nσ")


def test_messages_and_summaries_are_safe_to_print():
    X = bg.datasets.load_galaxies().set_axis(["a\x1b[31m\nb"], axis=1)
    assert "\x1b" not in bg.fit_em(X, 1, rng=1).summary()
    with pytest.raises(bg.errors.InputError) as caught:
        bg.fit_em(X.mask(X > 30), 1)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("unwritable", ["\x00", "\ud800"])
def test_names_of_features_that_no_file_can_hold_are_refused_early(unwritable):
    name = f"a{unwritable}b"
    X = bg.datasets.load_galaxies().set_axis(pd.Index([name], dtype=object), axis=1)
    for call in (
        lambda: bg.fit_em(X, 1),
        lambda: bg.fit_em(X[name], 1),
        lambda: bg.sample_posterior(X, 1),
        lambda: bg.MixtureParameters([1.0], [[0.0]], [[[1.0]]], features=[name]),
    ):
        with pytest.raises(bg.errors.InputError, match=r"feature called 'a\\.*Rename it"):
            call()


def test_names_break_no_table_and_are_no_formulas(tmp_path):
    name = "=a\nb|c"
    X = bg.datasets.load_galaxies().set_axis([name], axis=1)
    posterior = bg.sample_posterior(X, 1, draws=200, rng=1, progress=False)
    em = bg.fit_em(X, 1, rng=1)
    comparison = bg.compare(em, bg.align(posterior, em.parameters))
    written = comparison.table[["em"]].astype(str)
    assert len({line.replace("\\|", "").count("|") for line in to_markdown(written).splitlines()}) == 1
    assert len(to_latex(written).splitlines()) == 6 + len(written)
    comparison.to_csv(tmp_path / "c.csv")
    rows = list(csv.reader(io.StringIO((tmp_path / "c.csv").read_text())))
    assert not [cell for row in rows for cell in row if cell[:1] == "="]
    assert any(cell == f"'{name}" for row in rows for cell in row)


def test_each_place_has_its_escapes():
    assert one_line("a\n\tb") == "a b"
    assert [spreadsheet_cell(text) for text in ("=1", "-x", "@y", "a=1")] == ["'=1", "'-x", "'@y", "a=1"]
    assert matplotlib_text("$x$") == r"\$x\$"


def test_files_of_an_analysis_hold_no_formulas(tmp_path):
    X = bg.datasets.load_galaxies().rename(columns={"velocity": "=1+1"})
    X.index = pd.Index([f"@row{i}" for i in range(len(X))], name="=name")
    analysis = bg.analyze(X, 1, draws=20, rng=1, progress=False)
    folder = analysis.save(tmp_path / "results")
    for name in ("comparison.csv", "labels.csv"):
        cells = [cell for line in (folder / name).read_text().splitlines() for cell in line.split(",")]
        assert any(cell.startswith("'") for cell in cells)
        assert not any(cell.startswith(("=", "@")) for cell in cells)
