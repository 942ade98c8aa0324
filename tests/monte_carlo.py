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
    """Means of draws {name: (chain, draw)} within 4 Monte Carlo errors, themselves below `largest_error` sds.

    What is off by 5 * `largest_error` sds is seen for sure: 4 errors of tolerance and one more.
    """
    for name, (mean, sd, error) in summary(draws).items():
        assert error <= largest_error * sd, f"{name}: Monte Carlo error {error / sd:.3f} sd"
        z = (mean - expected[name]) / error
        assert abs(z) <= ERRORS, f"{name}: {mean:.5f}, expected {expected[name]:.5f}, {z:.1f} Monte Carlo errors"


def assert_same_distribution(one, other, sd_ratio=1.05):
    """Means of two sets of draws within 4 combined Monte Carlo errors, sds within `sd_ratio` of each other."""
    one, other = summary(one), summary(other)
    assert one.keys() == other.keys()
    for name, (mean, sd, error) in one.items():
        other_mean, other_sd, other_error = other[name]
        z = (mean - other_mean) / np.hypot(error, other_error)
        assert abs(z) <= ERRORS, f"{name}: {mean:.5f} and {other_mean:.5f}, {z:.1f} combined Monte Carlo errors"
        ratio = sd / other_sd
        assert 1 / sd_ratio <= ratio <= sd_ratio, f"{name}: ratio of sds {ratio:.3f}"
