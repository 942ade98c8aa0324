"""`plot_fit` draws the rows, EM's components and those of the draws."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from helpers.figures import (
    component_rings,
    legend_texts,
    radii,
    simulated,
)
from matplotlib.collections import LineCollection
from scipy.stats import norm

import bayesgmm as bg
from bayesgmm import plots


def test_ellipses_are_two_standard_deviations_from_the_mean(faithful_em, faithful_posterior):
    ax = plots.plot_fit(faithful_em, faithful_posterior, n_draws=25).axes[0]
    p, draws = faithful_em.parameters, faithful_posterior["posterior"].to_dataset()
    bundles = [collection for collection in ax.collections if isinstance(collection, LineCollection)]
    for k, bundle in enumerate(bundles):
        line = component_rings(ax)[plots.component_style(k).color]
        np.testing.assert_allclose(radii(line.get_xydata(), p.means[k], p.covariances[k]), 2)
        first, last = ({"chain": i, "draw": i, "component": k} for i in (0, -1))
        assert len(bundle.get_segments()) == 25
        for segment, where in ((bundle.get_segments()[0], first), (bundle.get_segments()[-1], last)):
            draw = draws.isel(where)
            np.testing.assert_allclose(radii(segment, draw["means"].values, draw["covariances"].values), 2)
    assert len(bundles) == 2
    assert "posterior: 2-sd ellipses\nof 25 draws" in legend_texts(ax)
    assert any("86 % of a component" in text for text in legend_texts(ax))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("eruptions", "waiting")


def test_all_rows_are_points_until_there_are_too_many_and_the_legend_says_so(faithful_em, faithful_posterior, faithful):
    X = faithful.to_numpy()
    ax = plots.plot_fit(faithful_em, faithful_posterior).axes[0]
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), X)
    assert "272 rows" in legend_texts(ax)
    many = faithful_posterior.copy()
    many["observed_data"] = xr.DataTree(xr.Dataset({"X": (("row", "feature"), np.tile(X, (40, 1)))}))
    ax = plots.plot_fit(faithful_em, many).axes[0]
    assert len(ax.collections[0].get_offsets()) == 4000
    assert "4,000 of the 10,880 rows" in legend_texts(ax)


def test_the_density_of_one_feature_and_its_band(faithful_em, faithful_posterior):
    ax = plots.plot_fit(faithful_em, faithful_posterior, features=["waiting"], ci_prob=0.8).axes[0]
    density, *components = (line.get_ydata() for line in ax.lines)
    grid, p = ax.lines[0].get_xdata(), faithful_em.parameters
    for k, component in enumerate(components):
        expected = p.weights[k] * norm.pdf(grid, p.means[k, 1], np.sqrt(p.covariances[k, 1, 1]))
        np.testing.assert_allclose(component, expected)
    np.testing.assert_allclose(density, np.sum(components, axis=0))

    draws = faithful_posterior["posterior"].to_dataset().sel(feature="waiting")
    weights, means, stds = (draws[name].values.reshape(-1, 2) for name in ("weights", "means", "stds"))
    drawn = (weights * norm.pdf(grid[:, np.newaxis, np.newaxis], means, stds)).sum(axis=-1)
    outline = ax.collections[0].get_paths()[0].vertices
    lower = np.array([outline[outline[:, 0] == at, 1].min() for at in grid])
    upper = np.array([outline[outline[:, 0] == at, 1].max() for at in grid])
    inside = ((lower[:, np.newaxis] <= drawn) & (drawn <= upper[:, np.newaxis])).mean(axis=1)
    assert np.abs(inside - 0.8).max() < 0.1  # the band is of 400 draws, the count of all
    assert ((lower <= drawn.mean(axis=1)) & (drawn.mean(axis=1) <= upper)).all()
    assert "posterior: density, pointwise\n80 % equal-tailed interval" in legend_texts(ax)


def test_every_pair_of_features_is_drawn_once():
    em, posterior = simulated(9, 3)
    figure = plots.plot_fit(em, posterior)
    assert len(figure.axes) == 6
    panels = {(ax.get_subplotspec().rowspan.start, ax.get_subplotspec().colspan.start): ax for ax in figure.axes}
    for (row, column), ax in panels.items():
        assert row >= column
        if row == column:
            assert len(ax.lines) == 10
            continue
        marginal = em.parameters.marginal([column, row])
        lines = [line for line in ax.lines if len(line.get_xdata()) > 1 and line.get_color() != "white"]
        for k, line in enumerate(lines):
            np.testing.assert_allclose(radii(line.get_xydata(), marginal.means[k], marginal.covariances[k]), 2)
        assert len(lines) == 9
    assert [panels[2, d].get_xlabel() for d in range(3)] == ["x0", "x1", "x2"]
    assert [panels[d, 0].get_ylabel() for d in range(3)] == ["density", "x1", "x2"]
    assert legend_texts(figure)[-9:] == [f"component {k}" for k in range(9)]


def test_features_are_drawn_in_the_order_given():
    em, posterior = simulated(2, 12)
    ax = plots.plot_fit(em, posterior, features=["x11", 3]).axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x11", "x3")
    np.testing.assert_allclose(ax.collections[0].get_offsets(), posterior["observed_data"]["X"].values[:, [11, 3]])


def test_what_cannot_be_drawn_is_refused(faithful_em, faithful_posterior):
    many, many_posterior = simulated(2, 12)
    with pytest.raises(bg.errors.InputError, match=r"1 to 10 features .* received 12.*features=\['x0', 'x1', 'x2'\]"):
        plots.plot_fit(many, many_posterior)
    with pytest.raises(bg.errors.InputError, match="received 0"):
        plots.plot_fit(many, many_posterior, features=[])
    with pytest.raises(bg.errors.InputError, match="in a list"):
        plots.plot_fit(many, many_posterior, features="x1")
    with pytest.raises(bg.errors.InputError, match="ax holds one panel"):
        plots.plot_fit(many, many_posterior, features=[0, 1, 2], ax=plt.subplots()[1])
    with pytest.raises(bg.errors.InputError, match="There is no feature 'wait'"):
        plots.plot_fit(faithful_em, faithful_posterior, features=["wait"])
    with pytest.raises(bg.errors.InputError, match="has 2 components of 12 features; the posterior has 2 of 2"):
        plots.plot_fit(many, faithful_posterior)
    with pytest.raises(bg.errors.InputError, match="n_draws"):
        plots.plot_fit(faithful_em, faithful_posterior, n_draws=0)
    with pytest.raises(bg.errors.InputError, match="ci_prob"):
        plots.plot_fit(faithful_em, faithful_posterior, ci_prob=90)
    raw = faithful_posterior.copy()
    raw.attrs["aligned"] = 0
    with pytest.raises(bg.errors.InputError, match="align"):
        plots.plot_fit(faithful_em, raw)
    without_rows = faithful_posterior.copy()
    del without_rows["observed_data"]
    with pytest.raises(bg.errors.InputError, match="no rows"):
        plots.plot_fit(faithful_em, without_rows)
    without_rows["observed_data"] = xr.DataTree(xr.Dataset({"X": (("row", "feature"), np.zeros((3, 2)))}))  # the remedy
    plots.plot_fit(faithful_em, without_rows)
