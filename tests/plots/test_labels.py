"""`plot_labels` draws the probability that EM's label is wrong."""

import numpy as np
from helpers.figures import (
    case,
    legend_texts,
)
from matplotlib.colors import to_hex

import bayesgmm as bg
from bayesgmm import plots


def test_marks_are_larger_and_darker_the_less_sure_the_label(flat):
    em, posterior = flat
    ax = plots.plot_labels(em, posterior).axes[0]
    table = bg.row_uncertainty(em, posterior)
    X = posterior["observed_data"]["X"].values
    assert sum(len(marks.get_offsets()) for marks in ax.collections) == len(X)
    for k, marks in enumerate(ax.collections):
        assert to_hex(marks.get_facecolors()[0]).upper() == plots.component_style(k).color
        rows = [int(np.flatnonzero((at == X).all(axis=1))[0]) for at in marks.get_offsets().data]
        mine = table.iloc[rows]
        assert (mine["label"] == k).all()
        p = mine["p_wrong"].to_numpy()
        assert (np.diff(p) >= 0).all()  # the least sure are drawn last
        assert (np.diff(marks.get_sizes()) >= 0).all()
        assert (np.diff(marks.get_facecolors()[:, 3]) >= 0).all()
        widths = np.asarray(marks.get_linewidths())
        np.testing.assert_array_equal(widths > 1, p > 0.5)
    assert f"expected number labelled\nwrongly: {table['p_wrong'].sum():.3g}" in legend_texts(ax)
    assert "80 rows, by EM's label:" in legend_texts(ax)


def test_of_one_feature_probabilities_and_intervals_are_drawn(single):
    em, posterior = single
    ax = plots.plot_labels(em, posterior, ci_prob=0.8).axes[0]
    table = bg.row_uncertainty(em, posterior, ci_prob=0.8)
    x = posterior["observed_data"]["X"].values[:, 0]
    drawn = {
        tuple(at) for marks in ax.lines for at in marks.get_xydata() if marks.get_marker() not in ("None", "", None)
    }
    assert drawn == set(zip(x, table["p_wrong"], strict=True))
    ends = np.concatenate([lines.get_segments() for lines in ax.collections])
    by_x = {segment[0, 0]: sorted(segment[:, 1]) for segment in ends}
    for row, at in enumerate(x):
        np.testing.assert_allclose(by_x[at], [1 - table["eti80_ub"][row], 1 - table["eti80_lb"][row]])
    assert "80 % equal-tailed interval\nover posterior draws" in legend_texts(ax)


def test_of_too_many_rows_the_least_sure_are_all_drawn():
    em, posterior = case(2, 2, N=5000)
    ax = plots.plot_labels(em, posterior).axes[0]
    assert "4,000 of the 5,000 rows, by EM's label:" in legend_texts(ax)
    drawn = {tuple(at) for marks in ax.collections for at in marks.get_offsets().data}
    table = bg.row_uncertainty(em, posterior)
    X = posterior["observed_data"]["X"].values
    assert len(drawn) == 4000
    assert {tuple(at) for at in X[np.argsort(table["p_wrong"])[-2000:]]} <= drawn
