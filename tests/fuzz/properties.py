"""The property that every public function must have: a refusal that helps, or a valid answer, and nothing else."""

import re
import warnings
from contextlib import contextmanager

import numpy as np

from bayesgmm.errors import BayesgmmError, BayesgmmWarning

LONGEST_MESSAGE = 2000
# A message helps if a second sentence says what to do, or if its one sentence is the rule for the argument, so that
# the remedy is to keep it: "n_init must be a whole number of at least 1; received 0."
_RULE = re.compile(r"\bmust\b")
_SECOND_SENTENCE = re.compile(r"[.:;?] \S.*[.)]$", re.DOTALL)


class Refused(Exception):  # noqa: N818  (it is an outcome)
    """A public function refused its arguments, as it should. The text is the kind of refusal."""


def message_fault(message):
    """What is wrong with the message of an error or a warning, or None."""
    if not 20 <= len(message) < LONGEST_MESSAGE:
        return f"its length is {len(message)}"
    if not all(character.isprintable() or character == "\n" for character in message):
        return "it has characters that are not printable"
    if not message.rstrip().endswith((".", ")")):
        return "it does not end as a sentence"
    if not (_RULE.search(message) or _SECOND_SENTENCE.search(message)):
        return "it states no rule and no remedy"
    return None


def check_message(error):
    fault = message_fault(str(error))
    assert fault is None, f"message of {type(error).__name__}: {fault}: {str(error)[:500]!r}"


def ask(call, *, is_expected=lambda error: False):
    """Call a public function; a refusal with a helpful message ends the case.

    is_expected(error): whether another library documents this error as its own refusal.
    """
    try:
        return call()
    except BayesgmmError as error:
        check_message(error)
        raise Refused(type(error).__name__) from error
    except Exception as error:
        if is_expected(error):
            raise Refused(f"of {type(error).__module__.split('.')[0]}") from error
        raise


@contextmanager
def watched():
    """Fail on warnings that are not the package's own, or that do not help."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        assert issubclass(warning.category, BayesgmmWarning), (
            f"{warning.category.__name__} reaches the user, from {warning.filename}:{warning.lineno}: "
            f"{str(warning.message)[:300]}"
        )
        check_message(warning.message)


def check_finite(**arrays):
    for name, array in arrays.items():
        values = np.asarray(array, dtype=float)
        assert np.isfinite(values).all(), f"{name} is not finite: {values.ravel()[:20]}"


def check_mixture(parameters):
    """Weights sum to 1, covariances are symmetric and positive definite, everything is finite."""
    weights, means, covariances = parameters.weights, parameters.means, parameters.covariances
    check_finite(weights=weights, means=means, covariances=covariances)
    assert (weights >= 0).all() and abs(weights.sum() - 1) < 1e-8, f"weights {weights}"
    check_covariances(covariances)


def check_covariances(covariances):
    stds = np.sqrt(np.einsum("...ii->...i", covariances))
    assert (stds > 0).all(), f"standard deviations {stds}"
    correlations = covariances / stds[..., np.newaxis] / stds[..., np.newaxis, :]
    assert np.abs(correlations - correlations.swapaxes(-1, -2)).max() < 1e-12, "covariances are not symmetric"
    try:
        np.linalg.cholesky(correlations)
    except np.linalg.LinAlgError as error:
        raise AssertionError(f"a covariance is not positive definite: {covariances}") from error


def check_probabilities(probabilities):
    check_finite(probabilities=probabilities)
    assert (np.asarray(probabilities) >= 0).all()
    np.testing.assert_allclose(np.asarray(probabilities).sum(axis=-1), 1, rtol=1e-9)


def check_close(received, expected, tolerance, name):
    assert abs(received - expected) <= tolerance, f"{name}: {received!r}, expected {expected!r} +- {tolerance:.3g}"
