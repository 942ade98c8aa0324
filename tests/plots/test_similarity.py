"""`plot_similarity` draws the co-clustering probabilities and both partitions."""

import numpy as np
import pytest
from helpers.figures import (
    legend_texts,
)
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

import bayesgmm as bg
from bayesgmm import plots


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
