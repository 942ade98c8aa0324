"""`plot_density` draws the densities of two fits on the same axes."""

import numpy as np
import pytest
from helpers.figures import (
    data,
    legend_texts,
    weighted_densities,
)
from scipy.stats import multivariate_normal, norm
from sklearn.mixture import GaussianMixture

import bayesgmm as bg
from bayesgmm import plots


@pytest.fixture(scope="module")
def line():
    return bg.em_path(data(2, 1), 2, rng=1)


def test_contours_are_of_the_same_levels_and_in_the_right_place():
    X = data(3, 2)
    em = bg.fit_em(X, 3, rng=1, n_init=5)
    left, right, bar = plots.plot_density(em, bg.fit_em(X, 1)).axes
    levels = left.collections[0].levels
    np.testing.assert_array_equal(levels, right.collections[0].levels)
    np.testing.assert_allclose(levels[1:] / levels[:-1], 2)
    assert left.get_xlim() == right.get_xlim() and left.get_ylim() == right.get_ylim()
    single = multivariate_normal(X.mean(axis=0), np.cov(X.T, bias=True)).pdf(X)
    for ax, density in ((left, weighted_densities(X, em.parameters).sum(axis=1)), (right, single)):
        inside = np.array([area.contains_points(X) for area in ax.collections[0].get_paths()])
        at = np.searchsorted(levels, density) - 1
        drawn = (at >= 0) & (at < len(levels) - 1)
        assert drawn.mean() > 0.9
        assert inside[at[drawn], np.flatnonzero(drawn)].mean() > 0.9
    assert bar.get_ylabel() == "density per unit of\nx0 x x1"


def test_titles_hold_the_log_likelihood_and_bic_of_both(line):
    X = line.rows.values
    left, right = plots.plot_density(bg.fit_em(X, 2, start=line.parameters[-1]), bg.fit_em(X, 1)).axes
    one = norm(X.mean(), X.std()).logpdf(X).sum()
    bic = GaussianMixture(1, reg_covar=0).fit(X).bic(X)
    assert right.get_title() == f"one Gaussian\nlog-likelihood {one:,.1f}, BIC {bic:,.1f}"
    assert left.get_title().startswith(f"2 components\nlog-likelihood {line.history[-1]:,.1f}, BIC ")


def test_the_density_of_one_feature_beside_a_single_gaussians(line):
    X = line.rows.values
    em = bg.fit_em(X, 2, start=line.parameters[-1])
    left, right = plots.plot_density(em, bg.fit_em(X, 1)).axes
    grid = left.lines[0].get_xdata()
    expected = weighted_densities(grid, em.parameters)
    np.testing.assert_allclose(left.lines[0].get_ydata(), expected.sum(axis=1))
    np.testing.assert_allclose([component.get_ydata() for component in left.lines[1:]], expected.T)
    np.testing.assert_allclose(right.lines[0].get_ydata(), norm(X.mean(), X.std()).pdf(grid), rtol=1e-9)
    assert sum(bar.get_height() * bar.get_width() for bar in left.patches) == pytest.approx(1)
    assert len(right.lines) == 1


def test_a_density_of_some_features_is_the_marginal_and_says_so():
    X = data(2, 3)
    em = bg.fit_em(X, 2, rng=1, n_init=3)
    left, _ = plots.plot_density(em, bg.fit_em(X, 1), features=["x1"]).axes
    grid, density = left.lines[0].get_data()
    np.testing.assert_allclose(density, weighted_densities(grid, em.parameters.marginal(["x1"])).sum(axis=1))
    assert left.get_title().endswith("(all 3 features)")


def test_weights_count_in_the_histogram_and_in_the_single_gaussian():
    X, weights = data(2, 1)[:, 0], np.random.default_rng(1).integers(1, 4, 120)
    em = bg.fit_em(X, 2, rng=1, n_init=3, sample_weight=weights)
    left, right = plots.plot_density(em, bg.fit_em(X, 1, sample_weight=weights)).axes
    repeated = np.repeat(X, weights)
    grid, density = right.lines[0].get_data()
    np.testing.assert_allclose(density, norm(repeated.mean(), repeated.std()).pdf(grid), rtol=1e-9)
    edges = [bar.get_x() for bar in left.patches] + [left.patches[-1].get_x() + left.patches[-1].get_width()]
    expected = np.histogram(repeated, edges, density=True)[0]
    np.testing.assert_allclose([bar.get_height() for bar in left.patches], expected, atol=0.02)
    assert "histogram of 120 rows, by weight" in legend_texts(left.figure)


def test_a_fit_without_its_rows_has_no_density_to_draw():
    em = bg.results.EMFit.from_dict(bg.fit_em(data(2, 1), 2, rng=1, n_init=2).to_dict())
    with pytest.raises(bg.errors.InputError, match=r"has no rows.*with_rows"):
        plots.plot_density(em, em)


def test_two_fits_of_more_components_have_one_legend():
    X = data(3, 2)
    em, other = (bg.fit_em(X, K, rng=1, n_init=3) for K in (2, 3))
    figure = plots.plot_density(em, other)
    assert [ax.get_title().split("\n")[0] for ax in figure.axes[:2]] == ["2 components", "3 components"]
    assert legend_texts(figure)[1:] == [f"mean of component {k}" for k in range(3)]


def test_a_fit_of_other_rows_is_refused():
    X = data(2, 2)
    em = bg.fit_em(X, 2, rng=1, n_init=2)
    with pytest.raises(bg.errors.InputError, match="other was fitted to 60 rows of x0, x1; em was fitted to 120 rows"):
        plots.plot_density(em, bg.fit_em(X[:60], 1))
    with pytest.raises(bg.errors.InputError, match="Fit both to the same rows"):
        plots.plot_density(em, bg.fit_em(X[:, 0], 1))
