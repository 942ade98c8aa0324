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
    """{name: (mean, sd, Monte Carlo error of the mean, relative one of the sd)} of {name: (chain, draw)}."""
    names = list(draws)
    values = np.stack([draws[name] for name in names], axis=-1)
    mean, sd = values.mean(axis=(0, 1)), values.std(axis=(0, 1))
    squares = (values - mean) ** 2
    errors = sd / np.sqrt(effective_draws(values))
    sd_errors = squares.std(axis=(0, 1)) / np.sqrt(effective_draws(squares)) / (2 * sd**2)
    return dict(zip(names, zip(mean, sd, errors, sd_errors, strict=True), strict=True))


def assert_means(draws, expected, largest_error=0.02):
    """Means of draws {name: (chain, draw)} within 4 Monte Carlo errors, themselves at most `largest_error` sds.

    What is off by 5 * `largest_error` sds is seen for sure: 4 errors of tolerance and one more. Prints the worst.
    """
    found = summary(draws)
    z = {name: (mean - expected[name]) / error for name, (mean, _, error, _) in found.items()}
    errors = {name: error / sd for name, (_, sd, error, _) in found.items()}
    print(f"{len(z)} means: {_worst(z):.1f} Monte Carlo errors off at most; errors at most {_worst(errors):.4f} sd")
    for name, (mean, *_) in found.items():
        assert errors[name] <= largest_error, f"{name}: Monte Carlo error {errors[name]:.3f} sd"
        assert abs(z[name]) <= ERRORS, (
            f"{name}: {mean:.5f}, expected {expected[name]:.5f}, {z[name]:.1f} Monte Carlo errors"
        )


def assert_same_distribution(one, other, sd_errors=0.0):
    """Means of two sets of draws within 4 combined Monte Carlo errors, sds within 5 % or `sd_errors` of their errors.

    Prints the worst.
    """
    one, other = summary(one), summary(other)
    assert one.keys() == other.keys()
    z = {name: (one[name][0] - other[name][0]) / np.hypot(one[name][2], other[name][2]) for name in one}
    ratios = {name: one[name][1] / other[name][1] for name in one}
    largest = np.exp(_worst({name: np.log(ratio) for name, ratio in ratios.items()}))
    errors = {name: np.hypot(one[name][3], other[name][3]) for name in one}
    print(
        f"{len(z)} means: {_worst(z):.1f} combined Monte Carlo errors off at most; sds by a factor of {largest:.3f}, "
        f"their errors {100 * _worst(errors):.1f} % at most"
    )
    for name in one:
        assert abs(z[name]) <= ERRORS, (
            f"{name}: {one[name][0]:.5f} and {other[name][0]:.5f}, {z[name]:.1f} combined Monte Carlo errors"
        )
        assert abs(np.log(ratios[name])) <= max(np.log(1.05), sd_errors * errors[name]), (
            f"{name}: ratio of sds {ratios[name]:.3f}"
        )


def _worst(values):
    return max(map(abs, values.values()))
