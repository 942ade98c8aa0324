"""`plot_iterations` and `animate_iterations` draw EM's path."""

from itertools import pairwise

import numpy as np
import pytest
from helpers.figures import (
    data,
    mixed_colors,
    responsibilities,
    weighted_densities,
)
from PIL import Image
from scipy.spatial.distance import mahalanobis

import bayesgmm as bg
from bayesgmm import plots


@pytest.fixture(scope="module")
def path():
    return bg.em_path(data(3, 2), 3, rng=1)


@pytest.fixture(scope="module")
def line():
    return bg.em_path(data(2, 1), 2, rng=1)


def test_rows_have_the_colours_of_their_responsibilities_at_each_iteration(path):
    shown = [0, 2, path.n_iterations]
    figure = plots.plot_iterations(path, iterations=shown)
    for ax, iteration in zip(figure.axes, shown, strict=False):
        points, mixture = ax.collections[0], path.parameters[iteration]
        np.testing.assert_array_equal(points.get_offsets(), path.rows.values)
        expected = mixed_colors(responsibilities(path.rows.values, mixture))
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
    colors = mixed_colors(responsibilities(line.rows.values[:, 0], mixture))
    np.testing.assert_allclose(ticks.get_colors()[:, :3], colors, atol=1e-6)


def test_of_more_features_two_are_drawn_and_responsibilities_are_of_all():
    path = bg.em_path(data(2, 3), 2, rng=1, max_iter=4)
    ax = plots.plot_iterations(path, iterations=[4], features=["x2", 0]).axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x2", "x0")
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), path.rows.values[:, [2, 0]])
    expected = mixed_colors(responsibilities(path.rows.values, path.parameters[4]))
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
        ({"iterations": [0] * 13}, "13 iterations are to be drawn; one figure holds at most 12"),
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
