"""The pictures of EM's iterations, of densities, of doubt and of the prior hold what the numbers say."""

from itertools import pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from helpers.posteriors import em_claiming, posterior_of, similar_draws
from matplotlib.colors import to_rgb
from PIL import Image
from scipy.spatial.distance import mahalanobis
from scipy.stats import beta, multivariate_normal, norm
from sklearn.mixture import GaussianMixture

import bayesgmm as bg
from bayesgmm import plots


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def data(K, D, N=120):
    return bg.datasets.simulate(N, K, D, separation=3, rng=2).X


@pytest.fixture(scope="module")
def path():
    return bg.em_path(data(3, 2), 3, rng=1)


@pytest.fixture(scope="module")
def line():
    return bg.em_path(data(2, 1), 2, rng=1)


def case(K=3, D=2, N=80):
    """A fit, a posterior that is around it, and its rows."""
    rng = np.random.default_rng(K + 10 * D)
    draws = similar_draws(40, K, D, rng, spread=0.3)
    parameters = bg.MixtureParameters(*(array.mean(axis=0) for array in draws))
    X = parameters.sample(N, rng=1)[0]
    posterior = posterior_of(*draws, X, chains=1)
    mixture = posterior["posterior"].to_dataset()
    stds = np.sqrt(np.einsum("...ii->...i", mixture["covariances"].values))
    correlations = mixture["covariances"].values / (stds[..., np.newaxis] * stds[..., np.newaxis, :])
    posterior["posterior"] = xr.DataTree(
        mixture.assign(
            stds=(mixture["means"].dims, stds), correlations=(mixture["covariances"].dims, correlations)
        ).assign_coords(component=range(K))
    )
    return em_claiming(parameters, X), posterior


@pytest.fixture(scope="module")
def flat():
    return case()


def weighted_densities(X, mixture):
    """(N, K), by SciPy."""
    return np.transpose(
        [
            w * multivariate_normal(mean, covariance).pdf(X)
            for w, mean, covariance in zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
        ]
    )


def responsibilities(X, mixture):
    densities = weighted_densities(X, mixture)
    return densities / densities.sum(axis=1, keepdims=True)


def mixed(probabilities):
    """Colours of rows, the components' mixed."""
    return probabilities @ [to_rgb(plots.component_style(k).color) for k in range(probabilities.shape[1])]


def legend_texts(holder):
    return [text.get_text() for legend in holder.legends for text in legend.get_texts()]


# plot_iterations and animate_iterations


def test_rows_have_the_colours_of_their_responsibilities_at_each_iteration(path):
    shown = [0, 2, path.n_iterations]
    figure = plots.plot_iterations(path, iterations=shown)
    for ax, iteration in zip(figure.axes, shown, strict=False):
        points, mixture = ax.collections[0], path.parameters[iteration]
        np.testing.assert_array_equal(points.get_offsets(), path.rows.values)
        expected = mixed(responsibilities(path.rows.values, mixture))
        np.testing.assert_allclose(points.get_facecolors()[:, :3], expected, atol=1e-6)
        rings = [line for line in ax.lines if len(line.get_xdata()) > 1 and line.get_color() != "white"]
        for k, ring in enumerate(rings):
            assert ring.get_color() == plots.component_style(k).color
            inverse = np.linalg.inv(mixture.covariances[k])
            radii = [mahalanobis(point, mixture.means[k], inverse) for point in ring.get_xydata()]
            np.testing.assert_allclose(radii, 2)
        assert len(rings) == 3
        assert ax.get_title().endswith(f": log-likelihood {path.history[iteration]:,.2f}")
    assert [ax.get_title().split(":")[0] for ax in figure.axes[:3]] == [
        "start",
        "iteration 2",
        f"iteration {path.n_iterations}",
    ]


def test_the_climb_is_drawn_and_the_iterations_shown_are_marked(path):
    curve = plots.plot_iterations(path).axes[6]
    climb, marks = curve.lines
    np.testing.assert_array_equal(climb.get_ydata(), path.history)
    shown = list(marks.get_xdata())
    assert len(shown) == len(set(shown)) == 6
    assert (shown[0], shown[-1]) == (0, path.n_iterations)
    np.testing.assert_array_equal(marks.get_ydata(), path.history[shown])
    assert curve.get_xlabel() == f"iteration (converged after {path.n_iterations})"


def test_a_short_path_is_drawn_whole():
    short = bg.em_path(data(3, 2), 3, rng=1, max_iter=3)
    figure = plots.plot_iterations(short)
    assert [ax.get_title().split(":")[0] for ax in figure.axes[:4]] == ["start", *(f"iteration {i}" for i in (1, 2, 3))]
    assert "stopped at max_iter after 3" in figure.axes[4].get_xlabel()


def test_one_feature_is_drawn_as_curves_with_coloured_ticks(line):
    ax = plots.plot_iterations(line, iterations=[1]).axes[0]
    mixture = line.parameters[1]
    density, *components = ax.lines
    grid = density.get_xdata()
    expected = weighted_densities(grid, mixture)
    np.testing.assert_allclose(density.get_ydata(), expected.sum(axis=1))
    np.testing.assert_allclose([each.get_ydata() for each in components], expected.T)
    ticks = ax.collections[0]
    np.testing.assert_array_equal([segment[0, 0] for segment in ticks.get_segments()], line.rows.values[:, 0])
    colors = mixed(responsibilities(line.rows.values[:, 0], mixture))
    np.testing.assert_allclose(ticks.get_colors()[:, :3], colors, atol=1e-6)


def test_of_more_features_two_are_drawn_and_responsibilities_are_of_all():
    path = bg.em_path(data(2, 3), 2, rng=1, max_iter=4)
    ax = plots.plot_iterations(path, iterations=[4], features=["x2", 0]).axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x2", "x0")
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), path.rows.values[:, [2, 0]])
    expected = mixed(responsibilities(path.rows.values, path.parameters[4]))
    np.testing.assert_allclose(ax.collections[0].get_facecolors()[:, :3], expected, atol=1e-6)


def test_weights_are_areas():
    weights = np.random.default_rng(1).uniform(0.5, 2, 120)
    path = bg.em_path(data(2, 2), 2, rng=1, sample_weight=weights, max_iter=2)
    figure = plots.plot_iterations(path)
    sizes = figure.axes[0].collections[0].get_sizes()
    np.testing.assert_allclose(sizes / sizes.sum(), weights / weights.sum())
    texts = [text.get_text() for text in figure.axes[-1].get_legend().get_texts()]
    assert texts[0].startswith("120 rows (area: weight)")


def test_an_animation_is_a_small_gif_with_a_frame_an_iteration(path, tmp_path):
    animation = plots.animate_iterations(path, iterations=[0, 1, 2, 5], interval=250)
    animation.save(tmp_path / "em.gif", writer="pillow", dpi=50)
    with Image.open(tmp_path / "em.gif") as gif:
        assert gif.n_frames == 4
        frames = []
        for at in range(4):
            gif.seek(at)
            assert gif.info["duration"] == 250
            frames.append(np.asarray(gif.convert("RGB")))
    assert all((one != other).any() for one, other in pairwise(frames))
    assert (tmp_path / "em.gif").stat().st_size < 200_000


def test_an_animation_draws_every_iteration(tmp_path):
    animation = plots.animate_iterations(bg.em_path(data(2, 2), 2, rng=1, max_iter=4))
    assert list(animation.new_frame_seq()) == [0, 1, 2, 3, 4]
    animation.save(tmp_path / "em.gif", writer="pillow", dpi=20)  # one that is never drawn warns


def test_of_a_long_path_an_animation_draws_forty_different_iterations(tmp_path):
    long = bg.em_path(data(2, 2), 4, rng=1, tol=1e-9)
    assert long.n_iterations > 60
    animation = plots.animate_iterations(long)
    frames = list(animation.new_frame_seq())
    assert (frames[0], frames[-1]) == (0, long.n_iterations)
    assert len(frames) == len(set(frames)) == 40
    assert frames == sorted(frames)
    animation._draw_was_started = True  # it is not drawn, and would warn


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": []}, "at least one of 0 to"),
        ({"iterations": [0, 10_000]}, "the last of this path; received"),
        ({"iterations": [-1]}, "each of iterations must be a whole number"),
        ({"iterations": [0] * 13}, "13 iterations are to be drawn; one picture holds at most 12"),
        ({"features": ["x9"]}, "There is no feature 'x9'"),
        ({"features": [0, 1, 2]}, "features must be a list of one or two"),
    ],
)
def test_iterations_that_cannot_be_drawn_are_refused(path, options, message):
    with pytest.raises(bg.errors.InputError, match=message):
        plots.plot_iterations(path, **options)


def test_an_animation_of_no_time_is_refused(path):
    with pytest.raises(bg.errors.InputError, match="interval must be"):
        plots.animate_iterations(path, interval=0)


# plot_density


def test_contours_are_of_the_same_levels_and_in_the_right_place():
    X = data(3, 2)
    em = bg.fit_em(X, 3, rng=1, n_init=5)
    left, right, bar = plots.plot_density(em).axes
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
    left, right = plots.plot_density(bg.fit_em(X, 2, start=line.parameters[-1])).axes
    one = norm(X.mean(), X.std()).logpdf(X).sum()
    bic = GaussianMixture(1, reg_covar=0).fit(X).bic(X)
    assert right.get_title() == f"one Gaussian\nlog-likelihood {one:,.1f}, BIC {bic:,.1f}"
    assert left.get_title().startswith(f"2 components\nlog-likelihood {line.history[-1]:,.1f}, BIC ")


def test_the_density_of_one_feature_beside_a_single_gaussians(line):
    X = line.rows.values
    em = bg.fit_em(X, 2, start=line.parameters[-1])
    left, right = plots.plot_density(em).axes
    grid = left.lines[0].get_xdata()
    expected = weighted_densities(grid, em.parameters)
    np.testing.assert_allclose(left.lines[0].get_ydata(), expected.sum(axis=1))
    np.testing.assert_allclose([each.get_ydata() for each in left.lines[1:]], expected.T)
    np.testing.assert_allclose(right.lines[0].get_ydata(), norm(X.mean(), X.std()).pdf(grid), rtol=1e-9)
    assert sum(bar.get_height() * bar.get_width() for bar in left.patches) == pytest.approx(1)
    assert len(right.lines) == 1


def test_a_density_of_some_features_is_the_marginal_and_says_so():
    em = bg.fit_em(data(2, 3), 2, rng=1, n_init=3)
    left, _ = plots.plot_density(em, features=["x1"]).axes
    grid, density = left.lines[0].get_data()
    np.testing.assert_allclose(density, weighted_densities(grid, em.parameters.marginal(["x1"])).sum(axis=1))
    assert left.get_title().endswith("(all 3 features)")


def test_weights_count_in_the_histogram_and_in_the_single_gaussian():
    X, weights = data(2, 1)[:, 0], np.random.default_rng(1).integers(1, 4, 120)
    em = bg.fit_em(X, 2, rng=1, n_init=3, sample_weight=weights)
    left, right = plots.plot_density(em).axes
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
        plots.plot_density(em)


# plot_uncertainty


def test_colours_are_the_doubt_of_em_and_of_the_posterior(flat):
    em, posterior = flat
    left, right, bar = plots.plot_uncertainty(em, posterior).axes
    X = posterior["observed_data"]["X"].values
    draws = posterior["posterior"].to_dataset()
    of_draws = [
        responsibilities(
            X, bg.MixtureParameters(*(draws[name].values[0, s] for name in ("weights", "means", "covariances")))
        )
        for s in range(draws.sizes["draw"])
    ]
    for name, ax, found in (
        ("EM", left, responsibilities(X, em.parameters)),
        ("posterior", right, np.mean(of_draws, axis=0)),
    ):
        doubt, labels = 1 - found.max(axis=1), found.argmax(axis=1)
        assert sum(len(marks.get_offsets()) for marks in ax.collections) == len(X)
        for k, marks in zip(np.unique(labels), ax.collections, strict=True):
            rows = [int(np.flatnonzero((at == X).all(axis=1))[0]) for at in marks.get_offsets().data]
            assert (labels[rows] == k).all()
            np.testing.assert_allclose(marks.get_array(), doubt[rows], atol=1e-12)
            assert (np.diff(marks.get_array()) >= 0).all()  # the least sure on top
            assert marks.get_clim() == (0, pytest.approx(2 / 3))
        assert ax.get_title() == f"{name}\n{doubt.sum():.1f} of 80 rows expected to be labelled wrongly"
    assert bar.get_ylabel() == "1 - probability of the\nmost probable component"


def test_of_one_feature_the_height_is_the_doubt():
    em, posterior = case(2, 1)
    left, *_ = plots.plot_uncertainty(em, posterior).axes
    drawn = {tuple(at) for marks in left.collections for at in marks.get_offsets().data}
    X = posterior["observed_data"]["X"].values
    doubt = 1 - em.parameters.responsibilities(X).max(axis=1)
    assert drawn == set(zip(X[:, 0], doubt, strict=True))


def test_doubt_needs_labels_and_the_fits_components(flat):
    em, posterior = flat
    raw = posterior.copy()
    raw.attrs["aligned"] = 0
    with pytest.raises(bg.errors.InputError, match="not aligned"):
        plots.plot_uncertainty(em, raw)
    with pytest.raises(bg.errors.InputError, match="the posterior has 3 of 2"):
        plots.plot_uncertainty(case(2, 2)[0], posterior)


# plot_prior

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
    with pytest.raises(bg.errors.InputError, match="54 panels are to be drawn; one picture holds at most 40"):
        plots.plot_prior(many, bg.Prior(0.0, 1.0, bg.priors.LogNormal(1.0)))


# All of them


def test_figures_are_saved_without_a_warning_whatever_the_features_are_called(tmp_path):
    features = ("$\\wrong$", "a_$^$")
    em, posterior = case(2, 2)
    X = posterior["observed_data"]["X"].values
    names = {"feature": list(features)}
    posterior["posterior"] = (
        posterior["posterior"].to_dataset().assign_coords(names | {"feature_other": list(features)})
    )
    posterior["observed_data"] = posterior["observed_data"].to_dataset().assign_coords(names)
    mixture = bg.MixtureParameters(em.parameters.weights, em.parameters.means, em.parameters.covariances, features)
    path, fitted = bg.em_path(X, 2, start=mixture, max_iter=3), bg.fit_em(X, 2, start=mixture)
    settings = dict(mpl.rcParams)
    for number, figure in enumerate(
        (
            plots.plot_iterations(path),
            plots.plot_iterations(path, features=[1]),
            plots.plot_density(fitted),
            plots.plot_density(fitted, features=[1]),
            plots.plot_uncertainty(em_claiming(mixture, X), posterior),
            plots.plot_prior(posterior, PRIOR),
        )
    ):
        figure.savefig(tmp_path / f"{number}.png", dpi=40)
    assert dict(mpl.rcParams) == settings
