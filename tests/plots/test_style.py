"""Components look different from each other, and the same in every figure."""

import numpy as np
from helpers.figures import (
    component_rings,
)
from matplotlib.colors import to_rgba

from bayesgmm import plots


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
    assert set(component_rings(fit)) == colors
    forest = plots.plot_comparison(comparison).axes[0]
    marks = [line for line in forest.lines if line.get_marker() not in ("None", "")]
    for mark, component in zip(marks, comparison.table["component"], strict=True):
        style = plots.component_style(component)
        assert (mark.get_color(), mark.get_marker()) == (style.color, style.marker)
