"""EM's labels against the posterior: against SciPy and whole matrices."""

import numpy as np
import pytest
from helpers.posteriors import em_claiming, permuted, posterior_of, similar_draws
from scipy.stats import multivariate_normal
from sklearn.metrics import adjusted_rand_score

import bayesgmm as bg


@pytest.fixture(scope="module")
def case():
    """30 draws, 60 rows, and EM's fit at the draws' average: labels are clear, rows between components are not."""
    rng = np.random.default_rng(21)
    draws = similar_draws(30, 3, 2, rng, spread=0.3)
    parameters = bg.MixtureParameters(*(array.mean(axis=0) for array in draws))
    X, truth = parameters.sample(60, rng=2)
    return em_claiming(parameters, X), draws, X, truth


def responsibilities(X, weights, means, covariances):
    densities = np.array(
        [w * multivariate_normal(m, c).pdf(X) for w, m, c in zip(weights, means, covariances, strict=True)]
    )
    return (densities / densities.sum(axis=0)).T


@pytest.fixture(scope="module")
def by_scipy(case):
    """(S, N, K) responsibilities of the draws."""
    _, draws, X, _ = case
    return np.array([responsibilities(X, *(array[s] for array in draws)) for s in range(30)])


def test_probabilities_are_scipys(case, by_scipy):
    em, draws, X, _ = case
    table = bg.row_uncertainty(em, posterior_of(*draws, X), ci_prob=0.8)
    p = em.parameters
    of_em = responsibilities(X, p.weights, p.means, p.covariances)
    labels = of_em.argmax(axis=1)
    of_label = by_scipy[:, np.arange(60), labels]
    np.testing.assert_array_equal(table["label"], labels)
    np.testing.assert_allclose(table["em"], of_em.max(axis=1))
    np.testing.assert_allclose(table["mean"], of_label.mean(axis=0))
    np.testing.assert_allclose(table["p_wrong"], 1 - of_label.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(table["eti80_lb"], np.quantile(of_label, 0.1, axis=0))
    np.testing.assert_allclose(table["eti80_ub"], np.quantile(of_label, 0.9, axis=0))
    assert table["p_wrong"].max() > 0.2 > 0.01 > table["p_wrong"].min()  # nothing trivial


@pytest.mark.parametrize("n_copies", [1, 70])  # 4200 rows are processed in two pieces
def test_disagreement_is_a_row_of_the_matrix_of_pairs(case, by_scipy, n_copies):
    em, draws, X, _ = case
    table = bg.row_uncertainty(em, posterior_of(*draws, X), np.tile(X, (n_copies, 1)))
    similarity = np.einsum("snk,smk->nm", by_scipy, by_scipy) / 30
    labels = table["label"].to_numpy()[:60]
    differing = np.abs((labels == labels[:, np.newaxis]) - similarity)
    expected = (n_copies * differing.sum(axis=1) - differing.diagonal()) / (60 * n_copies - 1)  # without the row itself
    np.testing.assert_allclose(table["disagreement"], np.tile(expected, n_copies), atol=1e-12)


def test_disagreement_ignores_labels_and_p_wrong_does_not(case):
    em, draws, X, _ = case
    mixed = posterior_of(*permuted(draws, np.random.default_rng(3)), X)
    one, two = bg.row_uncertainty(em, posterior_of(*draws, X)), bg.row_uncertainty(em, mixed)
    np.testing.assert_allclose(one["disagreement"], two["disagreement"], atol=1e-12)
    assert np.abs(one["p_wrong"] - two["p_wrong"]).max() > 0.2


def test_rows_are_mislabelled_as_often_as_said():
    """40 data sets, each from a draw: errors of EM's labels are their expected number, within 4 standard errors.

    Fails by chance in fewer than 1 of 10,000 runs; p_wrong half as large as it should be is 10 standard errors off.
    """
    rng = np.random.default_rng(31)
    draws = similar_draws(40, 2, 1, rng, spread=0.1)
    draws[1][:] = np.array([[-1.5], [1.5]]) + 0.1 * rng.normal(size=(40, 2, 1))
    draws[2][:] = 1.0
    parameters = bg.MixtureParameters(*(array.mean(axis=0) for array in draws))
    errors = expected = variance = 0.0
    for s in range(40):
        # Rows at fixed places, their components from the draw: what the posterior says of them is exact on average.
        X = np.linspace(-4, 4, 100)[:, np.newaxis]
        em = em_claiming(parameters, X)
        truth = (rng.random(100) < responsibilities(X, *(array[s] for array in draws))[:, 1]).astype(int)
        table = bg.row_uncertainty(em, posterior_of(*draws, X))
        errors += (truth != table["label"]).sum()
        expected += table["p_wrong"].sum()
        variance += (table["p_wrong"] * (1 - table["p_wrong"])).sum()
    assert abs(errors - expected) < 4 * np.sqrt(variance)
    assert abs(errors - expected / 2) > 4 * np.sqrt(variance)


def test_agreement_of_partitions_is_scikit_learns(case, by_scipy):
    em, draws, X, _ = case
    posterior = posterior_of(*draws, X)
    agreement = bg.partition_agreement(em, posterior, rng=1)
    labels = em.parameters.predict(X)
    assert agreement.vi == adjusted_rand_score(labels, agreement.vi_partition.labels)
    assert agreement.binder == adjusted_rand_score(labels, agreement.binder_partition.labels)
    assert (agreement.vi_partition.loss, agreement.binder_partition.loss) == ("vi", "binder")
    expected = np.mean([adjusted_rand_score(labels, r.argmax(axis=1)) for r in by_scipy])
    assert agreement.draws == pytest.approx(expected)
    again = bg.partition_agreement(em, posterior, rng=1)
    assert again.vi_partition.expected_loss == agreement.vi_partition.expected_loss


def test_old_faithful_is_labelled_as_the_posterior_would(faithful_em, faithful_posterior):
    """EM and the posterior agree about Old Faithful: one row between the groups is in doubt."""
    table = bg.row_uncertainty(faithful_em, faithful_posterior)
    assert (table["p_wrong"] < 0.5).all()
    assert table["p_wrong"].sum() < 2
    agreement = bg.partition_agreement(faithful_em, faithful_posterior, rng=1)
    assert agreement.vi > 0.97 and agreement.binder > 0.97
    assert agreement.draws == pytest.approx(bg.compare(faithful_em, faithful_posterior).partition_agreement)


def test_wrong_arguments_are_refused(case):
    em, draws, X, _ = case
    with pytest.raises(bg.errors.InputError, match="not aligned"):
        bg.row_uncertainty(em, posterior_of(*draws, X, aligned=False))
    posterior = posterior_of(*draws, X)
    with pytest.raises(bg.errors.InputError, match="X has one row"):
        bg.row_uncertainty(em, posterior, X[:1])
    with pytest.raises(bg.errors.InputError, match="ci_prob"):
        bg.row_uncertainty(em, posterior, ci_prob=0)
    with pytest.raises(bg.errors.InputError, match="X has 1 column"):
        bg.row_uncertainty(em, posterior, X[:, 0])
    other = em_claiming(bg.MixtureParameters([1.0], [[0.0, 0.0]], [np.eye(2)]), X)
    for function in (bg.row_uncertainty, bg.partition_agreement):
        with pytest.raises(bg.errors.InputError, match="the posterior has 3 of 2"):
            function(other, posterior)
