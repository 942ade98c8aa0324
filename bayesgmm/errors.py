"""Errors and warnings that bayesgmm raises on purpose."""

from bayesgmm.escaping import printable

__all__ = ["BayesgmmError", "InputError", "FitError", "SamplingError", "BayesgmmWarning"]


class _PrintableError(Exception):
    """An exception whose message is safe to print: it may quote names from files."""

    def __init__(self, message: str = "", *further: object) -> None:
        super().__init__(printable(message) if isinstance(message, str) else message, *further)


class BayesgmmError(_PrintableError):
    """Base class of every error that bayesgmm raises on purpose.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> try:
    ...     bg.fit_em([1.0, 2.0, 3.0], 4)
    ... except bg.errors.BayesgmmError as error:
    ...     print(type(error).__name__)
    InputError
    """


class InputError(BayesgmmError, ValueError):
    """An argument, a file or a table cannot be used. The message names it, the rule, the value and the remedy.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> bg.datasets.simulate(0, 2, 2)
    Traceback (most recent call last):
        ...
    bayesgmm.errors.InputError: n_samples must be a whole number of at least 1; received 0.
    """


class FitError(BayesgmmError):
    """No start of EM led to a usable fit, or the standard errors of a fit cannot be computed.

    Attributes
    ----------
    restarts : tuple of `results.Restart`, one per start of EM; empty if the error is about standard errors.
    reason : the message without its advice.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> try:
    ...     bg.fit_em([0.0, 0.0, 0.0, 1.0, 1.0, 1.0], 2, rng=1)
    ... except bg.errors.FitError as error:
    ...     print({run.status.text for run in error.restarts})
    {'collapsed'}
    """

    def __init__(self, message: str, restarts: tuple[object, ...] = (), *, reason: str = "") -> None:
        super().__init__(message)
        self.restarts = restarts
        self.reason = reason or message


class SamplingError(BayesgmmError):
    """The sampler could not start, or its draws are not valid mixtures.

    Attributes
    ----------
    draws : xarray.DataTree with the draws made before the error, or None.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> prior = bg.Prior(mean_location=1e12, mean_scale=1e-12, std=bg.priors.LogNormal(1e-12))  # far from any data
    >>> try:
    ...     bg.sample_posterior(bg.datasets.load_faithful(), 1, prior=prior, draws=10, rng=1, progress=False)
    ... except bg.errors.SamplingError as error:
    ...     print(str(error).split(":")[0])
    Some draws have covariances that are singular to machine precision
    """

    def __init__(self, message: str, draws: object = None) -> None:
        super().__init__(message)
        self.draws = draws


class BayesgmmWarning(_PrintableError, UserWarning):  # noqa: N818
    """The result is usable, but not in full what was asked for. The message says what is missing, and why.

    Examples
    --------
    >>> import warnings
    >>> import bayesgmm as bg
    >>> em = bg.fit_em(bg.datasets.load_galaxies(), 4, rng=1)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     errors = em.standard_errors("bootstrap", n_replicates=40, rng=1)
    >>> [warning.category.__name__ for warning in caught], errors.n_failed > 2
    (['BayesgmmWarning'], True)
    """
