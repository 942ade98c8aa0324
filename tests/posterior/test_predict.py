"""Prediction averaged over a posterior, and the posterior of some of the features."""

import tracemalloc

import numpy as np
import pytest
import xarray as xr
from helpers.posteriors import posterior_of, unrelated_draws
from numba import config
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

import bayesgmm as bg
from bayesgmm.mixture import draws as draws_module

SHAPES = [(40, 1, 2), (40, 2, 1), (60, 3, 2), (30, 4, 5)]


def log_terms(X, weights, means, covariances):
    """(S, K, N) log of each component's share of the density, by SciPy."""
    shape = weights.shape
    terms = [
        np.log(weights[s, k]) + multivariate_normal(means[s, k], covariances[s, k]).logpdf(X)
        for s in range(shape[0])
        for k in range(shape[1])
    ]
    return np.reshape(terms, (*shape, -1))


def quantiles(values, ci_prob):
    """(..., 2) over the first axis."""
    return np.moveaxis(np.quantile(values, [(1 - ci_prob) / 2, (1 + ci_prob) / 2], axis=0), 0, -1)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize(("S", "K", "D"), SHAPES)
def test_prediction_is_the_average_over_the_draws(S, K, D, diagonal):
    weights, means, covariances = unrelated_draws(S, K, D)
    if diagonal:
        covariances = covariances * np.eye(D)
    X = np.random.default_rng(1).normal(size=(300, D), scale=3)
    found = bg.predict(posterior_of(weights, means, covariances), X, ci_prob=0.8)
    terms = log_terms(X, weights, means, covariances)
    log_densities = logsumexp(terms, axis=1)
    responsibilities = np.exp(terms - log_densities[:, np.newaxis])
    np.testing.assert_allclose(found.probabilities, responsibilities.mean(axis=0).T, atol=1e-12)
    np.testing.assert_allclose(found.probability_intervals, quantiles(responsibilities, 0.8).swapaxes(0, 1), atol=1e-11)
    np.testing.assert_allclose(found.log_density, logsumexp(log_densities, axis=0) - np.log(S), rtol=1e-11)
    np.testing.assert_allclose(found.log_density_interval, quantiles(log_densities, 0.8), rtol=1e-11)
    np.testing.assert_array_equal(found.labels, found.probabilities.argmax(axis=1))
    assert found.n_draws == S
    # Deliberately wrong: the mean of the log densities is much further below the log of the mean.
    assert (found.log_density - log_densities.mean(axis=0) > 1e-3).all()


def test_one_normal_of_uncertain_mean_has_the_closed_form():
    """If mu ~ N(1, 0.5^2) and x ~ N(mu, 2^2), x ~ N(1, 0.5^2 + 2^2). Evenly spaced quantiles as draws have no noise."""
    S = 4000
    means = norm.ppf((np.arange(S) + 0.5) / S, 1, 0.5)
    posterior = posterior_of(np.ones((S, 1)), means[:, np.newaxis, np.newaxis], np.full((S, 1, 1, 1), 4.0))
    X = np.array([-3.0, 0.0, 1.0, 9.0])
    found = bg.predict(posterior, X, n_draws=S)
    np.testing.assert_allclose(found.log_density, norm.logpdf(X, 1, np.hypot(0.5, 2)), atol=1e-3)
    np.testing.assert_array_equal(found.probabilities, 1)
    # At 9, above every draw, the density rises with the mean.
    bounds = norm.logpdf(9, norm.ppf([0.05, 0.95], 1, 0.5), 2)
    np.testing.assert_allclose(found.log_density_interval[-1], bounds, atol=2e-3)


def test_the_cut_of_the_rows_and_the_threads_change_nothing(monkeypatch):
    posterior = posterior_of(*unrelated_draws(50, 3, 2))
    X = np.random.default_rng(1).normal(size=(3000, 2))
    whole = bg.predict(posterior, X)
    monkeypatch.setattr(draws_module, "PIECE_BYTES", 100_000)
    pieces = bg.predict(posterior, X)
    monkeypatch.setattr(config, "NUMBA_NUM_THREADS", 1)
    serial = bg.predict(posterior, X)
    alone = bg.predict(posterior, X[1234:1235])
    for name in ("labels", "probabilities", "probability_intervals", "log_density", "log_density_interval"):
        np.testing.assert_array_equal(getattr(pieces, name), getattr(whole, name))
        np.testing.assert_array_equal(getattr(serial, name), getattr(whole, name))
        np.testing.assert_allclose(getattr(alone, name)[0], getattr(whole, name)[1234], rtol=1e-12)


def peak_bytes(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_rows_times_draws(monkeypatch):
    """4000 rows x 500 draws x (4 responsibilities and a density) would be 80 MB, the results are 0.6."""
    monkeypatch.setattr(config, "NUMBA_NUM_THREADS", 2)
    monkeypatch.setattr(draws_module, "PIECE_BYTES", 1_600_000)
    X = np.random.default_rng(1).normal(size=(4000, 2))
    posterior = posterior_of(*unrelated_draws(500, 4, 2), X)
    bg.predict(posterior, X[:10])  # compiled before
    assert peak_bytes(lambda: bg.predict(posterior, X)) < 8e6
    bg.loo(posterior_of(*unrelated_draws(500, 4, 2), X[:10]))  # ArviZ loaded before
    assert peak_bytes(lambda: bg.loo(posterior)) < 16e6
    # `add_log_likelihood` keeps them: 16 MB of log densities alone.
    assert peak_bytes(lambda: bg.add_log_likelihood(posterior)) > 16e6


def test_labels_matter_to_the_components_and_not_to_the_density():
    weights, means, covariances = unrelated_draws(200, 3, 2)
    means = means + np.array([[-5.0], [0.0], [5.0]])
    X = np.random.default_rng(1).normal(size=(50, 2), scale=4)
    right = posterior_of(weights, means, covariances)
    order = np.random.default_rng(2).permuted(np.tile(np.arange(3), (200, 1)), axis=1)
    shuffled = [np.take_along_axis(a, order.reshape(200, 3, *[1] * (a.ndim - 2)), axis=1) for a in (weights, means)]
    shuffled.append(np.take_along_axis(covariances, order[..., np.newaxis, np.newaxis], axis=1))
    unaligned = posterior_of(*shuffled, aligned=False)
    np.testing.assert_allclose(
        bg.predict_density(unaligned, X).log_density, bg.predict(right, X).log_density, rtol=1e-12
    )
    with pytest.raises(bg.errors.InputError, match="not aligned"):
        bg.predict(unaligned, X)
    unaligned.attrs["aligned"] = 1  # what the refusal is for
    assert np.abs(bg.predict(unaligned, X).probabilities - bg.predict(right, X).probabilities).max() > 0.1


def test_fewer_draws_are_evenly_spaced_ones():
    weights, means, covariances = unrelated_draws(100, 2, 2)
    X = np.random.default_rng(1).normal(size=(20, 2))
    some = bg.predict(posterior_of(weights, means, covariances), X, n_draws=12)
    chosen = np.arange(0, 100, 9)
    expected = bg.predict(posterior_of(weights[chosen], means[chosen], covariances[chosen]), X)
    assert some.n_draws == 12
    np.testing.assert_array_equal(some.probabilities, expected.probabilities)


def test_a_table_has_a_column_per_number(faithful, faithful_posterior):
    prediction = bg.predict(faithful_posterior, faithful)
    frame = prediction.table
    assert list(frame.columns) == [
        "label",
        *(f"probability_{k}{end}" for k in range(2) for end in ("", "_eti90_lb", "_eti90_ub")),
        "log_density",
        "log_density_eti90_lb",
        "log_density_eti90_ub",
    ]
    np.testing.assert_array_equal(frame["probability_1_eti90_ub"], prediction.probability_intervals[:, 1, 1])
    assert len(frame) == 272
    columns = ["log_density", "log_density_eti50_lb", "log_density_eti50_ub"]
    assert list(bg.predict_density(faithful_posterior, faithful, ci_prob=0.5).table.columns) == columns
    with pytest.raises(ValueError, match="read-only"):
        prediction.probabilities[0, 0] = 0


def test_rows_that_cannot_be_predicted_are_refused(faithful, faithful_posterior):
    bad_rows = {
        "has 3 columns": np.zeros((4, 3)),
        r"has 2 columns \(waiting, length\)": faithful.rename(columns={"eruptions": "length"})[["waiting", "length"]],
        "NaN": [[1.0, np.nan]],
        "empty": np.empty((0, 2)),
    }
    for message, X in bad_rows.items():
        for function in (bg.predict, bg.predict_density):
            with pytest.raises(bg.errors.InputError, match=message):
                function(faithful_posterior, X)
    for option, value in {"ci_prob": 1.0, "n_draws": 0}.items():
        with pytest.raises(bg.errors.InputError, match=option):
            bg.predict(faithful_posterior, faithful, **{option: value})
    with pytest.raises(bg.errors.InputError, match="posterior must be a DataTree"):
        bg.predict_density(faithful_posterior["posterior"].to_dataset(), faithful)
    without = xr.DataTree.from_dict({"posterior": faithful_posterior["posterior"].to_dataset().drop_vars("means")})
    with pytest.raises(bg.errors.InputError, match="no variable means"):
        bg.predict_density(without, faithful)


# Subsets of the features


def parameters_of(posterior, s):
    """The mixture of draw s, of all chains."""
    draws = posterior["posterior"].to_dataset()
    arrays = [draws[name].values for name in ("weights", "means", "covariances")]
    arrays = [array.reshape(-1, *array.shape[2:])[s] for array in arrays]
    return bg.MixtureParameters(*arrays, tuple(map(str, draws["feature"].values)))


@pytest.mark.parametrize("features", [["c"], ["d", "a"], [2, 0, 1]])
def test_a_marginal_is_the_marginal_of_every_draw(features):
    X = np.random.default_rng(1).normal(size=(10, 4))
    posterior = posterior_of(*unrelated_draws(30, 3, 4), X, features="abcd")
    found = bg.marginal(posterior, features)
    for s in range(30):
        one, expected = parameters_of(found, s), parameters_of(posterior, s).marginal(features)
        assert one.features == expected.features
        for name in ("weights", "means", "covariances"):
            np.testing.assert_array_equal(getattr(one, name), getattr(expected, name))
    index = ["abcd".index(f) if isinstance(f, str) else f for f in features]
    np.testing.assert_array_equal(found["observed_data"]["X"].values, X[:, index])
    stats = found["sample_stats"].to_dataset()
    assert "lp" in stats and "total_log_likelihood" not in stats
    assert bg.predict(found, X[:, index]).probabilities.shape == (10, 3)


@pytest.mark.parametrize("given", [{"b": 0.3}, {"d": -1.0, "a": 2.0}, {0: 1.0, 1: 0.5, 2: 0.0}, {"c": 40.0}])
def test_a_conditional_is_the_conditional_of_every_draw(given):
    posterior = posterior_of(*unrelated_draws(30, 3, 4), features="abcd")
    found = bg.conditional(posterior, given)
    draws = found["posterior"].to_dataset()
    for s in range(30):
        one, expected = parameters_of(found, s), parameters_of(posterior, s).conditional(given)
        assert one.features == expected.features
        np.testing.assert_allclose(one.weights, expected.weights, rtol=1e-8, atol=1e-200)
        np.testing.assert_allclose(one.means, expected.means, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(one.covariances, expected.covariances, rtol=1e-9, atol=1e-12)
        chain, draw = divmod(s, 15)
        np.testing.assert_allclose(draws["stds"][chain, draw], expected.stds, rtol=1e-9)
        np.testing.assert_allclose(draws["correlations"][chain, draw], expected.correlations, atol=1e-9)


def test_conditionals_and_marginals_of_a_posterior_are_posteriors(faithful_em, faithful_posterior, tmp_path):
    later = bg.conditional(faithful_posterior, {"eruptions": 2.0})
    assert later.attrs["given"] == "eruptions=2" and later.attrs["aligned"] == 1
    grid = np.linspace(40, 70, 2001)
    density = np.exp(bg.predict_density(later, grid).log_density)
    mean = np.trapezoid(grid * density, grid)  # of a normal around EM's regression line
    expected = faithful_em.parameters.conditional({"eruptions": 2.0})
    assert abs(mean - expected.weights @ expected.means[:, 0]) < 1
    waiting = bg.marginal(faithful_posterior, ["waiting"])
    assert bg.diagnose(waiting).ok
    for i, tree in enumerate((later, waiting)):
        tree.to_netcdf(tmp_path / f"{i}.nc", engine="h5netcdf")


def test_features_that_there_are_not_are_refused(faithful_posterior):
    with pytest.raises(bg.errors.InputError, match="no feature 'wait'; this mixture has eruptions, waiting"):
        bg.marginal(faithful_posterior, ["wait"])
    with pytest.raises(bg.errors.InputError, match="features must be a list"):
        bg.marginal(faithful_posterior, "waiting")
    with pytest.raises(bg.errors.InputError, match="at least one feature"):
        bg.marginal(faithful_posterior, [])
    with pytest.raises(bg.errors.InputError, match="no feature 7"):
        bg.conditional(faithful_posterior, {7: 1.0})
    with pytest.raises(bg.errors.InputError, match="must leave at least one"):
        bg.conditional(faithful_posterior, {"eruptions": 1.0, "waiting": 1.0})
    with pytest.raises(bg.errors.InputError, match="given must map"):
        bg.conditional(faithful_posterior, ["eruptions"])
    with pytest.raises(
        bg.errors.InputError, match="given holds 1 value that is NaN or infinite, in column\\(s\\) waiting"
    ):
        bg.conditional(faithful_posterior, {"waiting": np.nan})
