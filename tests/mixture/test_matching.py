"""Matching of components: assignments, permutations, equal mixtures, and rows made from noise."""

from itertools import permutations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from bayesgmm.mixture.matching import (
    MixtureArrays,
    are_permutations,
    best_assignments,
    equal_components,
    same_mixture,
)
from bayesgmm.mixture.random_rows import rows_from_noise


@pytest.mark.parametrize("K", [1, 2, 4])
def test_the_best_assignment_is_the_best_of_all_permutations(K):
    costs = np.random.default_rng(K).normal(size=(20, K, K))
    labels = best_assignments(costs)
    for cost, label in zip(costs, labels, strict=True):
        totals = {order: cost[np.arange(K), list(order)].sum() for order in permutations(range(K))}
        assert tuple(label) == min(totals, key=totals.get)


def test_no_draws_have_no_assignments():
    assert best_assignments(np.empty((0, 3, 3))).shape == (0, 3)


def test_labels_are_a_permutation_when_each_occurs_once():
    labels = np.array([[0, 1, 2], [2, 0, 1], [0, 0, 2], [1, 1, 1], [0, 1, 3]])
    assert are_permutations(labels).tolist() == [True, True, False, False, False]


def test_a_mixture_equals_itself_in_any_order_and_no_other():
    rng = np.random.default_rng(0)
    mixture = MixtureArrays(np.array([0.2, 0.3, 0.5]), rng.normal(size=(3, 2)) * 5, np.stack([np.eye(2)] * 3))
    stds = np.array([5.0, 5.0])
    for order in permutations(range(3)):
        moved = MixtureArrays(*(array[list(order)] for array in mixture))
        assert same_mixture(mixture, moved, stds)
        assert_array_equal(equal_components(mixture, moved, stds).argmax(axis=0), order)
    assert not same_mixture(mixture, mixture._replace(weights=np.array([0.3, 0.2, 0.5])), stds)
    assert not same_mixture(mixture, mixture._replace(means=mixture.means + 0.06), stds)
    assert same_mixture(mixture, mixture._replace(means=mixture.means + 0.04), stds)


def test_rows_from_noise_are_mean_plus_factor_times_noise():
    rng = np.random.default_rng(0)
    means, noise = rng.normal(size=(7, 3)), rng.normal(size=(7, 3))
    choleskys = np.tril(rng.normal(size=(7, 3, 3)))
    expected = [m + L @ z for m, L, z in zip(means, choleskys, noise, strict=True)]
    assert_allclose(rows_from_noise(means, choleskys, noise), expected, rtol=1e-13)
