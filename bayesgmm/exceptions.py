"""What bayesgmm raises and warns with."""


class BayesgmmError(Exception):
    """Base of every error that bayesgmm raises on purpose."""


class InputError(BayesgmmError, ValueError):
    """An argument, a file or a table cannot be used; the message names it, the rule and the remedy."""


class FitError(BayesgmmError):
    """No start of EM led to a usable fit, or a fit has no standard errors. `restarts`: the record of every run."""

    def __init__(self, message: str, restarts: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.restarts = restarts


class SamplingError(BayesgmmError):
    """The sampler could not start, or its draws are no mixtures. `draws` holds what it left, as a DataTree, or None."""

    def __init__(self, message: str, draws: object = None) -> None:
        super().__init__(message)
        self.draws = draws


class BayesgmmWarning(UserWarning):
    """The result is usable but not what was asked for in full; the message says what and why."""
