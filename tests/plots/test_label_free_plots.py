"""The pictures of labels, partitions and densities hold what the numbers say."""

import dataclasses

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from helpers.posteriors import em_claiming, posterior_of, similar_draws
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

import bayesgmm as bg
from bayesgmm import plots
from bayesgmm.plots.selection import one_or_two


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def case(K, D, N=80, features=()):
    rng = np.random.default_rng(K + 10 * D)
    draws = similar_draws(30, K, D, rng, spread=0.3)
    parameters = bg.MixtureParameters(*(array.mean(axis=0) for array in draws), features=features)
    X = parameters.sample(N, rng=1)[0]
    posterior = posterior_of(*draws, X)
    if features:
        for node in ("posterior", "observed_data"):
            dataset = posterior[node].to_dataset()
            posterior[node] = dataset.assign_coords({d: list(features) for d in dataset.dims if "feature" in d})
    return em_claiming(parameters, X), posterior


@pytest.fixture(scope="module")
def flat():
    return case(3, 2)


@pytest.fixture(scope="module")
def line():
    return case(3, 1)


@pytest.fixture(scope="module")
def partition(flat):
    return bg.point_partition(flat[1], rng=1)


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# plot_labels


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
        assert (mine["em_label"] == k).all()
        p = mine["p_wrong"].to_numpy()
        assert (np.diff(p) >= 0).all()  # the least sure are drawn last
        assert (np.diff(marks.get_sizes()) >= 0).all()
        assert (np.diff(marks.get_facecolors()[:, 3]) >= 0).all()
        widths = np.asarray(marks.get_linewidths())
        np.testing.assert_array_equal(widths > 1, p > 0.5)
    assert f"expected number labelled\nwrongly: {table['p_wrong'].sum():.3g}" in legend_texts(ax)
    assert "80 rows, by EM's label:" in legend_texts(ax)


def test_of_one_feature_probabilities_and_intervals_are_drawn(line):
    em, posterior = line
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


def test_of_many_features_the_two_that_part_the_components_are_drawn():
    means = np.array([[0, 0, 0, 9.0], [0, 1, 5, -9.0]])
    parameters = bg.MixtureParameters([0.5, 0.5], means, np.tile(np.eye(4), (2, 1, 1)))
    assert one_or_two(parameters, None) == [2, 3]
    assert one_or_two(parameters, ["x3", 0]) == [3, 0]
    em, posterior = case(2, 4)
    ax = plots.plot_labels(em, posterior, features=[3, "x1"]).axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x3", "x1")


# plot_similarity


def test_the_matrix_is_ordered_by_the_partition_and_its_blocks_are_outlined(flat, partition):
    em, posterior = flat
    ax = plots.plot_similarity(em, posterior, partition).axes[0]
    shown = ax.images[0].get_array()
    assert sorted(shown.ravel()) == sorted(partition.co_clustering.probabilities.ravel())
    blocks = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    sizes = np.bincount(partition.labels)
    assert [(block.get_width(), block.get_height()) for block in blocks] == [(n, n) for n in sizes]
    edges = np.cumsum([0, *sizes])
    for begin, end, cluster in zip(edges[:-1], edges[1:], range(len(sizes)), strict=True):
        members = np.flatnonzero(partition.labels == cluster)
        within = partition.co_clustering.probabilities[np.ix_(members, members)]
        assert sorted(shown[begin:end, begin:end].ravel()) == sorted(within.ravel())
    assert (shown == shown.T).all()


def test_strips_are_ems_labels_in_ems_colours(flat, partition):
    em, posterior = flat
    ax = plots.plot_similarity(em, posterior, partition).axes[0]
    labels = em.parameters.predict(posterior["observed_data"]["X"].values)
    strips = [inset.images[0] for inset in ax.child_axes if inset.images and inset.images[0].get_array().size == 80]
    assert len(strips) == 2
    for strip in strips:
        colors = [to_hex(color).upper() for color in strip.to_rgba(strip.get_array()).reshape(-1, 4)]
        expected = sorted(plots.component_style(k).color for k in labels)
        assert sorted(colors) == expected
    assert f"component {em.parameters.n_components - 1}" in legend_texts(ax)


def test_a_partition_of_other_rows_is_refused(flat, partition):
    em, posterior = flat
    other = bg.point_partition(posterior, posterior["observed_data"]["X"].values[:50], rng=1)
    with pytest.raises(bg.errors.InputError, match="partition is of 50 rows, the posterior of 80"):
        plots.plot_similarity(em, posterior, other)


def test_rows_left_out_of_the_partition_are_said(flat):
    em, posterior = flat
    some = bg.point_partition(posterior, max_rows=30, rng=1)
    ax = plots.plot_similarity(em, posterior, some).axes[0]
    assert ax.images[0].get_array().shape == (30, 30)
    assert any("30 of the 80 rows" in text for text in legend_texts(ax))


# plot_density_difference


def test_densities_of_one_feature_and_their_difference(line):
    em, posterior = line
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


# All of them


def test_what_cannot_be_drawn_is_refused(flat, line):
    em, posterior = flat
    for plot in (plots.plot_labels, plots.plot_density_difference):
        with pytest.raises(bg.errors.InputError, match="features must be a list of one or two"):
            plot(em, posterior, features=[0, 1, 1])
        with pytest.raises(bg.errors.InputError, match="features must be a list of one or two"):
            plot(em, posterior, features="x0")
        with pytest.raises(bg.errors.InputError, match="There is no feature 'y'"):
            plot(em, posterior, features=["y"])
        with pytest.raises(bg.errors.InputError, match="ci_prob"):
            plot(em, posterior, ci_prob=2)
    with pytest.raises(bg.errors.InputError, match="ax holds one panel"):
        plots.plot_density_difference(*line, ax=plt.subplots()[1])
    unaligned = posterior.copy()
    unaligned.attrs["aligned"] = 0
    with pytest.raises(bg.errors.InputError, match="not aligned"):
        plots.plot_labels(em, unaligned)


def test_axes_that_are_given_are_drawn_in_and_nothing_else_changes(flat, line, partition):
    figure, axes = plt.subplots(1, 4)
    before, settings = plt.get_fignums(), dict(mpl.rcParams)
    assert plots.plot_labels(*flat, ax=axes[0]) is figure
    assert plots.plot_labels(*line, ax=axes[1]) is figure
    assert plots.plot_similarity(*flat, partition, ax=axes[2]) is figure
    assert plots.plot_density_difference(*flat, ax=axes[3]) is figure
    assert plt.get_fignums() == before
    assert dict(mpl.rcParams) == settings


def test_figures_can_be_saved_without_a_warning_whatever_the_features_are_called(tmp_path):
    em, posterior = case(2, 2, features=("$\\wrong$", "a_$^$"))
    for figure in (
        plots.plot_labels(em, posterior),
        plots.plot_labels(em, posterior, features=[0]),
        plots.plot_similarity(em, posterior, bg.point_partition(posterior, rng=1)),
        plots.plot_density_difference(em, posterior),
        plots.plot_density_difference(em, posterior, features=[1]),
    ):
        figure.savefig(tmp_path / "figure.png")


def test_old_faithful(faithful_em, faithful_posterior, tmp_path):
    partition = bg.point_partition(faithful_posterior, rng=1)
    plots.plot_labels(faithful_em, faithful_posterior).savefig(tmp_path / "labels.png")
    plots.plot_similarity(faithful_em, faithful_posterior, partition).savefig(tmp_path / "similarity.png")
    plots.plot_density_difference(faithful_em, faithful_posterior).savefig(tmp_path / "difference.png")
