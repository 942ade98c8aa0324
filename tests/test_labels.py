"""Relabelling against brute force and planted permutations."""

from itertools import permutations

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import linear_sum_assignment
from scipy.stats import norm

import bayesgmm as bg
from bayesgmm.bayes import labels
from bayesgmm.bayes.diagnose import _label_free
from bayesgmm.bayes.labels import bhattacharyya_distances, label_costs
from bayesgmm.bayes.read import DIMS


@pytest.mark.parametrize("K", range(1, 7))
def test_the_assignment_is_the_best_of_all_permutations(K):
    rng = np.random.default_rng(K)
    reference = bg.datasets.simulate(10, K, 2, separation=1.0, rng=rng).parameters
    for _ in range(20):
        draw = bg.datasets.simulate(10, K, 2, separation=1.0, rng=rng).parameters
        cost = label_costs(reference, draw.weights[None], draw.means[None], draw.covariances[None])[0]
        best = min(sum(cost[j, p[j]] for j in range(K)) for p in permutations(range(K)))
        rows, columns = linear_sum_assignment(cost)
        assert cost[rows, columns].sum() == pytest.approx(best, abs=1e-12)


def test_the_cost_is_the_expected_complete_data_log_likelihood():
    """Against a mean over 400,000 rows of the reference: within 5 standard errors, once in 1e6 by chance."""
    rng = np.random.default_rng(0)
    reference = bg.datasets.simulate(10, 2, 2, rng=rng).parameters
    draw = bg.datasets.simulate(10, 2, 2, rng=rng).parameters
    cost = label_costs(reference, draw.weights[None], draw.means[None], draw.covariances[None])[0]
    for j in range(2):
        X = rng.multivariate_normal(reference.means[j], reference.covariances[j], 400_000)
        for k in range(2):
            one = bg.MixtureParameters([1.0], draw.means[k : k + 1], draw.covariances[k : k + 1])
            terms = -reference.weights[j] * (np.log(draw.weights[k]) + one.log_density(X))
            assert abs(terms.mean() - cost[j, k]) < 5 * terms.std() / np.sqrt(len(X))


def scramble(posterior, rng):
    """Every draw's components in an order of its own."""
    scrambled = posterior.copy(deep=True)
    draws = scrambled["posterior"].to_dataset()
    chains, n, K = draws["weights"].shape
    order = np.argsort(rng.random((chains, n, K)), axis=-1)
    for name, variable in draws.data_vars.items():
        index = order.reshape(chains, n, K, *(1,) * (variable.ndim - 3))
        scrambled["posterior"][name] = variable.copy(data=np.take_along_axis(variable.values, index, axis=2))
    return scrambled


def test_planted_permutations_are_undone_exactly(faithful_posterior, faithful_em):
    scrambled = scramble(faithful_posterior, np.random.default_rng(0))
    assert not np.array_equal(scrambled["posterior"]["means"], faithful_posterior["posterior"]["means"])
    restored = bg.align(scrambled, faithful_em.parameters)
    for name in faithful_posterior["posterior"].data_vars:
        np.testing.assert_array_equal(restored["posterior"][name], faithful_posterior["posterior"][name])


def test_label_free_quantities_do_not_move(faithful_posterior, faithful_em):
    scrambled = scramble(faithful_posterior, np.random.default_rng(1))
    before, names = _label_free(scrambled, scrambled["posterior"].to_dataset(), scrambled["sample_stats"].to_dataset())
    aligned = bg.align(scrambled, faithful_em.parameters)
    after, _ = _label_free(aligned, aligned["posterior"].to_dataset(), aligned["sample_stats"].to_dataset())
    assert names[0] == "log posterior"
    np.testing.assert_allclose(before, after, rtol=1e-13)


def test_the_input_is_left_as_it_was(faithful, faithful_em):
    posterior = bg.sample_posterior(faithful, 2, draws=50, rng=1, progress=False)
    before = posterior["posterior"]["means"].values.copy()
    bg.align(posterior, faithful_em.parameters.permute([1, 0]))
    np.testing.assert_array_equal(posterior["posterior"]["means"].values, before)
    assert posterior.attrs["aligned"] == 0


def test_labels_are_clear_for_separated_components_and_unclear_for_twins(faithful_posterior):
    assert faithful_posterior["sample_stats"]["label_clear"].values.all()
    X = np.random.default_rng(0).normal(size=(100, 1))
    em = bg.fit_em(X, 2, rng=1)
    twins = bg.align(bg.sample_posterior(X, 2, draws=300, rng=1, progress=False), em.parameters)
    assert twins["sample_stats"]["label_clear"].values.mean() < 0.8


def test_bhattacharyya_distance_is_minus_the_log_overlap():
    """Against quadrature of sqrt(p q) in one dimension."""
    reference = bg.MixtureParameters([0.5, 0.5], [[0.0], [1.0]], [[[1.0]], [[2.0]]])
    found = bhattacharyya_distances(reference, np.array([[[0.7], [-1.0]]]), np.array([[[[0.5]], [[3.0]]]]))
    x = np.linspace(-30, 30, 200_001)
    for j, (mean, variance) in enumerate([(0.0, 1.0), (1.0, 2.0)]):
        for k, (other, spread) in enumerate([(0.7, 0.5), (-1.0, 3.0)]):
            overlap = np.sqrt(norm.pdf(x, mean, variance**0.5) * norm.pdf(x, other, spread**0.5)).sum() * (x[1] - x[0])
            assert found[0, j, k] == pytest.approx(-np.log(overlap), abs=1e-9)


def test_a_reference_of_another_size_is_refused(faithful_posterior, iris):
    with pytest.raises(bg.InputError, match="3 components of 4 features; the posterior has 2 of 2"):
        bg.align(faithful_posterior, bg.fit_em(iris, 3, n_init=3, rng=1).parameters)


def planted(K, rng):
    """Draws near a reference of K components 8 apart, and the reference."""
    reference = bg.datasets.simulate(10, K, 3, separation=8.0, rng=rng).parameters
    shape = (2, 50)
    scale = np.exp(0.05 * rng.standard_normal((*shape, K, 1)))
    means = reference.means + 0.2 * rng.standard_normal((*shape, K, 3))
    stds = reference.stds * scale
    correlations = np.broadcast_to(reference.correlations, (*shape, K, 3, 3))
    values = {
        "weights": rng.dirichlet(200 * reference.weights, shape),
        "means": means,
        "stds": stds,
        "correlations": correlations,
        "covariances": correlations * stds[..., np.newaxis] * stds[..., np.newaxis, :],
    }
    dims = {name: ("chain", "draw", *DIMS[name]) for name in values}
    lp = rng.standard_normal(shape)
    return xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({name: (dims[name], value) for name, value in values.items()}),
            "sample_stats": xr.Dataset(
                dict.fromkeys(("lp", "total_log_likelihood", "energy"), (("chain", "draw"), lp))
            ),
        }
    ), reference


@pytest.mark.parametrize("K", range(1, 7))
def test_planted_permutations_of_up_to_six_components_are_undone_exactly(K):
    rng = np.random.default_rng(K)
    posterior, reference = planted(K, rng)
    restored = bg.align(scramble(posterior, rng), reference)
    for name in posterior["posterior"].data_vars:
        np.testing.assert_array_equal(restored["posterior"][name], posterior["posterior"][name])
    assert restored["sample_stats"]["label_clear"].values.all()


@pytest.mark.parametrize("K", [2, 6])
def test_relabelling_changes_no_bit_but_the_order(K):
    """Each draw keeps its components, bit for bit, and every statistic its values, also where labels are unclear."""
    rng = np.random.default_rng(K)
    posterior, _ = planted(K, rng)
    elsewhere = bg.datasets.simulate(10, K, 3, separation=0.5, rng=rng).parameters
    aligned = bg.align(posterior, elsewhere)
    order = aligned["sample_stats"]["label"].values
    assert (np.sort(order, axis=-1) == np.arange(K)).all()
    for name in posterior["posterior"].data_vars:
        before, after = (tree["posterior"][name].values for tree in (posterior, aligned))
        index = order.reshape(*order.shape, *(1,) * (before.ndim - 3))
        np.testing.assert_array_equal(np.take_along_axis(before, index, axis=2), after)
    for name in posterior["sample_stats"].data_vars:
        np.testing.assert_array_equal(aligned["sample_stats"][name], posterior["sample_stats"][name])


def test_an_assignment_of_the_worst_kind_would_be_noticed(monkeypatch):
    """The broken twin: each component given to the farthest of the reference's."""
    posterior, reference = planted(3, np.random.default_rng(1))
    costs = labels.label_costs
    monkeypatch.setattr(labels, "label_costs", lambda *arguments, **draws: -costs(*arguments, **draws))
    worst = bg.align(posterior, reference)
    assert (worst["posterior"]["means"].values != posterior["posterior"]["means"].values).any(axis=(2, 3)).all()
