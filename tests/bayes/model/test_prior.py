"""The prior: its families against SciPy, its defaults against the data, its errors."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.integrate import quad

import bayesgmm as bg
from bayesgmm.mixture.covariance import STRUCTURES

ROWS = bg.datasets.load_faithful().to_numpy(dtype=np.float64)
SPHERICAL, FULL = STRUCTURES["spherical"], STRUCTURES["full"]

# Each family with parameters that differ between two features, and SciPy's distribution of a standard deviation.
FAMILIES = {
    "LogNormal": (
        bg.priors.LogNormal(median=[0.5, 3e4], log_sd=[1.0, 0.3]),
        [stats.lognorm(s=1.0, scale=0.5), stats.lognorm(s=0.3, scale=3e4)],
    ),
    "HalfNormal": (bg.priors.HalfNormal([2.0, 1e-3]), [stats.halfnorm(scale=2.0), stats.halfnorm(scale=1e-3)]),
    "Gamma": (
        bg.priors.Gamma(alpha=[2.5, 0.7], beta=[3.0, 1e-2]),
        [stats.gamma(2.5, scale=1 / 3.0), stats.gamma(0.7, scale=1e2)],
    ),
    "InverseGamma": (
        bg.priors.InverseGamma(alpha=[2.5, 0.7], beta=[3.0, 1e-2]),
        [stats.invgamma(2.5, scale=3.0), stats.invgamma(0.7, scale=1e-2)],
    ),
    "Exponential": (bg.priors.Exponential([2.0, 1e5]), [stats.expon(scale=2.0), stats.expon(scale=1e5)]),
}


def log_density_of_log_sd(prior, log_sd):
    """What `log_scale_coefficients` says, one column a feature."""
    v0, c0, c1, c2, c3, c4, c5 = prior.log_scale_coefficients()
    u = log_sd[:, np.newaxis] - v0
    return c0 + c1 * u + c2 * u**2 + c3 * np.exp(u) + c4 * np.exp(-u) + c5 * np.exp(2 * u)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_density_of_log_sd_is_scipys_density_of_sd_times_sd(family):
    prior, distributions = FAMILIES[family]
    for feature, distribution in enumerate(distributions):
        sd = distribution.ppf([1e-6, 0.01, 0.2, 0.5, 0.9, 0.999])
        expected = distribution.logpdf(sd) + np.log(sd)
        assert_allclose(log_density_of_log_sd(prior, np.log(sd))[:, feature], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("structure", STRUCTURES.values(), ids=lambda structure: structure.name)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_log_density_of_a_mixture_is_scipys_up_to_a_constant(family, structure):
    """Of what components or features share, once."""
    std, distributions = FAMILIES[family]
    rng, (S, K, D) = np.random.default_rng(1), (5, 3, 2)
    if structure.spherical:
        std, distributions = type(std)(*(np.ravel(value)[0] for value in vars(std).values())), distributions[:1] * 2
    prior = bg.Prior([1.0, -2.0], [3.0, 0.5], std, 2.5, 1.7)
    weights, means = rng.dirichlet(np.ones(K), S), rng.normal(size=(S, K, D))
    stds = np.stack([d.rvs((S, K), random_state=rng) for d in distributions], axis=-1)
    r = rng.uniform(-0.9, 0.9, (S, K))
    if structure.shared:
        stds, r = np.repeat(stds[:, :1], K, axis=1), np.repeat(r[:, :1], K, axis=1)
    if structure.spherical:
        stds = np.repeat(stds[..., :1], D, axis=2)
    correlations = np.tile(np.eye(D), (S, K, 1, 1))
    own = 1 if structure.shared else K
    expected = stats.norm([1.0, -2.0], [3.0, 0.5]).logpdf(means).sum(axis=(1, 2))
    expected += [stats.dirichlet(np.full(K, 2.5)).logpdf(w) for w in weights]
    for d in range(1 if structure.spherical else D):
        expected += distributions[d].logpdf(stds[:, :own, d]).sum(axis=1)
    if not structure.diagonal:  # LKJ(eta) of two features: (r + 1) / 2 ~ Beta(eta, eta)
        correlations[..., 0, 1] = correlations[..., 1, 0] = r
        expected += stats.beta(1.7, 1.7, loc=-1, scale=2).logpdf(r[:, :own]).sum(axis=1)
    values = {"weights": weights, "means": means, "stds": stds, "correlations": correlations}
    found = prior.for_features(D, structure).log_density(values, structure)
    assert_allclose(np.diff(found), np.diff(expected), rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_density_of_log_sd_integrates_to_one(family):
    prior, distributions = FAMILIES[family]
    for feature, distribution in enumerate(distributions):
        middle = np.log(distribution.median())

        def density(log_sd, feature=feature):
            return np.exp(log_density_of_log_sd(prior, np.array([log_sd]))[0, feature])

        # The longest tails, of alpha = 0.7, have e^-42 of their mass left 60 units from the median.
        assert quad(density, middle - 60, middle + 60, points=[middle], limit=200)[0] == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("family", FAMILIES)
def test_pymc_has_the_same_density_under_the_names_that_arguments_gives(family):
    import pymc as pm

    prior, distributions = FAMILIES[family]
    of_pymc = getattr(pm, prior.distribution).dist(**prior.arguments())
    for feature, distribution in enumerate(distributions):
        sd = np.full(2, distribution.median())
        value = pm.logp(of_pymc, sd).eval(mode="FAST_COMPILE")[feature]
        assert value == pytest.approx(distribution.logpdf(sd[0]), rel=1e-10)


@pytest.mark.parametrize(
    "prior",
    [bg.Prior.for_data(ROWS).std, bg.priors.LogNormal(1.0), bg.priors.InverseGamma(0.5, 1e-3)],
    ids=["default", "LogNormal", "InvGamma"],
)
def test_the_default_prior_of_a_standard_deviation_vanishes_faster_than_any_power_near_0(prior):
    # The slope of the log density in log sd is the power at which it vanishes; it grows without bound.
    log_sd = np.linspace(-5.0, -400.0, 80)
    slopes = np.diff(log_density_of_log_sd(prior, log_sd), axis=0) / np.diff(log_sd)[:, np.newaxis]
    assert (np.diff(slopes, axis=0) > 0).all()
    assert (slopes[-1] > 272).all()  # as many equal rows as there are rows: still proper


@pytest.mark.parametrize(
    "prior",
    [bg.priors.HalfNormal(1.0), bg.priors.Exponential(1.0), bg.priors.Gamma(2.0, 1.0)],
    ids=lambda p: type(p).__name__,
)
def test_the_priors_said_to_be_improper_under_ties_vanish_like_a_power(prior):
    slope = np.diff(log_density_of_log_sd(prior, np.array([-40.0, -41.0])), axis=0)[0, 0]
    power = float(np.asarray(prior.alpha)) if isinstance(prior, bg.priors.Gamma) else 1.0
    assert -slope == pytest.approx(power, rel=1e-12)


# Defaults scaled to the data.


def test_defaults_are_the_middle_the_range_and_half_the_standard_deviation():
    prior = bg.Prior.for_data(ROWS)
    assert_allclose(prior.mean_location, [3.35, 69.5], rtol=1e-15)  # eruptions 1.6 to 5.1, waiting 43 to 96
    assert_allclose(prior.mean_scale, [3.5, 53.0], rtol=1e-15)
    assert isinstance(prior.std, bg.priors.LogNormal)
    assert_allclose(prior.std.median, ROWS.std(axis=0) / 2, rtol=1e-13)
    assert_array_equal(prior.std.log_sd, 1.0)
    assert (prior.concentration, prior.correlation_eta) == (1.0, 1.0)


def test_a_spherical_default_has_one_median_for_all_features():
    prior = bg.Prior.for_data(ROWS, "spherical")
    assert_allclose(prior.std.median, np.sqrt(ROWS.var(axis=0).mean()) / 2, rtol=1e-13)


@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize("scale", [1e-12, 60.0, 1e12])
def test_defaults_follow_the_units_and_the_origin(scale, covariance):
    prior, reference = bg.Prior.for_data(scale * (ROWS - 7.0), covariance), bg.Prior.for_data(ROWS, covariance)
    assert_allclose(prior.mean_location, scale * (reference.mean_location - 7.0), rtol=1e-12)
    assert_allclose(prior.mean_scale, scale * reference.mean_scale, rtol=1e-12)
    assert_allclose(prior.std.median, scale * reference.std.median, rtol=1e-12)
    assert_array_equal(prior.std.log_sd, reference.std.log_sd)


def test_defaults_follow_the_units_of_each_column_by_itself():
    scales = np.array([1e9, 1e-9])
    prior, reference = bg.Prior.for_data(ROWS * scales), bg.Prior.for_data(ROWS)
    assert_allclose(prior.mean_scale, scales * reference.mean_scale, rtol=1e-12)
    assert_allclose(prior.std.median, scales * reference.std.median, rtol=1e-12)


def test_defaults_do_not_depend_on_the_type_of_the_numbers():
    rounded = np.round(ROWS)
    reference = bg.Prior.for_data(rounded)
    for dtype in (np.uint8, np.float32, np.int64):
        prior = bg.Prior.for_data(rounded.astype(dtype))
        assert_allclose(prior.mean_location, reference.mean_location, rtol=1e-12)
        assert_allclose(prior.std.median, reference.std.median, rtol=1e-12)


def test_defaults_keep_their_digits_far_from_the_origin():
    shift = 1e8 * ROWS.std(axis=0)
    kept = (ROWS + shift) - shift
    assert_allclose(bg.Prior.for_data(ROWS + shift).std.median, kept.std(axis=0) / 2, rtol=1e-9)


def test_changes_replace_defaults_and_leave_the_others():
    prior = bg.Prior.for_data(ROWS, concentration=2, correlation_eta=3.0, std=bg.priors.HalfNormal(1.0))
    assert (prior.concentration, prior.correlation_eta) == (2.0, 3.0)
    assert isinstance(prior.std, bg.priors.HalfNormal)
    assert_array_equal(prior.mean_scale, bg.Prior.for_data(ROWS).mean_scale)


# One value a feature.


def test_one_number_serves_all_features():
    prior = bg.Prior(0.0, 2.0, bg.priors.Gamma(1.5, [1.0, 2.0, 3.0])).for_features(3, FULL)
    assert_array_equal(prior.mean_location, [0.0, 0.0, 0.0])
    assert_array_equal(prior.mean_scale, [2.0, 2.0, 2.0])
    assert_array_equal(prior.std.alpha, [1.5, 1.5, 1.5])
    assert_array_equal(prior.std.beta, [1.0, 2.0, 3.0])


def test_a_spherical_structure_takes_one_number_or_equal_ones():
    prior = bg.Prior(0.0, 2.0, bg.priors.LogNormal([3.0, 3.0])).for_features(2, SPHERICAL)
    assert prior.std.median.shape == () and prior.std.median == 3.0
    with pytest.raises(
        bg.errors.InputError, match=r"LogNormal.median differs between features.*spherical.*Pass one number"
    ):
        bg.Prior(0.0, 2.0, bg.priors.LogNormal([3.0, 4.0])).for_features(2, SPHERICAL)


WRONG_LENGTHS = {
    "mean_location": (
        bg.Prior([0.0, 1.0, 2.0], 1.0, bg.priors.LogNormal(1.0)),
        r"mean_location must be .* \(2,\).*\(3,\)",
    ),
    "mean_scale": (bg.Prior(0.0, [1.0, 2.0, 3.0], bg.priors.LogNormal(1.0)), r"mean_scale must be .* \(2,\).*\(3,\)"),
    "std": (bg.Prior(0.0, 1.0, bg.priors.Gamma([1.0, 2.0, 3.0], 1.0)), r"Gamma must have one value, or 2, .*\(3,\)"),
}


@pytest.mark.parametrize("field", WRONG_LENGTHS)
def test_values_for_other_features_are_refused(field):
    prior, message = WRONG_LENGTHS[field]
    with pytest.raises(bg.errors.InputError, match=message):
        prior.for_features(2, FULL)


# What is no prior.

MAKE = {"mean_location": 0.0, "mean_scale": 1.0, "std": bg.priors.LogNormal(1.0)}
NO_NUMBER = "must be real numbers; received "
NO_PRIORS = {
    "NaN location": ({"mean_location": np.nan}, "Prior.mean_location must be finite.*received nan"),
    "location in two dimensions": ({"mean_location": [[0.0]]}, r"Prior.mean_location must be .* received \[\[0.0\]\]"),
    "no location": ({"mean_location": []}, r"Prior.mean_location must be .* received \[\]"),
    "text for a location": ({"mean_location": "0"}, f"Prior.mean_location {NO_NUMBER}str"),
    "None for a location": ({"mean_location": None}, "Prior.mean_location must be finite"),
    "scale of 0": ({"mean_scale": 0.0}, "Prior.mean_scale must be above 0; received 0.0"),
    "one scale negative": ({"mean_scale": [1.0, -1.0]}, r"Prior.mean_scale must be above 0; received \[1.0, -1.0\]"),
    "infinite scale": ({"mean_scale": np.inf}, "Prior.mean_scale must be finite"),
    "complex scale": ({"mean_scale": np.array([1j])}, f"Prior.mean_scale {NO_NUMBER}ndarray of dtype complex"),
    "concentration of 0": ({"concentration": 0}, "Prior.concentration must be above 0"),
    "two concentrations": ({"concentration": [1.0, 2.0]}, "Prior.concentration must be finite, one number;"),
    "negative eta": ({"correlation_eta": -1.0}, "Prior.correlation_eta must be above 0; received -1.0"),
    "text for eta": ({"correlation_eta": "a"}, f"Prior.correlation_eta {NO_NUMBER}str"),
    "a number for the family": ({"std": 1.0}, r"Prior.std must be a prior .*LogNormal\(median=1.0\); received 1.0"),
    "a class for the family": ({"std": bg.priors.LogNormal}, "Prior.std must be a prior of standard deviations"),
}


@pytest.mark.parametrize("problem", NO_PRIORS)
def test_what_is_no_prior_is_refused_by_its_field(problem):
    changes, message = NO_PRIORS[problem]
    with pytest.raises(bg.errors.InputError, match=message):
        bg.Prior(**(MAKE | changes))
    with pytest.raises(bg.errors.InputError, match=message):
        bg.Prior.for_data(ROWS, **changes)


def test_an_unknown_field_is_refused_with_the_fields_there_are():
    with pytest.raises(
        bg.errors.InputError, match=r"no field alpha, concentrate; its fields are mean_location, .*concentration"
    ):
        bg.Prior.for_data(ROWS, concentrate=1.0, alpha=2.0)


NO_FAMILIES = {
    "median of 0": (partial(bg.priors.LogNormal, 0.0), "LogNormal.median must be finite and above 0.*received 0.0"),
    "negative log_sd": (partial(bg.priors.LogNormal, 1.0, -1.0), "LogNormal.log_sd must be finite and above 0"),
    "infinite median": (partial(bg.priors.LogNormal, np.inf), "LogNormal.median must be finite"),
    "NaN sigma": (partial(bg.priors.HalfNormal, [1.0, np.nan]), "HalfNormal.sigma must be finite"),
    "text": (partial(bg.priors.Exponential, "a"), f"Exponential.mean {NO_NUMBER}str"),
    "None": (partial(bg.priors.Fixed, None), "Fixed.value must be finite"),
    "empty": (partial(bg.priors.Fixed, []), r"Fixed.value must be finite and above 0, .* received \[\]"),
    "two dimensions": (partial(bg.priors.Fixed, [[1.0]]), r"Fixed.value must be .* received \[\[1.0\]\]"),
    "lengths that disagree": (
        partial(bg.priors.Gamma, [1.0, 2.0, 3.0], [4.0, 5.0]),
        r"Gamma must have one value.*\(3,\).*\(2,\)",
    ),
    "bounds of lengths that disagree": (
        partial(bg.priors.Uniform, [1.0, 2.0, 3.0], [4.0, 5.0]),
        "Uniform must have one value",
    ),
    "lower bound of 0": (partial(bg.priors.Uniform, 0.0, 1.0), "Uniform.lower must be finite and above 0"),
    "bounds exchanged": (
        partial(bg.priors.Uniform, 2.0, 1.0),
        "Uniform.lower must be below Uniform.upper; received 2.0 and 1.0",
    ),
    "bounds that are equal": (
        partial(bg.priors.Uniform, [1.0, 2.0], [3.0, 2.0]),
        "Uniform.lower must be below Uniform.upper",
    ),
}


@pytest.mark.parametrize("problem", NO_FAMILIES)
def test_what_is_no_family_is_refused_by_its_parameter(problem):
    make, message = NO_FAMILIES[problem]
    with pytest.raises(bg.errors.InputError, match=message):
        make()


def test_a_prior_keeps_its_own_read_only_copies():
    scale, median = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    prior = bg.Prior(0.0, scale, bg.priors.LogNormal(median))
    scale[0] = median[0] = 99.0
    assert_array_equal(prior.mean_scale, [1.0, 2.0])
    assert_array_equal(prior.std.median, [3.0, 4.0])
    for array in (prior.mean_scale, prior.std.median):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
