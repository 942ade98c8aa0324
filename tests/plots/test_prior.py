"""`plot_prior` draws the prior behind the posterior."""

import numpy as np
import pytest
import xarray as xr
from helpers.figures import (
    case,
    legend_texts,
)
from matplotlib.colors import to_rgb
from scipy.stats import beta, norm

import bayesgmm as bg
from bayesgmm import plots

PRIOR = bg.Prior([0.0, 1.0], [3.0, 4.0], bg.priors.LogNormal([1.0, 2.0], 0.7), 1.5, 2.0)


def panels_of(figure):
    return {ax.get_title().replace("\n", " "): ax for ax in figure.axes}


def test_the_prior_is_drawn_behind_the_posterior_of_every_parameter(flat):
    panels = panels_of(plots.plot_prior(flat[1], PRIOR))
    assert list(panels) == [
        "weights",
        "means: x0",
        "means: x1",
        "stds: x0",
        "stds: x1",
        "correlations: x0, x1",
    ]
    expected = {
        "weights": beta(1.5, 3.0),
        "means: x1": norm(1, 4),
        "correlations: x0, x1": beta(2, 2, loc=-1, scale=2),
    }
    for name, distribution in expected.items():
        outline = panels[name].collections[0].get_paths()[0].vertices
        x, height = outline[outline[:, 1] > 0].T
        np.testing.assert_allclose(height, distribution.pdf(x), rtol=1e-9)
        assert len(np.unique(x)) == 300


def test_the_posterior_is_a_histogram_of_each_component_in_its_colour(flat):
    _, posterior = flat
    ax = panels_of(plots.plot_prior(posterior, PRIOR, parameters=["means"], features=["x1"]))["means: x1"]
    steps = [patch for patch in ax.patches if patch.get_fill()]
    assert len(steps) == 3
    for k, patch in enumerate(steps):
        heights, edges, _ = patch.get_data()
        drawn = posterior["posterior"]["means"].values[..., k, 1].ravel()
        np.testing.assert_allclose(edges[[0, -1]], np.quantile(drawn, [0.001, 0.999]))
        np.testing.assert_allclose(heights * np.diff(edges) * drawn.size, np.histogram(drawn, edges)[0], atol=1e-9)
        np.testing.assert_allclose(patch.get_facecolor()[:3], to_rgb(plots.component_style(k).color))
        assert ax.get_xlim()[0] < edges[0] < edges[-1] < ax.get_xlim()[1]


def test_draws_of_a_models_own_prior_are_drawn_component_by_component(flat):
    _, posterior = flat
    rng = np.random.default_rng(1)
    means = norm([[0.0, 0.0], [5.0, 5.0], [-5.0, 0.0]], 2).rvs((1, 500, 3, 2), random_state=rng)
    dims = ("chain", "draw", "component", "feature")
    forward = xr.DataTree.from_dict({"prior": xr.Dataset({"means": (dims, means)})})
    figure = plots.plot_prior(posterior, forward, parameters=["means"])
    ax = panels_of(figure)["means: x1"]
    outlines = [patch for patch in ax.patches if patch.get_linewidth() == 2]
    for k, patch in enumerate(outlines):
        heights, edges, _ = patch.get_data()
        expected = np.histogram(means[0, :, k, 1], edges)[0] / (500 * np.diff(edges))
        np.testing.assert_allclose(heights, expected)
    assert len(outlines) == 3
    assert "prior draws, component 2" in legend_texts(figure)
    with pytest.raises(bg.errors.InputError, match=r"draws of weights, stds|draws of weights"):
        plots.plot_prior(posterior, forward)
    with pytest.raises(bg.errors.InputError, match=r"means of shape \(2, 2\), the posterior of shape \(3, 2\)"):
        plots.plot_prior(posterior, forward.isel(component=slice(2)), parameters=["means"])


def test_another_prior_than_the_recorded_one_is_said(faithful, faithful_posterior):
    plots.plot_prior(faithful_posterior, bg.Prior.for_data(faithful))  # a warning would be an error
    with pytest.warns(bg.errors.BayesgmmWarning, match="not the one that the posterior was sampled under"):
        plots.plot_prior(faithful_posterior, bg.Prior.for_data(faithful, concentration=3.0))


def test_draws_that_are_equal_to_rounding_are_drawn_as_a_line(flat):
    posterior = flat[1].copy(deep=True)
    weights = np.nextafter(1 / 3, np.arange(90) % 2).reshape(2, 15, 3)
    posterior["posterior"]["weights"] = xr.DataArray(weights, dims=("chain", "draw", "component"))
    ax = panels_of(plots.plot_prior(posterior, PRIOR, parameters=["weights"]))["weights"]
    assert [line.get_xdata()[0] for line in ax.lines] == pytest.approx([1 / 3] * 3)


def test_priors_that_cannot_be_drawn_are_refused(flat):
    _, posterior = flat
    with pytest.raises(bg.errors.InputError, match=r"prior must be a Prior, .* received str"):
        plots.plot_prior(posterior, "default")
    with pytest.raises(bg.errors.InputError, match="parameters must be a list of names among"):
        plots.plot_prior(posterior, PRIOR, parameters=["variances"])
    with pytest.raises(bg.errors.InputError, match=r"mean_location must be one number or have shape \(2,\)"):
        plots.plot_prior(posterior, bg.Prior([0.0, 0.0, 0.0], 1.0, bg.priors.LogNormal(1.0)))
    raw = posterior.copy()
    raw.attrs["aligned"] = 0
    with pytest.raises(bg.errors.InputError, match="not aligned"):
        plots.plot_prior(raw, PRIOR)
    many = case(1, 9)[1]
    with pytest.raises(bg.errors.InputError, match="54 panels are to be drawn; one figure holds at most 40"):
        plots.plot_prior(many, bg.Prior(0.0, 1.0, bg.priors.LogNormal(1.0)))
