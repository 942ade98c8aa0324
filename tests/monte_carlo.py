"""Draws against known values: Monte Carlo errors by ArviZ, and the two checks that the statistical tests share."""

import arviz as az
import numpy as np
import xarray as xr

# A mean outside this many Monte Carlo errors happens by chance once in 16,000 comparisons.
ERRORS = 4.0


def effective_draws(values, method="mean"):
    """(...,) effective draws of values (chain, draw, ...)."""
    dims = ("chain", "draw", *(f"axis_{i}" for i in range(values.ndim - 2)))
    return az.ess(xr.Dataset({"x": (dims, values)}), method=method)["x"].values


def summary(draws):
    """{name: (mean, sd, Monte Carlo error of the mean)} of {name: (chain, draw)}."""
    names = list(draws)
    values = np.stack([draws[name] for name in names], axis=-1)
    sd = values.std(axis=(0, 1))
    error = sd / np.sqrt(effective_draws(values))
    return dict(zip(names, zip(values.mean(axis=(0, 1)), sd, error, strict=True), strict=True))


def assert_means(draws, expected, largest_error=0.02):
    """Means of draws {name: (chain, draw)} within 4 Monte Carlo errors, themselves at most `largest_error` sds.

    What is off by 5 * `largest_error` sds is seen for sure: 4 errors of tolerance and one more. Prints the worst.
    """
    found = summary(draws)
    z = {name: (mean - expected[name]) / error for name, (mean, _, error) in found.items()}
    errors = {name: error / sd for name, (_, sd, error) in found.items()}
    print(f"{len(z)} means: {_worst(z):.1f} Monte Carlo errors off at most; errors at most {_worst(errors):.4f} sd")
    for name, (mean, _, _) in found.items():
        assert errors[name] <= largest_error, f"{name}: Monte Carlo error {errors[name]:.3f} sd"
        assert abs(z[name]) <= ERRORS, (
            f"{name}: {mean:.5f}, expected {expected[name]:.5f}, {z[name]:.1f} Monte Carlo errors"
        )


def assert_same_distribution(one, other, sd_ratio=1.05):
    """Means of two sets of draws within 4 combined Monte Carlo errors, sds within `sd_ratio` of each other.

    Prints the worst.
    """
    one, other = summary(one), summary(other)
    assert one.keys() == other.keys()
    z = {name: (one[name][0] - other[name][0]) / np.hypot(one[name][2], other[name][2]) for name in one}
    ratios = {name: one[name][1] / other[name][1] for name in one}
    largest = np.exp(_worst({name: np.log(ratio) for name, ratio in ratios.items()}))
    print(f"{len(z)} means: {_worst(z):.1f} combined Monte Carlo errors off at most; sds by a factor of {largest:.3f}")
    for name in one:
        assert abs(z[name]) <= ERRORS, (
            f"{name}: {one[name][0]:.5f} and {other[name][0]:.5f}, {z[name]:.1f} combined Monte Carlo errors"
        )
        assert 1 / sd_ratio <= ratios[name] <= sd_ratio, f"{name}: ratio of sds {ratios[name]:.3f}"


def _worst(values):
    return max(map(abs, values.values()))
