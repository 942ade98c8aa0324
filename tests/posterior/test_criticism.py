"""Replicated data, p-values of statistics, and leave-one-out accuracy."""

import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from helpers.posteriors import normal_draws, posterior_of, unrelated_draws
from numba import config
from scipy.stats import kurtosis, norm, skew

import bayesgmm as bg
from bayesgmm import plots


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


# Replicates


def test_replicates_have_the_moments_of_their_draw():
    """200,000 rows: a mean off by 5 standard errors, or a covariance by 5 %, happens once in a million runs."""
    weights, means, covariances = unrelated_draws(2, 3, 2)
    n = 200_000
    posterior = bg.add_posterior_predictive(posterior_of(weights, means, covariances), n, n_draws=2, rng=1)
    X = posterior["posterior_predictive"]["X"].values
    assert X.shape == (2, 1, n, 2)
    for s in range(2):
        mean = weights[s] @ means[s]
        between = means[s] - mean
        covariance = np.tensordot(weights[s], covariances[s] + between[:, :, None] * between[:, None], 1)
        errors = np.sqrt(np.diagonal(covariance) / n)
        assert (np.abs(X[s, 0].mean(axis=0) - mean) < 5 * errors).all()
        scale = np.sqrt(np.outer(np.diagonal(covariance), np.diagonal(covariance)))
        np.testing.assert_array_less(np.abs(np.cov(X[s, 0], rowvar=False) - covariance), 0.05 * scale)
        assert (np.abs(X[s, 0].mean(axis=0) - weights[1 - s] @ means[1 - s]) > 20 * errors).any()  # the other draw's


def test_replicates_depend_on_the_seed_alone(monkeypatch, faithful_posterior):
    one = bg.add_posterior_predictive(faithful_posterior, 3000, n_draws=8, rng=5)
    table = bg.predictive_check(faithful_posterior, n_draws=20, rng=5)
    monkeypatch.setattr(config, "NUMBA_NUM_THREADS", 1)
    other = bg.add_posterior_predictive(faithful_posterior, 3000, n_draws=8, rng=5)
    xr.testing.assert_identical(one["posterior_predictive"].to_dataset(), other["posterior_predictive"].to_dataset())
    assert table.equals(bg.predictive_check(faithful_posterior, n_draws=20, rng=5))
    assert not table.equals(bg.predictive_check(faithful_posterior, n_draws=20, rng=6))


def test_replicates_are_in_the_schema_that_arviz_reads(faithful_posterior, tmp_path):
    tree = bg.add_posterior_predictive(faithful_posterior, n_draws=10, rng=1)
    group = tree["posterior_predictive"].to_dataset()
    chains, draws = (faithful_posterior["posterior"].sizes[dim] for dim in ("chain", "draw"))
    assert dict(group.sizes) == {"chain": chains, "draw": -(-10 // chains), "row": 272, "feature": 2}
    assert group["draw"].values[[0, -1]].tolist() == [0, draws - 1]
    assert "posterior_predictive" not in faithful_posterior
    az.plot_ppc_dist(tree, num_samples=12, backend="matplotlib")
    tree.to_netcdf(tmp_path / "tree.nc", engine="h5netcdf")
    again = bg.add_posterior_predictive(tree, 5, n_draws=4, rng=1)  # in the place of the other
    assert again["posterior_predictive"].sizes["row"] == 5


# Checks


def test_statistics_are_scipys():
    X = np.random.default_rng(1).gamma(2, size=(50, 3))
    weights, means, covariances = unrelated_draws(6, 2, 3)
    table = bg.predictive_check(posterior_of(weights, means, covariances, X), n_draws=6, rng=1)
    for d in range(3):
        expected = {
            "sd": X[:, d].std(),
            "skewness": skew(X[:, d]),
            "kurtosis": kurtosis(X[:, d]),
            "minimum": X[:, d].min(),
            "maximum": X[:, d].max(),
        }
        for name, value in expected.items():
            np.testing.assert_allclose(table.loc[f"{name}[x{d}]", "observed"], value, rtol=1e-12)
    np.testing.assert_allclose(table.loc["correlation[x0, x2]", "observed"], np.corrcoef(X[:, 0], X[:, 2])[0, 1])
    each = [bg.MixtureParameters(*draw).log_density(X) for draw in zip(weights, means, covariances, strict=True)]
    np.testing.assert_allclose(table.loc["lowest log density", "observed"], np.mean([x.min() for x in each]))
    np.testing.assert_allclose(table.loc["sd of log density", "observed"], np.mean([x.std() for x in each]))


def test_p_values_are_the_share_of_replicates_with_as_much():
    """One normal of known parameters: the sd of 100 rows, squared, is chi-squared / 100 (99 degrees of freedom).

    The rows' sd is set to a replicate's quantile: p is then 1 minus its level, to 5 binomial errors of 2000 draws
    (once in two million runs).
    """
    from scipy.stats import chi2

    S, N = 2000, 100
    x = np.random.default_rng(1).normal(size=N)
    ones = np.ones((S, 1))
    for level in (0.02, 0.5, 0.9):
        X = (x - x.mean()) / x.std() * np.sqrt(chi2.ppf(level, N - 1) / N)
        posterior = posterior_of(ones, 0 * ones[..., None], ones[..., None, None], X[:, None])
        p = bg.predictive_check(posterior, n_draws=S, rng=2).loc["sd[x0]", "p_value"]
        assert abs(p - (1 - level)) < 5 * np.sqrt(level * (1 - level) / S)


def p_values(make, n_sets, rng):
    """(n_sets, n_statistics) of data sets under the exact posterior of one normal."""
    tables = []
    for stream in rng.spawn(n_sets):
        X = make(stream)
        posterior = posterior_of(*normal_draws(X, 100, stream), X)
        tables.append(bg.predictive_check(posterior, n_draws=100, rng=stream)["p_value"])
    return tables[0].index, np.array(tables)


def test_data_of_the_model_pass_and_others_do_not():
    """Of 150 normal data sets few have an extreme p-value, and of data sets with heavy tails many.

    Each of the 13 statistics is outside (0.05, 0.95) in at most 20 % of the normal data sets (Meng 1994). The limit of
    34 % adds 4.3 binomial standard errors, so the test fails by chance once in 100,000 runs. Heavy tails are those of
    a t distribution with 3 degrees of freedom.
    """
    rng, N = np.random.default_rng(3), 60
    names, found = p_values(lambda stream: stream.normal(size=(N, 2)) @ [[1, 2], [0, 1]], 150, rng)
    outside = ((found < 0.05) | (found > 0.95)).mean(axis=0)
    print(dict(zip(names, outside.round(3), strict=True)))
    assert (outside < 0.34).all()
    assert outside[[name.startswith("correlation") for name in names]].max() < 0.01  # fitted whatever the data
    names, found = p_values(lambda stream: stream.standard_t(3, size=(N, 2)), 30, rng)
    striking = dict(zip(names, (found < 0.05).mean(axis=0), strict=True))
    print(striking)
    assert striking["kurtosis[x0]"] > 0.5 and striking["sd of log density"] > 0.5
    lowest = found[:, list(names).index("lowest log density")]
    assert (lowest > 0.95).mean() > 0.5


def test_heavy_tails_of_two_components_are_found():
    """Two clusters of t with 3 degrees of freedom; the same of normals pass. Fixed seeds, not chosen."""
    rng = np.random.default_rng(7)
    shift = np.repeat([[0.0, 0.0], [60.0, 0.0]], 300, axis=0)
    lowest = {}
    for name, noise in {"t": rng.standard_t(3, (600, 2)), "normal": rng.normal(size=(600, 2))}.items():
        posterior = bg.sample_posterior(noise + shift, 2, draws=250, rng=1, progress=False)
        table = bg.predictive_check(posterior, rng=1)
        lowest[name] = table.loc[["lowest log density", "sd of log density"], "p_value"].tolist()
    assert lowest["t"][0] > 0.99 and lowest["t"][1] < 0.01
    assert all(0.01 < p < 0.99 for p in lowest["normal"])


# Leave-one-out


@pytest.mark.parametrize("efficiency", [None, 0.3])
def test_loo_is_arvizs(faithful_posterior, monkeypatch, efficiency):
    if efficiency:
        monkeypatch.setattr("bayesgmm.posterior.prediction.loo._efficiency", lambda *_: efficiency)
    found = bg.loo(faithful_posterior)
    expected = az.loo(bg.add_log_likelihood(faithful_posterior), pointwise=True, reff=found.efficiency)
    np.testing.assert_allclose(found.pointwise, expected.elpd_i.values, rtol=1e-11)
    np.testing.assert_allclose(found.pareto_k, expected.pareto_k.values, atol=1e-11)
    np.testing.assert_allclose([found.elpd, found.p, found.good_k], [expected.elpd, expected.p, expected.good_k])
    np.testing.assert_allclose(found.se, np.sqrt(272 * found.pointwise.var(ddof=1)))
    assert found.ok and "no problem found" in found.summary()
    if efficiency is None:  # ArviZ's own, of the parameters, differs by little
        assert abs(az.loo(bg.add_log_likelihood(faithful_posterior)).elpd - found.elpd) < 0.01


def with_an_outlier(S=1000):
    """One normal, 30 rows, one of them 12 standard deviations off."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(30, 1))
    X[17] = 12.0
    return posterior_of(*normal_draws(X, S, rng), X)


def test_a_row_that_decides_the_posterior_is_named():
    posterior = with_an_outlier()
    found = bg.loo(posterior)
    with pytest.warns(UserWarning, match="shape parameter of Pareto"):
        expected = az.loo(bg.add_log_likelihood(posterior), pointwise=True, reff=found.efficiency)
    np.testing.assert_allclose(found.pointwise, expected.elpd_i.values, rtol=1e-11)
    np.testing.assert_allclose(found.pareto_k, expected.pareto_k.values, atol=1e-11)
    assert not found.ok
    assert found.problems[0].startswith("1 of 30 rows have a Pareto k above 0.67 or none: 17 (")
    assert "problem: 1 of 30" in found.summary()


def test_an_undefined_pareto_k_is_a_problem():
    ones = np.ones((100, 1))  # all draws the same: the weights have no tail
    posterior = posterior_of(ones, 0 * ones[..., None], ones[..., None, None], np.array([[0.0], [1.0]]))
    found = bg.loo(posterior)
    assert np.isnan(found.pareto_k).all() and not found.ok
    np.testing.assert_allclose(found.pointwise, norm.logpdf([0, 1]))


def test_a_row_whose_tail_stands_still_is_weighed_as_it_is():
    """A quarter of the draws are one and the same, far from the second row: its largest weights are theirs."""
    means = np.concatenate([np.full(100, -5.0), np.random.default_rng(1).normal(size=300)])[:, None, None]
    rows = np.array([[-5.0], [1.0]])
    found = bg.loo(posterior_of(np.ones((400, 1)), means, np.ones((400, 1, 1, 1)), rows))
    densities = norm.pdf(rows, means[:, 0, 0])
    np.testing.assert_allclose(found.pointwise[1], -np.log(np.mean(1 / densities[1])))
    assert np.isfinite(found.pareto_k[0]) and np.isnan(found.pareto_k[1]) and not found.ok


def test_loo_of_a_normal_of_known_sd_has_the_closed_form():
    """With x ~ N(mu, 1) and mu flat: leaving x_i out, x_i ~ N(mean of the others, 1 + 1 / (N - 1)).

    20,000 independent draws of mu given all rows: elpd_i has a Monte Carlo error below 0.002; 0.01 is five of them.
    """
    N, S, rng = 20, 20_000, np.random.default_rng(1)
    x = rng.normal(size=N)
    means = rng.normal(x.mean(), 1 / np.sqrt(N), size=(S, 1, 1))
    found = bg.loo(posterior_of(np.ones((S, 1)), means, np.ones((S, 1, 1, 1)), x[:, None]))
    others = (x.sum() - x) / (N - 1)
    exact = norm.logpdf(x, others, np.sqrt(1 + 1 / (N - 1)))
    np.testing.assert_allclose(found.pointwise, exact, atol=0.01)
    # Deliberately wrong: the density of fitted rows is higher, by the gain of having been fitted.
    seen = bg.predict_density(posterior_of(np.ones((S, 1)), means, np.ones((S, 1, 1, 1))), x).log_density
    assert np.abs(seen - exact).max() > 0.05
    assert abs(found.p - (seen - exact).sum()) < 0.1


@pytest.mark.slow
def test_loo_is_what_refitting_without_each_row_gives(galaxies):
    """16 rows in two groups, 4 x 4000 draws a fit. Monte Carlo errors of a part are about 0.02; 0.15 is several."""
    X = np.sort(galaxies.to_numpy().ravel())[np.r_[0:6, 36:46]]
    sampled = {"draws": 4000, "rng": 1, "progress": False}
    found = bg.loo(bg.sample_posterior(X, 2, prior=bg.Prior.for_data(X, "full"), **sampled))
    exact = []
    for i in range(len(X)):
        others = bg.sample_posterior(np.delete(X, i), 2, prior=bg.Prior.for_data(X, "full"), **sampled)
        exact.append(bg.predict_density(others, X[i : i + 1], n_draws=16_000).log_density[0])
    print(np.c_[found.pointwise, exact, found.pareto_k].round(3))
    good = found.pareto_k <= found.good_k
    assert good.sum() >= 12
    np.testing.assert_allclose(found.pointwise[good], np.array(exact)[good], atol=0.15)


def test_log_likelihoods_are_the_log_densities(faithful, faithful_posterior):
    tree = bg.add_log_likelihood(faithful_posterior)
    values = tree["log_likelihood"]["X"].values
    total = faithful_posterior["sample_stats"]["total_log_likelihood"].values
    np.testing.assert_allclose(values.sum(axis=-1), total, rtol=1e-8)
    assert "log_likelihood" not in faithful_posterior


def test_bad_input_is_refused(monkeypatch, faithful_posterior):
    without = xr.DataTree.from_dict({"posterior": faithful_posterior["posterior"].to_dataset()})
    for function in (bg.loo, bg.add_log_likelihood, bg.predictive_check, bg.add_posterior_predictive):
        with pytest.raises(bg.errors.InputError, match="holds no rows"):
            function(without)
        with pytest.raises(bg.errors.InputError, match="posterior must be a DataTree"):
            function(None)
    with pytest.raises(bg.errors.InputError, match="n_draws"):
        bg.predictive_check(faithful_posterior, n_draws=0)
    with pytest.raises(bg.errors.InputError, match="rng"):
        bg.add_posterior_predictive(faithful_posterior, rng=-1)
    with pytest.raises(bg.errors.InputError, match="has 20 draws; the tail of the weights needs 25"):
        bg.loo(faithful_posterior.isel(chain=[0], draw=slice(20)))
    with pytest.raises(bg.errors.InputError, match=r"would take 160\.0 GB; at most 4 are made"):
        bg.add_posterior_predictive(faithful_posterior, 100_000_000, n_draws=100)
    monkeypatch.setattr("bayesgmm.posterior.draws._MOST_BYTES", 1e6)
    with pytest.raises(bg.errors.InputError, match=r"GB; at most .* loo\(\) does not need"):
        bg.add_log_likelihood(faithful_posterior)
    constant = faithful_posterior.copy(deep=True)
    constant["observed_data"]["X"][:, 1] = 3.0
    with pytest.raises(bg.errors.InputError, match="All rows are equal in waiting"):
        bg.predictive_check(constant)
    constant["observed_data"]["X"][5, 0] = np.nan
    with pytest.raises(bg.errors.InputError, match="observed_data holds 1 value that is NaN"):
        bg.loo(constant)


# The picture


def test_the_picture_shows_the_table_and_the_histogram(faithful, faithful_posterior):
    figure = plots.plot_predictive_check(faithful_posterior, n_draws=50, rng=1)
    *panels, statistics = figure.axes
    for_table = np.random.default_rng(1).spawn(2)[1]
    table = bg.predictive_check(faithful_posterior, n_draws=50, rng=for_table)
    drawn = np.concatenate([line.get_xydata() for line in statistics.lines if line.get_marker() in "dX"])
    np.testing.assert_allclose(drawn[np.argsort(drawn[:, 1]), 0], table["p_value"])
    assert [text.get_text() for text in statistics.get_yticklabels()] == list(table.index)
    for panel, x in zip(panels, np.asarray(faithful).T, strict=True):
        centers, heights = panel.lines[0].get_data()
        assert abs(heights.sum() * (centers[1] - centers[0]) - 1) < 1e-9
        np.testing.assert_allclose((centers * heights).sum() * (centers[1] - centers[0]), x.mean(), rtol=0.01)


def test_features_of_the_picture_can_be_chosen(faithful_posterior, tmp_path):
    figure = plots.plot_predictive_check(faithful_posterior, features=["waiting"], n_draws=20, rng=1)
    assert [ax.get_xlabel() for ax in figure.axes[:-1]] == ["waiting"]
    figure.savefig(tmp_path / "figure.png")
    X = np.random.default_rng(1).normal(size=(20, 11))
    many = posterior_of(*unrelated_draws(4, 2, 11), X, features=[f"${d}" for d in range(11)])
    with pytest.raises(bg.errors.InputError, match="1 to 10 features"):
        plots.plot_predictive_check(many)
    plots.plot_predictive_check(many, features=[3, 4], rng=1).savefig(tmp_path / "figure.png")


def test_a_row_whose_weights_overflow_has_a_finite_elpd_and_is_named(faithful_posterior):
    far = faithful_posterior.copy(deep=True)
    far["observed_data"]["X"][7] = [4e3, 7e4]  # its log density differs by far more than 700 between draws
    found = bg.loo(far)
    assert np.isfinite(found.elpd) and np.isfinite(found.pointwise).all()
    assert found.pointwise[7] < -1e4 and np.isnan(found.pareto_k[7]) and not found.ok
