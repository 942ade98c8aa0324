"""`plot_density_difference` draws EM's density minus the posterior's."""

import dataclasses

import numpy as np
from helpers.figures import (
    case,
    legend_texts,
)

import bayesgmm as bg
from bayesgmm import plots


def test_densities_of_one_feature_and_their_difference(single):
    em, posterior = single
    above, below = plots.plot_density_difference(em, posterior, ci_prob=0.8).axes
    x = above.lines[0].get_xdata()
    table = bg.density_difference(em, posterior, x, ci_prob=0.8)
    predictive, density = (curve.get_ydata() for curve in above.lines)
    np.testing.assert_allclose(density, np.exp(table["em"]))
    np.testing.assert_allclose(predictive, np.exp(table["predictive"]))
    np.testing.assert_allclose(below.lines[-1].get_ydata(), density - predictive)
    outline = above.collections[0].get_paths()[0].vertices
    upper = np.array([outline[outline[:, 0] == at, 1].max() for at in x])
    np.testing.assert_allclose(upper, np.exp(table["eti80_ub"]), rtol=1e-6)
    assert "posterior: density, pointwise\n80 % equal-tailed interval" in legend_texts(above)
    assert above.get_ylabel() == "density per unit of\nx0"


def test_the_density_of_one_of_several_features_is_its_marginal():
    em, posterior = case(2, 3)
    above, _ = plots.plot_density_difference(em, posterior, features=["x1"]).axes
    x, density = above.lines[1].get_data()
    np.testing.assert_allclose(density, np.exp(em.parameters.marginal(["x1"]).log_density(x)))


def test_the_map_is_in_posterior_sds_where_rows_are(flat):
    """Each row lies in the area of its own z, but for a few beside an edge, which the grid draws as polygons."""
    em, posterior = flat
    p = em.parameters
    moved = dataclasses.replace(em, parameters=bg.MixtureParameters(p.weights, p.means + 3.0, p.covariances))
    ax, bar = plots.plot_density_difference(moved, posterior).axes
    X = posterior["observed_data"]["X"].values
    areas, points = ax.collections
    np.testing.assert_allclose(points.get_offsets(), X)
    assert bar.get_ylabel().endswith("in posterior standard deviations")
    z = bg.density_difference(moved, posterior)["z"].to_numpy()
    levels = np.array([-3, -2, -1, -0.5, 0.5, 1, 2, 3])
    np.testing.assert_array_equal(areas.levels, levels)
    expected = np.searchsorted(levels, z)  # below the first level is the first area
    assert len(set(expected)) > 3
    inside = np.array([path.contains_points(X) for path in areas.get_paths()])
    assert inside[expected, np.arange(len(X))].mean() > 0.9
    assert inside[expected + 1 - 2 * (expected > 3), np.arange(len(X))].mean() < 0.2  # the area beside it
