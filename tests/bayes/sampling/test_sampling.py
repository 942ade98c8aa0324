"""`sample_posterior`: right where the answer is known, reproducible, and honest when it is stopped."""

import os
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from helpers.data import prepared
from helpers.ways import sample_by
from numba import config

import bayesgmm as bg
from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.modes.curvature import curvature_at, negative_hessian
from bayesgmm.bayes.sampling import nuts, nuts_ways
from bayesgmm.bayes.sampling.draws import Draws
from bayesgmm.bayes.sampling.nuts_ways import WhitenedNUTS
from bayesgmm.errors import SamplingError
from bayesgmm.mixture.covariance import structure_named

# posteriordb's low_dim_gauss_mix: means and sds of 10,000 reference draws, and the means' Monte Carlo errors.
REFERENCE = {
    "mu1": (-2.73351, 0.04205, 0.00042),
    "mu2": (2.86983, 0.05460, 0.00056),
    "sigma1": (1.02807, 0.03144, 0.00032),
    "sigma2": (1.02382, 0.04048, 0.00041),
    "theta": (0.62155, 0.01548, 0.00015),
}
REFERENCE_PRIOR = bg.Prior(mean_location=0.0, mean_scale=2.0, std=bg.priors.HalfNormal(2.0), concentration=5.0)


def low_dim_quantities(posterior):
    draws = posterior["posterior"].to_dataset()
    order = np.argsort(draws["means"].values[..., 0], axis=-1)
    means = np.take_along_axis(draws["means"].values[..., 0], order, axis=-1)
    stds = np.take_along_axis(draws["stds"].values[..., 0], order, axis=-1)
    weights = np.take_along_axis(draws["weights"].values, order, axis=-1)
    return {
        "mu1": means[..., 0],
        "mu2": means[..., 1],
        "sigma1": stds[..., 0],
        "sigma2": stds[..., 1],
        "theta": weights[..., 0],
    }


def reference_errors(posterior):
    """Largest |difference of means| in combined Monte Carlo errors, and largest |log ratio of sds|."""
    import arviz as az

    worst_mean = worst_sd = 0.0
    for name, values in low_dim_quantities(posterior).items():
        mean, sd, mcse = REFERENCE[name]
        ess = float(az.ess(xr.Dataset({"x": (("chain", "draw"), values)}), method="mean")["x"])
        combined = np.hypot(mcse, values.std() / np.sqrt(ess))
        worst_mean = max(worst_mean, abs(values.mean() - mean) / combined)
        worst_sd = max(worst_sd, abs(np.log(values.std() / sd)))
    return worst_mean, worst_sd


def test_the_reference_posterior_is_reproduced(low_dim_gauss_mix):
    """Five means within 4 combined errors: fails by chance once in 3000 seeds. Sds within 5 %: their error is 1 %."""
    em = bg.fit_em(low_dim_gauss_mix, 2, rng=1)
    assert em.log_likelihood == pytest.approx(-2096.677496, abs=1e-5)
    posterior = bg.align(
        bg.sample_posterior(low_dim_gauss_mix, 2, prior=REFERENCE_PRIOR, start=em.parameters, rng=1, progress=False),
        em.parameters,
    )
    worst_mean, worst_sd = reference_errors(posterior)
    assert worst_mean < 4
    assert worst_sd < 0.05
    assert bg.diagnose(posterior).ok
    assert bg.compare(em, posterior).verdict == "agree"


def test_half_the_rows_dropped_would_be_noticed(low_dim_gauss_mix):
    """The broken twin of the test above."""
    posterior = bg.sample_posterior(low_dim_gauss_mix[::2], 2, prior=REFERENCE_PRIOR, rng=1, progress=False)
    worst_mean, worst_sd = reference_errors(posterior)
    assert worst_mean > 4
    assert worst_sd > 0.05


def test_old_faithful_passes_every_check(faithful, faithful_posterior):
    diagnosis = bg.diagnose(faithful_posterior)
    assert diagnosis.ok, diagnosis.summary()
    assert diagnosis.parameters["r_hat"].max() <= 1.01
    assert diagnosis.parameters[["ess_bulk", "ess_tail"]].min().min() >= 400
    assert faithful_posterior.attrs["sampler"] == "independent"
    assert faithful_posterior.attrs["stopped_by"] == "convergence"


def test_old_faithful_by_nuts_passes_every_check(faithful_nuts):
    diagnosis = bg.diagnose(faithful_nuts)
    assert diagnosis.ok, diagnosis.summary()
    assert diagnosis.n_divergences == 0
    assert faithful_nuts.attrs["preconditioning"] == "whitened"


def test_the_posterior_follows_arvizs_schema(faithful, faithful_posterior):
    draws = faithful_posterior["posterior"].to_dataset()
    assert draws["covariances"].dims == ("chain", "draw", "component", "feature", "feature_other")
    assert list(draws["feature"].values) == ["eruptions", "waiting"]
    np.testing.assert_allclose(draws["weights"].sum("component"), 1)
    rebuilt = draws["correlations"] * draws["stds"] * draws["stds"].rename(feature="feature_other")
    np.testing.assert_allclose(rebuilt.transpose(*draws["covariances"].dims), draws["covariances"], rtol=1e-10)
    np.testing.assert_array_equal(faithful_posterior["observed_data"]["X"].values, faithful.to_numpy())


def test_total_log_likelihood_is_that_of_the_draw(faithful, faithful_posterior):
    draw = faithful_posterior["posterior"].to_dataset().isel(chain=1, draw=7)
    mixture = bg.MixtureParameters(
        draw["weights"].values, draw["means"].values, draw["covariances"].values, faithful.columns
    )
    expected = mixture.log_density(faithful).sum()
    found = faithful_posterior["sample_stats"]["total_log_likelihood"].values[1, 7]
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_every_structure_samples_and_keeps_its_shape(covariance, faithful):
    posterior = bg.sample_posterior(faithful, 2, covariance, draws=300, rng=2, progress=False)
    draws = posterior["posterior"].to_dataset()
    covariances = draws["covariances"].values
    off = covariances[..., 0, 1]
    assert (off == 0).all() == (covariance in ("diag", "spherical"))
    assert (np.ptp(covariances, axis=2).max() == 0) == (covariance == "tied")
    assert (np.ptp(draws["stds"].values, axis=3).max() == 0) == (covariance == "spherical")
    assert bg.diagnose(posterior).label_free["r_hat"].max() < 1.05


@pytest.mark.parametrize(
    "std",
    [bg.priors.HalfNormal(1.0), bg.priors.Uniform(0.05, 5.0), bg.priors.Fixed(0.5)],
    ids=lambda s: type(s).__name__,
)
def test_other_priors_sample(std):
    X = bg.datasets.simulate(150, 2, 1, separation=6, rng=3).X
    prior = bg.Prior.for_data(X, std=std)
    posterior = bg.sample_posterior(X, 2, prior=prior, draws=300, rng=1, progress=False)
    assert np.isfinite(posterior["posterior"]["means"].values).all()
    if isinstance(std, bg.priors.Fixed):
        np.testing.assert_allclose(posterior["posterior"]["stds"].values, 0.5, rtol=1e-12)
        assert not any(name.startswith("stds") for name in bg.diagnose(posterior).parameters.index)


def test_one_component_has_its_conjugate_posterior():
    """Known sd: mean ~ Normal with precision 1/scale^2 + n/sd^2. Means within 5 errors: once in 1e6 seeds."""
    X = np.random.default_rng(0).normal(3.0, 2.0, size=40)
    prior = bg.Prior(mean_location=1.0, mean_scale=0.7, std=bg.priors.Fixed(2.0))
    posterior = bg.sample_posterior(X, 1, prior=prior, rng=4, progress=False)
    precision = 1 / 0.7**2 + len(X) / 4
    mean = (1.0 / 0.7**2 + X.sum() / 4) / precision
    draws = posterior["posterior"]["means"].values.ravel()
    assert abs(draws.mean() - mean) < 5 * draws.std() / np.sqrt(1000)
    assert draws.std() == pytest.approx(precision**-0.5, rel=0.08)


@pytest.mark.parametrize(("data", "K"), [("faithful", 2), ("galaxies", 3)], ids=["independent", "by pilots"])
def test_the_same_seed_gives_the_same_draws_on_any_number_of_cores(data, K, request, monkeypatch):
    """The pilots' choice, the draws at which sampling stops and every draw."""
    X = request.getfixturevalue(data)
    original, found = nuts.nutpie.sample, []
    for cores in (1, 2):
        monkeypatch.setattr(config, "NUMBA_NUM_THREADS", cores)
        monkeypatch.setattr(nuts.nutpie, "sample", lambda *a, c=cores, **k: original(*a, **(k | {"cores": c})))
        found.append(bg.sample_posterior(X, K, max_draws=1500, rng=9, progress=False))
    for name in ("sampler", "sampler_reason", "pilots", "stopped_by", "chain_lengths"):
        assert found[0].attrs[name] == found[1].attrs[name]
    assert len(found[0].attrs["pilots"]) == (0 if K == 2 else 3)
    np.testing.assert_array_equal(*(posterior["posterior"]["means"].values for posterior in found))


def test_without_a_start_the_same_mode_is_found(faithful, faithful_em):
    posterior = bg.sample_posterior(faithful, 2, draws=300, rng=5, progress=False)
    aligned = bg.align(posterior, faithful_em.parameters)
    means = aligned["posterior"]["means"].values.mean(axis=(0, 1))
    np.testing.assert_allclose(means, faithful_em.parameters.means, rtol=0.01)


@pytest.mark.parametrize("sampler", ["independent", "nuts"])
def test_units_do_not_matter(sampler, faithful):
    """The whole sampling in units 1e12 times larger, and far from 0, is the same chain to rounding."""
    X = faithful.to_numpy()
    em = bg.fit_em(X, 2, rng=1)
    moved = bg.MixtureParameters(em.parameters.weights, em.parameters.means * 1e12, em.parameters.covariances * 1e24)
    options = {"sampler": sampler, "draws": 200, "rng": 1, "progress": False}
    here = bg.sample_posterior(X, 2, start=em.parameters, **options)
    there = bg.sample_posterior(X * 1e12, 2, start=moved, **options)
    a, b = here["posterior"]["means"].values.mean((0, 1)), there["posterior"]["means"].values.mean((0, 1)) / 1e12
    spread = here["posterior"]["means"].values.std((0, 1))
    assert (np.abs(a - b) / spread < 0.2).all()


@pytest.mark.filterwarnings("default")  # PyTensor's and Numba's own, which are not ours to answer for
def test_a_model_that_the_user_changed_samples_through_pytensor(low_dim_gauss_mix):
    """A potential N(0.4, 0.1) on the sum of the means, against the draws without it, reweighted.

    Both means have errors of about 0.004; 0.02 is five of them, and a potential left out is off by 0.15.
    """
    import pymc as pm

    X = low_dim_gauss_mix[:200]
    em = bg.fit_em(X, 2, rng=1)
    plain = bg.sample_posterior(X, 2, start=em.parameters, rng=1, progress=False)["posterior"]["means"].values.sum(
        (2, 3)
    )
    model = bg.build_model(X, 2)
    with model:
        pm.Potential("extra", -0.5 * ((model["means"].sum() - 0.4) / 0.1) ** 2)
    posterior = bg.sample_model(model, start=em.parameters, draws=500, rng=1, progress=False)
    total = posterior["posterior"]["means"].values.sum(axis=(2, 3))
    expected = np.average(plain, weights=np.exp(-0.5 * ((plain - 0.4) / 0.1) ** 2))
    assert total.mean() == pytest.approx(expected, abs=0.02)
    assert abs(plain.mean() - expected) > 0.1
    assert posterior.attrs["model"] == "pymc.Model"
    assert set(posterior["posterior"].data_vars) == {"weights", "means", "stds", "correlations", "covariances"}
    assert bg.diagnose(bg.align(posterior, em.parameters)).parameters["r_hat"].max() < 1.05


def test_rows_and_models_have_a_function_each(faithful):
    with pytest.raises(bg.errors.InputError, match=r"model must be a pymc.Model.*received DataFrame.*sample_posterior"):
        bg.sample_model(faithful)
    with pytest.raises(bg.errors.InputError, match=r"a pymc.Model is sampled by sample_model"):
        bg.sample_posterior(bg.build_model(faithful, 2), 2)


def test_what_the_curvature_does_not_describe_is_chosen_by_pilots():
    X = bg.datasets.simulate(15, 3, 2, rng=3).X
    posterior = bg.sample_posterior(X, 3, rng=1, draws=100, progress=False)
    attributes = posterior.attrs
    assert "far from the Gaussian" in attributes["sampler_reason"] or "flat" in attributes["sampler_reason"]
    assert attributes["sampler"] in ("nuts", "gibbs")
    assert any(attributes["sampler"] in pilot.split(":")[0].lower() for pilot in attributes["pilots"])
    assert attributes["seconds_pilot"] > 0


def test_the_hessian_and_the_whitening_of_a_gaussian_are_exact():
    covariance = np.array([[2.0, 1.9], [1.9, 2.0]]) * 1e-4
    precision = np.linalg.inv(covariance)

    def log_density(theta):
        return -0.5 * theta @ precision @ theta, -precision @ theta

    np.testing.assert_allclose(negative_hessian(log_density, np.zeros(2)), precision, rtol=1e-6)
    curvature = curvature_at(log_density, np.zeros(2), np.random.default_rng(0))
    assert curvature.misfit < 1e-6
    np.testing.assert_allclose(curvature.whitening @ curvature.whitening.T, covariance, rtol=1e-6)


def test_a_flat_direction_has_no_whitening():
    curvature = curvature_at(
        lambda t: (-0.5 * t[0] ** 2, np.array([-t[0], 0.0])), np.zeros(2), np.random.default_rng(0)
    )
    assert curvature.whitening is None
    assert "flat" in curvature.flaw


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
@pytest.mark.parametrize("std", [None, bg.priors.Uniform(0.05, 100.0)], ids=["log-normal", "uniform"])
def test_log_posterior_less_prior_is_the_sum_over_the_rows(covariance, std, faithful):
    prior = bg.Prior.for_data(faithful, covariance, **({} if std is None else {"std": std}))
    posterior = bg.sample_posterior(faithful, 2, covariance, prior=prior, draws=25, chains=2, rng=1, progress=False)
    draws, X = posterior["posterior"].to_dataset(), faithful.to_numpy()
    for chain, draw in [(0, 0), (0, 24), (1, 12)]:
        one = draws.isel(chain=chain, draw=draw)
        mixture = bg.MixtureParameters(*(one[name].values for name in ("weights", "means", "covariances")))
        found = posterior["sample_stats"]["total_log_likelihood"].values[chain, draw]
        assert found == pytest.approx(mixture.log_density(X).sum(), rel=1e-9)


def test_sampling_goes_on_until_it_has_converged(galaxies):
    """The default stops where its criterion, computed here again, first holds; and cuts nothing but the end."""
    posterior = bg.sample_posterior(galaxies, 3, rng=1, max_draws=4000, progress=False)
    n = posterior["posterior"].sizes["draw"]
    fixed = bg.sample_posterior(galaxies, 3, rng=1, draws=n, progress=False)
    np.testing.assert_array_equal(posterior["posterior"]["means"].values, fixed["posterior"]["means"].values)
    assert fixed.attrs["stopped_by"] == "draws"

    def passes(draws):
        table = bg.diagnose(fixed.isel(draw=slice(0, draws))).label_free
        return table["r_hat"].max() <= 1.01 and table[["ess_bulk", "ess_tail"]].min().min() >= 400

    assert n in (1000, 2000, 4000)
    if posterior.attrs["stopped_by"] == "convergence":
        assert passes(n)
    else:
        assert (posterior.attrs["stopped_by"], n, passes(n)) == ("max_draws", 4000, False)
    for earlier in (1000, 2000):
        assert earlier >= n or not passes(earlier)


def test_the_limit_of_draws_is_kept_and_said(faithful):
    with pytest.warns(bg.errors.BayesgmmWarning, match="Sampling ended by max_draws before the draws were enough"):
        posterior = bg.sample_posterior(faithful, 2, max_draws=30, rng=1, progress=False)
    assert posterior.attrs["stopped_by"] == "max_draws"
    assert posterior["posterior"].sizes["draw"] == 30
    assert posterior.attrs["chain_lengths"] == [30] * 4


@pytest.mark.parametrize("replacement", [None, lambda **fields: (_ for _ in ()).throw(TypeError("other fields"))])
def test_without_nutpies_own_class_python_is_called_and_the_draws_are_the_same(replacement, faithful, monkeypatch):
    options = {"sampler": "nuts", "draws": 20, "tune": 50, "chains": 2, "rng": 3, "progress": False}
    usual = bg.sample_posterior(faithful, 2, **options)
    monkeypatch.setattr(nuts, "CompiledPyMCModel", replacement)
    slower = bg.sample_posterior(faithful, 2, **options)
    assert (usual.attrs["gradients_by"], slower.attrs["gradients_by"]) == ("C functions", "Python functions")
    # The same numbers in another order of sums: rounding grows along a trajectory.
    np.testing.assert_allclose(
        slower["posterior"]["means"].values[:, :3], usual["posterior"]["means"].values[:, :3], rtol=1e-6
    )
    assert slower["sample_stats"]["lp"].values.mean() == pytest.approx(usual["sample_stats"]["lp"].values.mean(), abs=3)


def test_single_precision_rows_are_used_as_they_are(faithful):
    X = np.ascontiguousarray(faithful.to_numpy(dtype=np.float32))
    found = [
        bg.sample_posterior(values, 2, draws=20, tune=50, rng=3, progress=False) for values in (X, X.astype(float))
    ]
    np.testing.assert_allclose(*(posterior["posterior"]["means"].values for posterior in found), rtol=1e-9)
    density = MixtureDensity.of(prepared(X), 2, structure_named("full"), bg.Prior.for_data(X))
    header, arrays = density.user_data(np.zeros(density.n_dim), np.ones(density.n_dim))
    assert np.shares_memory(density.values, X)
    assert not any(array.size >= X.size and array.dtype == np.float64 for array in arrays)
    assert X.ctypes.data in header


def test_seconds_of_each_stage_add_up(faithful):
    began = time.perf_counter()
    posterior = bg.sample_posterior(faithful, 2, draws=50, rng=1, progress=False)
    took = time.perf_counter() - began
    seconds = [posterior.attrs[f"seconds_{stage}"] for stage in ("mode", "pilot", "sampling")]
    assert min(seconds) >= 0
    assert 0.3 * took < sum(seconds) <= took


def test_no_starting_point_is_an_error_with_a_remedy(faithful, monkeypatch):
    monkeypatch.setattr(nuts_ways, "start_within", lambda n_dim: lambda seed: np.full(n_dim, np.nan))
    with pytest.raises(SamplingError, match="The sampler stopped"):
        bg.sample_posterior(faithful, 2, sampler="nuts", draws=20, rng=1, progress=False)


@pytest.mark.parametrize("draws", [10, None])
def test_a_start_without_a_gradient_is_an_error_with_a_remedy_also_in_the_pilots(monkeypatch, draws):
    """The sampler's threads panic there, which is no Exception in Python."""
    monkeypatch.setattr(nuts_ways, "start_within", lambda n_dim: lambda seed: np.full(n_dim, 1e200))
    overlapping = bg.datasets.simulate(200, 2, 1, separation=1.5, rng=2).X
    with pytest.raises(SamplingError, match="Check the prior's scales against the data"):
        bg.sample_posterior(overlapping, 2, draws=draws, max_draws=10, rng=1, progress=False)


def interrupted_posterior(X, after, **options):
    """Sample, with Ctrl-C sent to this process once the chains have run for `after` seconds."""
    timer = threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT))
    started = time.perf_counter()
    original = nuts.nutpie.sample

    def sample(*arguments, **keywords):
        timer.start()
        return original(*arguments, **keywords)

    nuts.nutpie.sample = sample
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell runs in the background
    try:
        return sample_by(WhitenedNUTS, X, 3, rng=1, **options)
    finally:
        signal.signal(signal.SIGINT, handler)
        nuts.nutpie.sample = original
        timer.cancel()
        assert time.perf_counter() - started < 60


def test_ctrl_c_keeps_the_draws_that_are_done():
    simulation = bg.datasets.simulate(20_000, 3, 2, rng=1)
    posterior = interrupted_posterior(simulation.X, 3.0, start=simulation.parameters, draws=100_000, tune=50)
    stats = posterior["sample_stats"].to_dataset()
    assert posterior.attrs["interrupted"] == 1
    lengths = posterior.attrs["chain_lengths"]
    assert 0 < stats.sizes["draw"] < 100_000
    assert stats.sizes["draw"] <= max(lengths)
    for group in ("posterior", "sample_stats"):
        for variable in posterior[group].to_dataset().data_vars.values():
            if variable.dtype.kind == "f":
                assert np.isfinite(variable.values).all(), variable.name
    diagnosis = bg.diagnose(bg.align(posterior, simulation.parameters))
    assert "interrupted" in [problem.kind for problem in diagnosis.problems]


def test_padding_is_cut_to_the_chains_that_hold_the_most():
    log_posterior = np.full((3, 10), np.nan)
    log_posterior[0, :8], log_posterior[1, :7] = 0.0, 0.0
    diverging = np.zeros((3, 10), dtype=bool)
    draws = Draws(log_posterior[..., np.newaxis], log_posterior, {"diverging": diverging})
    assert draws.chain_lengths == (8, 7, 0)
    trimmed = draws.trimmed()
    assert (trimmed.n_chains, trimmed.n_draws, trimmed.stats["diverging"].shape) == (2, 7, (2, 7))
    assert np.isfinite(trimmed.log_posterior).all()
    with pytest.raises(KeyboardInterrupt):
        draws.first(10, np.array([2])).trimmed()


def test_thresholds_reach_the_stopping_rule(faithful):
    """The first checkpoint has 5000 effective draws; 20,000 are at the fourth."""
    strict = bg.Thresholds(min_ess=20_000)
    posterior = bg.sample_posterior(faithful, 2, thresholds=strict, rng=1, progress=False)
    assert posterior.attrs["stopped_by"] == "convergence"
    assert posterior["posterior"].sizes["draw"] > 1000
    label_free = bg.diagnose(posterior, strict).label_free
    assert label_free[["ess_bulk", "ess_tail"]].min().min() >= 20_000


@pytest.mark.parametrize("sampler", ["independent", "nuts", "gibbs"])
def test_a_sampler_can_be_asked_for(sampler, faithful):
    posterior = bg.sample_posterior(faithful, 2, sampler=sampler, draws=50, rng=1, progress=False)
    assert posterior.attrs["sampler"] == sampler
    assert ("preconditioning" in posterior.attrs) == (sampler == "nuts")


def test_an_unknown_sampler_is_refused(faithful):
    with pytest.raises(
        bg.errors.InputError, match=r"sampler must be one of 'auto', 'independent', 'nuts', 'gibbs'; received"
    ):
        bg.sample_posterior(faithful, 2, sampler="hmc")


def test_a_sampler_that_does_not_apply_is_refused_with_a_remedy(faithful):
    for std, verb in ((bg.priors.Uniform(0.05, 50.0), "bounds"), (bg.priors.Fixed(1.0), "fixes")):
        prior = bg.Prior.for_data(faithful, std=std)
        said = rf"sampler='independent' cannot .*: its prior {verb} the standard .* Pass sampler='nuts' or 'gibbs', or"
        with pytest.raises(bg.errors.InputError, match=said):
            bg.sample_posterior(faithful, 2, prior=prior, sampler="independent", rng=1)


def test_independent_proposals_that_do_not_suit_are_an_error_with_a_remedy(faithful):
    with pytest.raises(SamplingError, match=r"do not suit this posterior: .* were effective. Pass sampler='auto'"):
        bg.sample_posterior(faithful, 3, sampler="independent", rng=1, progress=False)


class _LosesResults:
    """nutpie's handle, whose results an interruption takes away just as they are handed over."""

    def __init__(self, handle):
        self._handle = handle

    def __getattr__(self, name):
        return getattr(self._handle, name)

    def wait(self, **options):
        self._handle.wait(**options)
        raise KeyboardInterrupt


def test_an_interruption_as_chains_end_is_no_error_of_nutpies(faithful, monkeypatch):
    original = nuts.nutpie.sample
    monkeypatch.setattr(nuts.nutpie, "sample", lambda *a, **k: _LosesResults(original(*a, **k)))
    with pytest.raises(KeyboardInterrupt):
        bg.sample_posterior(faithful, 2, sampler="nuts", draws=50, rng=1, progress=False)


def test_a_tied_model_of_two_features_samples_through_pymc(faithful):
    """Its LKJ factor has one correlation; means within 0.15 of EM's, whose standard errors are 0.02 and 0.5.

    The posterior keeps the rows as they were.
    """
    X = np.array(faithful, dtype=np.float64)
    em = bg.fit_em(X, 2, "tied", rng=1)
    model = bg.build_model(X, 2, "tied")
    posterior = bg.align(bg.sample_model(model, start=em.parameters, draws=200, rng=1, progress=False), em.parameters)
    X += 1.0
    np.testing.assert_array_equal(posterior["observed_data"]["X"], np.asarray(faithful))
    means = posterior["posterior"]["means"].mean(("chain", "draw")).values
    np.testing.assert_allclose(means, em.parameters.means, rtol=0.03)


def test_the_line_about_sampling_says_which_mode(caplog):
    """Two splits of a square of four clusters are two modes."""
    corners = np.repeat([[0.0, 0.0], [0.0, 6.0], [6.0, 0.0], [6.0, 6.0]], 15, axis=0)
    X = corners + np.random.default_rng(1).normal(size=corners.shape)
    starts = [optimum.parameters for optimum in bg.fit_em(X, 2, rng=1).optima[:2]]
    with caplog.at_level("INFO", logger="bayesgmm"):
        bg.sample_posterior(X, 2, start=starts, draws=20, tune=20, rng=1, progress=False)
        bg.sample_posterior(X, 1, draws=20, tune=20, rng=1, progress=False)
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Sampling")]
    assert [line.split(" by ")[0] for line in lines] == [
        "Sampling 4 chains around mode 0 of 2",
        "Sampling 4 chains around mode 1 of 2",
        "Sampling 4 chains",
    ]


def shift(X):
    X += 1.0


def shift_frame(X):
    X.loc[:, "x"] += 1.0


@pytest.mark.parametrize(
    ("of", "change"),
    [
        (np.copy, shift),
        (lambda x: pd.DataFrame({"x": x[:, 0]}), shift_frame),
        (lambda x: xr.DataArray(x.copy()), shift),
    ],
    ids=["array", "frame", "DataArray"],
)
def test_a_change_of_the_rows_in_place_does_not_change_the_posterior(galaxies, of, change):
    X = of(np.asarray(galaxies, dtype=np.float64).reshape(-1, 1))
    posterior = bg.sample_posterior(X, 2, draws=20, rng=1, progress=False)
    before = posterior["observed_data"]["X"].values.copy()
    change(X)
    assert float(np.asarray(X)[0, 0]) == before[0, 0] + 1
    np.testing.assert_array_equal(posterior["observed_data"]["X"], before)
