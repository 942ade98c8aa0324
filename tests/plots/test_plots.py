"""The pictures hold what the numbers say."""

import dataclasses

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex, to_rgba
from scipy.spatial.distance import mahalanobis
from scipy.stats import norm

import bayesgmm as bg
from bayesgmm import plots
from bayesgmm.em.runs import Restart, Status


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def comparison(faithful_em, faithful_posterior):
    return bg.compare(faithful_em, faithful_posterior)


def posterior_near(em, X, covariance="full", n_chains=2, n_draws=30):
    """A posterior's shape and names without the sampling: EM's parameters and noise."""
    p, rng = em.parameters, np.random.default_rng(0)
    K, D = p.means.shape
    scale = np.exp(0.05 * rng.standard_normal((n_chains, n_draws, 1 if covariance == "tied" else K, 1, 1)))
    covariances = scale * p.covariances
    stds = np.sqrt(np.einsum("...ii->...i", covariances))
    mixture = ("chain", "draw", "component")
    draws = {
        "weights": (mixture, rng.dirichlet(500 * p.weights, (n_chains, n_draws))),
        "means": ((*mixture, "feature"), p.means + 0.05 * rng.standard_normal((n_chains, n_draws, K, D))),
        "stds": ((*mixture, "feature"), stds),
        "covariances": ((*mixture, "feature", "feature_other"), covariances),
        "correlations": (
            (*mixture, "feature", "feature_other"),
            covariances / (stds[..., :, np.newaxis] * stds[..., np.newaxis, :]),
        ),
    }
    names = list(p.features)
    coords = {"chain": range(n_chains), "draw": range(n_draws), "component": range(K)}
    coords |= {"feature": names, "feature_other": names}
    diverging = np.arange(n_chains * n_draws).reshape(n_chains, n_draws) == 7
    stats = xr.Dataset(
        {"diverging": (("chain", "draw"), diverging)}, {name: coords[name] for name in ("chain", "draw")}
    )
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(draws, coords),
            "sample_stats": stats,
            "observed_data": xr.Dataset({"X": (("row", "feature"), X)}),
        }
    )
    tree.attrs |= {"aligned": 1, "covariance": covariance}
    return tree


def simulated(K, D, covariance="full", features=()):
    X, _, mixture = bg.datasets.simulate(300, K, D, separation=6, rng=1)
    em = bg.fit_em(X, K, covariance, start=mixture, max_iter=3)
    em = dataclasses.replace(em, parameters=dataclasses.replace(em.parameters, features=features))
    return em, posterior_near(em, X, covariance)


def legend_texts(holder):
    legends = [holder.get_legend()] if hasattr(holder, "get_legend") else holder.legends
    return [text.get_text() for legend in legends for text in legend.get_texts()]


def em_ellipses(ax):
    """Line of each component, by its colour."""
    lines = [line for line in ax.lines if len(line.get_xdata()) > 1 and to_hex(line.get_color()) != "#ffffff"]
    return {to_hex(line.get_color()).upper(): line for line in lines}


def radii(points, mean, covariance):
    inverse = np.linalg.inv(covariance)
    return [mahalanobis(point, mean, inverse) for point in points]


# The look of a component


def test_components_look_different_and_never_yellow():
    styles = [plots.component_style(k) for k in range(252)]
    assert len(set(styles)) == 252
    assert len({style.color for style in styles[:7]}) == 7
    assert plots.component_style("all").color not in {style.color for style in styles}
    assert all(1.05 / (luminance(style.color) + 0.05) > 2 for style in styles)  # contrast with white (WCAG)


def luminance(color):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgba(color)[:3]]
    return np.dot(linear, [0.2126, 0.7152, 0.0722])


def test_a_component_has_one_colour_in_every_figure(faithful_em, faithful_posterior, comparison):
    colors = {plots.component_style(k).color for k in range(2)}
    fit = plots.plot_fit(faithful_em, faithful_posterior).axes[0]
    assert set(em_ellipses(fit)) == colors
    forest = plots.plot_comparison(comparison).axes[0]
    marks = [line for line in forest.lines if line.get_marker() not in ("None", "")]
    for mark, component in zip(marks, comparison.table["component"], strict=True):
        style = plots.component_style(component)
        assert (mark.get_color(), mark.get_marker()) == (style.color, style.marker)


# plot_fit


def test_ellipses_are_two_standard_deviations_from_the_mean(faithful_em, faithful_posterior):
    ax = plots.plot_fit(faithful_em, faithful_posterior, n_draws=25).axes[0]
    p, draws = faithful_em.parameters, faithful_posterior["posterior"].to_dataset()
    bundles = [collection for collection in ax.collections if isinstance(collection, LineCollection)]
    for k, bundle in enumerate(bundles):
        line = em_ellipses(ax)[plots.component_style(k).color]
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


# plot_comparison


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


# The sampling


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


def test_names_that_the_posterior_does_not_have_and_too_many_panels_are_refused(faithful_posterior):
    with pytest.raises(bg.errors.InputError, match="parameters must be a list of names among weights, means"):
        plots.plot_trace(faithful_posterior, parameters=["mean"])
    with pytest.raises(bg.errors.InputError, match="parameters must be a list"):
        plots.plot_rank(faithful_posterior, parameters="means")
    with pytest.raises(bg.errors.InputError, match="features must be a list of names among eruptions, waiting"):
        plots.plot_rank(faithful_posterior, features=["x0"])
    _, posterior = simulated(9, 14)
    with pytest.raises(bg.errors.InputError, match="135 numbers are to be drawn; one picture holds at most 120"):
        plots.plot_rank(posterior)


def test_the_energy_plot_shows_the_diagnosed_fractions(faithful_nuts):
    fractions = plots.plot_energy(faithful_nuts).axes[0]
    np.testing.assert_allclose(fractions.collections[0].get_offsets()[:, 0], bg.diagnose(faithful_nuts).bfmi)


# plot_convergence


def runs(ax):
    return [line for line in ax.lines if len(line.get_xdata()) > 1]


def test_every_run_is_drawn_by_its_distance_from_the_best(faithful_em):
    ax = plots.plot_convergence(faithful_em).axes[0]
    best = max(runs(ax), key=lambda line: line.get_linewidth())
    np.testing.assert_allclose(best.get_ydata(), np.maximum(faithful_em.log_likelihood - faithful_em.history, 1e-8))
    drawn = sorted(tuple(line.get_ydata()) for line in runs(ax))
    expected = [np.maximum(faithful_em.log_likelihood - run.history, 1e-8) for run in faithful_em.restarts]
    assert drawn == sorted(map(tuple, expected))
    overtaken = sum(run.status is Status.OVERTAKEN for run in faithful_em.restarts)
    assert f"{overtaken} overtaken" in legend_texts(ax)
    assert "log-likelihood" in ax.get_ylabel()


def test_ends_of_runs_tell_how_they_ended(faithful_em):
    best = Restart("given", Status.CONVERGED, faithful_em.history)
    others = (
        Restart("random", Status.COLLAPSED, np.array([-1300.0, -1200.0, -900.0])),  # past the best, to infinity
        Restart("random", Status.MAX_ITER, np.linspace(-1300, -1200, 500)),
        Restart("random", Status.CONVERGED, np.array([-1250.0, -1200.0])),
    )
    em = dataclasses.replace(faithful_em, restarts=(best, *others))
    ax = plots.plot_convergence(em).axes[0]
    assert [text.split("\n")[0] for text in legend_texts(ax)] == [
        "best of 4: -1,130.264,",
        "1 stopped at max_iter",
        "1 more converged",
        "1 collapsed",
    ]
    markers = {line.get_marker() for line in ax.lines if len(line.get_xdata()) == 1}
    assert markers == {"o", "s", "X"}
    assert ax.get_xscale() == "symlog"  # 500 iterations beside 2


def test_runs_on_a_sample_of_the_rows_are_counted_and_not_drawn():
    em = bg.fit_em(bg.datasets.simulate(20_000, 2, 2, rng=1).X, 2, n_init=5, rng=1)
    ax = plots.plot_convergence(em).axes[0]
    finished = [run for run in em.restarts if run.status is Status.CONVERGED]
    assert len(runs(ax)) == len(finished) == 3
    assert any("2 overtaken,\nnot drawn" in text for text in legend_texts(ax))


# All of them


def test_axes_that_are_given_are_drawn_in_and_nothing_else_changes(
    faithful_em, faithful_posterior, faithful_nuts, comparison
):
    figure, axes = plt.subplots(1, 4)
    outer = plt.figure()
    inner = outer.subfigures(1, 2)[0].subplots()
    before, settings = plt.get_fignums(), dict(mpl.rcParams)
    assert plots.plot_fit(faithful_em, faithful_posterior, ax=axes[0]) is figure
    assert plots.plot_fit(faithful_em, faithful_posterior, features=[1], ax=axes[1]) is figure
    assert plots.plot_comparison(comparison, ax=axes[2]) is figure
    assert plots.plot_convergence(faithful_em, ax=axes[3]) is figure
    assert plots.plot_convergence(faithful_em, ax=inner) is outer
    assert plt.get_fignums() == before
    for plot in (plots.plot_trace, plots.plot_rank):
        plot(faithful_posterior)
    plots.plot_energy(faithful_nuts)
    assert len(plt.get_fignums()) == len(before) + 3
    assert dict(mpl.rcParams) == settings


def test_figures_can_be_saved_without_a_warning(faithful_em, faithful_posterior, faithful_nuts, comparison, tmp_path):
    figures = [
        plots.plot_fit(faithful_em, faithful_posterior),
        plots.plot_fit(*simulated(9, 3)),
        plots.plot_comparison(comparison),
        plots.plot_trace(faithful_posterior),
        plots.plot_rank(faithful_posterior),
        plots.plot_energy(faithful_nuts),
        plots.plot_convergence(faithful_em),
    ]
    for figure in figures:
        figure.savefig(tmp_path / "figure.png")


def test_names_of_features_are_not_read_as_mathematics(comparison, tmp_path):
    em, posterior = simulated(2, 3, features=("$\\wrong$", "a_$^$", "cost ($), gain ($)"))
    table = comparison.table.assign(feature="$^$")
    for figure in (
        plots.plot_fit(em, posterior),
        plots.plot_fit(em, posterior, features=[0, 1]),
        plots.plot_fit(em, posterior, features=[2]),
        plots.plot_trace(posterior, parameters=["correlations"]),
        plots.plot_comparison(dataclasses.replace(comparison, table=table)),
    ):
        figure.savefig(tmp_path / "figure.png")
