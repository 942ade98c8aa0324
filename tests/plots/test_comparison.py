"""`plot_comparison` draws the table of a comparison."""

import dataclasses

import numpy as np
import pytest
from helpers.figures import (
    legend_texts,
)

import bayesgmm as bg
from bayesgmm import plots


def test_every_row_of_the_table_is_drawn_once_at_its_values(comparison):
    ax, values = plots.plot_comparison(comparison).axes
    table, (lower, upper) = comparison.table, comparison.interval_columns
    marks = [line for line in ax.lines if line.get_marker() not in ("None", "")]
    bars = [line for line in ax.lines if line.get_linewidth() == 4]
    assert len(marks) == len(bars) == len(table)
    np.testing.assert_allclose([mark.get_xdata()[0] for mark in marks], table["z"])
    intervals = table[[lower, upper]].sub(table["mean"], axis=0).div(table["sd"], axis=0)
    np.testing.assert_allclose([bar.get_xdata() for bar in bars], intervals)
    heights = [float(mark.get_ydata()[0]) for mark in marks]
    np.testing.assert_allclose([bar.get_ydata() for bar in bars], np.transpose([heights, heights]))

    labels = dict(zip(ax.get_yticks(), (label.get_text() for label in ax.get_yticklabels()), strict=True))
    numbers = dict(zip(values.get_yticks(), (label.get_text() for label in values.get_yticklabels()), strict=True))
    for height, (name, row) in zip(heights, table.iterrows(), strict=True):
        assert name == f"{row['parameter']}[{labels[height]}]"
        written = [float(number) for number in numbers[height].replace("to", "").split()]
        expected = row[["em", "mean", lower, upper]].astype(float)
        np.testing.assert_allclose(written, expected, atol=row["sd"] / 10)
    headings = [text for height, text in labels.items() if height not in heights]
    assert headings == ["weights", "means", "stds", "correlations"]
    assert "posterior 90 % equal-tailed interval" in legend_texts(ax)


@pytest.mark.parametrize(
    ("value", "sd", "text"),
    [(2.345e90, 1e88, "2.345e+90"), (-2e-90, 1e-91, "-2.00e-90"), (1e12, 0.5, "1000000000000.00")],
)
def test_numbers_of_any_size_are_written_to_two_digits_of_their_sd(comparison, value, sd, text):
    table = comparison.table.assign(mean=value, sd=sd)
    numbers = plots.plot_comparison(dataclasses.replace(comparison, table=table)).axes[1].get_yticklabels()
    assert numbers[1].get_text().split()[1] == text


def test_an_estimate_outside_its_interval_stands_out_and_one_far_away_says_how_far(comparison):
    table = comparison.table.copy()
    moved = {"weights[0]": 3, "means[1, waiting]": -50}
    for name, distance in moved.items():
        table.loc[name, "em"] = table.loc[name, "mean"] + distance * table.loc[name, "sd"]
        table.loc[name, "inside"] = False
    ax = plots.plot_comparison(dataclasses.replace(comparison, table=table)).axes[0]
    marks = dict(zip(table.index, (line for line in ax.lines if line.get_marker() not in ("None", "")), strict=True))
    outside = [name for name, mark in marks.items() if mark.get_markeredgecolor() == "black"]
    assert outside == list(moved)
    low, high = ax.get_xlim()
    assert all(low < mark.get_xdata()[0] < high for mark in marks.values())
    assert marks["means[1, waiting]"].get_marker() == "<"
    assert [text.get_text() for text in ax.texts] == ["-50.0 sd"]


def test_a_table_too_long_to_read_is_refused_with_a_remedy_that_works(comparison):
    longer = comparison.table.loc[comparison.table.index.repeat(40)]
    with pytest.raises(bg.errors.InputError, match="480 rows") as refused:
        plots.plot_comparison(dataclasses.replace(comparison, table=longer))
    scope = {"dataclasses": dataclasses, "comparison": comparison}
    part = eval(str(refused.value).partition("such as ")[2].removesuffix("."), scope)
    assert set(part.table["parameter"]) == {"means"}
    assert len(plots.plot_comparison(part).axes[0].get_yticks()) == 1 + len(part.table)
