"""Data sets that the package ships, and simulated ones."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import bayesgmm as bg

load_faithful, load_galaxies, simulate = bg.datasets.load_faithful, bg.datasets.load_galaxies, bg.datasets.simulate


def test_old_faithful_is_the_table_that_r_distributes():
    # R 4: nrow(faithful), colSums(faithful), summary(faithful), head(faithful, 1).
    table = load_faithful()
    assert list(table.columns) == ["eruptions", "waiting"]
    assert table.shape == (272, 2)
    assert_allclose(table.sum(), [948.677, 19284], rtol=1e-12)
    assert_allclose(table.min(), [1.6, 43])
    assert_allclose(table.max(), [5.1, 96])
    assert_allclose(table.median(), [4.0, 76])
    assert_allclose(table.iloc[0], [3.6, 79])


def test_the_galaxies_are_roeders_with_the_78th_corrected():
    velocity = load_galaxies()["velocity"]
    assert list(load_galaxies().columns) == ["velocity"]
    assert velocity.shape == (82,)
    assert velocity.is_monotonic_increasing
    assert velocity.iloc[77] == 26.69
    # R's summary(MASS::galaxies), in km/s and with the 78th misprinted as 26960: 9172 19532 20834 20831 23133 34279.
    misprinted = velocity.replace(26.69, 26.96) * 1000
    quartiles = misprinted.quantile([0, 0.25, 0.5, 0.75, 1])
    assert_allclose(quartiles, [9172, 19532, 20834, 23133, 34279], atol=0.5)
    assert misprinted.mean() == pytest.approx(20831, abs=0.5)


@pytest.mark.parametrize("load", [load_faithful, load_galaxies])
def test_every_call_loads_a_table_of_its_own(load):
    table = load()
    table.iloc[0, 0] = -1.0
    assert load().iloc[0, 0] != -1.0
    assert isinstance(table, pd.DataFrame) and not table.isna().any(axis=None)


@pytest.mark.parametrize(("n", "K", "D"), [(1, 1, 1), (50, 3, 1), (200, 4, 2), (500, 2, 10)])
def test_a_simulation_has_the_shapes_asked_for(n, K, D):
    X, labels, parameters = simulate(n, K, D, rng=1)
    assert X.shape == (n, D) and labels.shape == (n,)
    assert (parameters.n_components, parameters.n_features) == (K, D)
    assert set(labels) <= set(range(K))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("separation", [0.5, 4.0, 30.0])
def test_the_nearest_two_means_have_the_separation_asked_for(separation, seed):
    means = simulate(10, 5, 3, separation=separation, rng=seed).parameters.means
    distances = np.linalg.norm(means[:, np.newaxis] - means, axis=2)
    assert distances[np.triu_indices(5, 1)].min() == pytest.approx(separation, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_simulated_standard_deviations_are_between_the_bounds_stated(seed):
    parameters = simulate(10, 4, 6, rng=seed).parameters
    assert (parameters.stds >= 0.7 - 1e-12).all() and (parameters.stds <= 1.4 + 1e-12).all()
    assert np.abs(parameters.correlations - np.eye(6)).max() < 1
    assert parameters.weights.sum() == pytest.approx(1.0, rel=1e-12)


def test_simulated_rows_come_from_the_components_that_the_labels_name():
    X, labels, parameters = simulate(5_000, 3, 4, separation=12.0, rng=1)
    # 12 standard deviations apart (of 1.4 at most): half the distance is four of them, 3e-5 of the rows cross it.
    assert (parameters.predict(X) == labels).mean() > 0.999
    for k in range(3):
        own = X[labels == k]
        z = (own.mean(axis=0) - parameters.means[k]) / (parameters.stds[k] / np.sqrt(len(own)))
        assert np.abs(z).max() < 5.3  # twelve such: beyond it for one seed in a million


def test_the_same_seed_simulates_the_same_rows_and_another_seed_others():
    first, again, other = (
        simulate(50, 2, 2, rng=3),
        simulate(50, 2, 2, rng=np.random.default_rng(3)),
        simulate(50, 2, 2, rng=4),
    )
    assert_array_equal(first.X, again.X)
    assert_array_equal(first.labels, again.labels)
    assert_array_equal(first.parameters.covariances, again.parameters.covariances)
    assert (first.X != other.X).all()
    assert (simulate(50, 2, 2).X != simulate(50, 2, 2).X).all()


WRONG = {
    "no rows": ((0, 2, 2), {}, "n_samples must be a whole number of at least 1; received 0"),
    "no components": ((10, 0, 2), {}, "n_components must be a whole number of at least 1; received 0"),
    "no features": ((10, 2, -1), {}, "n_features must be a whole number of at least 1; received -1"),
    "half a feature": ((10, 2, 1.5), {}, "n_features must be .* received 1.5"),
    "no separation": ((10, 2, 2), {"separation": 0.0}, "separation must be a finite number above 0; received 0.0"),
    "NaN separation": ((10, 2, 2), {"separation": np.nan}, "separation must be .* received nan"),
    "negative seed": ((10, 2, 2), {"rng": -1}, "rng must be a whole number of at least 0.* received -1"),
}


@pytest.mark.parametrize("problem", WRONG)
def test_impossible_simulations_are_refused(problem):
    arguments, options, message = WRONG[problem]
    with pytest.raises(bg.errors.InputError, match=message):
        simulate(*arguments, **options)
