"""The features drawn by default separate the components best."""

import numpy as np
from helpers.figures import (
    case,
)

import bayesgmm as bg
from bayesgmm import plots
from bayesgmm.plots.selection import one_or_two_features


def test_of_many_features_the_two_that_part_the_components_are_drawn():
    means = np.array([[0, 0, 0, 9.0], [0, 1, 5, -9.0]])
    parameters = bg.MixtureParameters([0.5, 0.5], means, np.tile(np.eye(4), (2, 1, 1)))
    assert one_or_two_features(parameters, None) == [2, 3]
    assert one_or_two_features(parameters, ["x3", 0]) == [3, 0]
    em, posterior = case(2, 4)
    ax = plots.plot_labels(em, posterior, features=[3, "x1"]).axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x3", "x1")
