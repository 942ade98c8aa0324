"""`plot_trace`, `plot_rank` and `plot_energy` draw the scalars that vary, under their names."""

import numpy as np
import pytest
from helpers.figures import (
    legend_texts,
    posterior_near,
    simulated,
)

import bayesgmm as bg
from bayesgmm import plots


def titles(figure):
    return [ax.get_title().replace("\n", " ") for ax in figure.axes if ax.get_title()]


@pytest.mark.parametrize("plot", [plots.plot_trace, plots.plot_rank])
def test_weights_and_means_are_drawn_under_their_names(plot, faithful_posterior):
    figure = plot(faithful_posterior)
    assert titles(figure) == [
        "weights[0]",
        "weights[1]",
        "means[0, eruptions]",
        "means[0, waiting]",
        "means[1, eruptions]",
        "means[1, waiting]",
    ]
    assert legend_texts(figure)[:4] == [f"chain {i}" for i in range(4)]
    assert titles(plot(faithful_posterior, parameters=["correlations", "stds"], features=["waiting"])) == [
        "stds[0, waiting]",
        "stds[1, waiting]",
    ]


def test_what_components_share_is_drawn_once():
    figure = plots.plot_trace(simulated(3, 2, "tied")[1], parameters=["stds", "correlations"])
    assert titles(figure) == ["stds[all, x0]", "stds[all, x1]", "correlations[all, x0, x1]"]


def test_a_trace_holds_every_draw_and_marks_divergences():
    _, posterior = simulated(2, 2, features=("length/width", "a name that is much longer than its panel is wide"))
    figure = plots.plot_trace(posterior, features=["length/width"])
    draws = posterior["posterior"].to_dataset()
    for k in range(2):
        lines = figure.axes[2 + k].lines
        np.testing.assert_array_equal([line.get_ydata() for line in lines[:2]], draws["means"].values[:, :, k, 0])
    assert legend_texts(figure) == ["chain 0", "chain 1", "divergence"]
    assert plots.plot_rank(posterior, parameters=["correlations"]).axes


@pytest.mark.parametrize("shift", [0.06, 10])  # 1.2 and 200 standard deviations
@pytest.mark.parametrize("n_chains", [2, 4, 8])
def test_chains_that_agree_stay_in_the_band_and_one_that_does_not_leaves_it(n_chains, shift):
    em, posterior = simulated(2, 2)
    posterior = posterior_near(em, posterior["observed_data"]["X"].values, n_chains=n_chains, n_draws=400)
    agreeing = plots.plot_rank(posterior, parameters=["means"])
    assert [leaves_the_band(ax) for ax in agreeing.axes[:4]] == [False] * 4
    posterior["posterior"]["means"][0, :, 0, 0] += shift
    shifted = plots.plot_rank(posterior, parameters=["means"])
    assert [leaves_the_band(ax) for ax in shifted.axes[:4]] == [True, False, False, False]


def test_a_chain_that_never_moved_is_drawn_as_it_is(faithful_posterior):
    stuck = faithful_posterior.copy(deep=True)
    for name in ("weights", "means"):
        stuck["posterior"][name][1] = stuck["posterior"][name][1, 0]
    assert leaves_the_band(plots.plot_rank(stuck).axes[0])
    assert np.ptp(plots.plot_trace(stuck).axes[0].lines[1].get_ydata()) == 0


def leaves_the_band(ax):
    outline = ax.collections[0].get_paths()[0].vertices
    at = np.unique(outline[:, 0])
    lower = [outline[outline[:, 0] == x, 1].min() for x in at]
    upper = [outline[outline[:, 0] == x, 1].max() for x in at]
    outside = False
    for line in ax.lines:
        x, y = line.get_data()
        step = 1.5 / len(x)  # both are steps, of this height and at most one apart
        outside |= bool(((y < np.interp(x, at, lower) - step) | (y > np.interp(x, at, upper) + step)).any())
    return outside


def test_one_component_has_no_weight_to_draw():
    _, posterior = simulated(1, 2)
    assert titles(plots.plot_rank(posterior)) == ["means[0, x0]", "means[0, x1]"]
    with pytest.raises(bg.errors.InputError, match="nothing that parameters="):
        plots.plot_trace(posterior, parameters=["weights"])


@pytest.mark.filterwarnings("ignore:This maximum may be spurious:bayesgmm.errors.BayesgmmWarning")
def test_names_that_the_posterior_does_not_have_and_too_many_panels_are_refused(faithful_posterior):
    with pytest.raises(bg.errors.InputError, match="parameters must be a list of names among weights, means"):
        plots.plot_trace(faithful_posterior, parameters=["mean"])
    with pytest.raises(bg.errors.InputError, match="parameters must be a list"):
        plots.plot_rank(faithful_posterior, parameters="means")
    with pytest.raises(bg.errors.InputError, match="features must be a list of names among eruptions, waiting"):
        plots.plot_rank(faithful_posterior, features=["x0"])
    _, posterior = simulated(9, 14)
    with pytest.raises(bg.errors.InputError, match="135 numbers are to be drawn; one figure holds at most 120"):
        plots.plot_rank(posterior)


def test_the_energy_plot_shows_the_diagnosed_fractions(faithful_nuts):
    fractions = plots.plot_energy(faithful_nuts).axes[0]
    np.testing.assert_allclose(fractions.collections[0].get_offsets()[:, 0], bg.diagnose(faithful_nuts).bfmi)
