"""Targets made from rows or from a PyMC model."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.model.prior import Prior, check_prior
from bayesgmm.bayes.sampling import nuts
from bayesgmm.bayes.sampling.target import Target
from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import Rows, rows_of
from bayesgmm.mixture.covariance import structure_named
from bayesgmm.mixture.data_covariance import total_cholesky
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.validation import Table, as_table, check_n_components

_N_STARTS = 10


def _as_starts(start: Any) -> list[MixtureParameters]:
    starts = [] if start is None else [start] if not isinstance(start, Sequence) else list(start)
    wrong = [one for one in starts if not isinstance(one, MixtureParameters)]
    if wrong or (start is not None and not starts):
        raise InputError(
            f"start must be a MixtureParameters, such as fit_em(...).parameters, or a list of at least one; received "
            f"{type(wrong[0]).__name__ if wrong else 'an empty list'}."
        )
    return starts


def _is_pymc_model(X: Any) -> bool:
    pymc = sys.modules.get("pymc")  # whoever has a model has imported PyMC; nobody else has to wait for it
    return pymc is not None and isinstance(X, pymc.Model)


def _model_target(model: Any, starts: Sequence[MixtureParameters], rng: np.random.Generator) -> Target:
    if len(starts) > 1:
        raise InputError(
            f"start must be one MixtureParameters when X is a pymc.Model, whose modes cannot be told from themselves "
            f"with other labels; received {len(starts)}. Sample from each in a call of its own."
        )
    # This imports PyTensor and PyMC, which the default model does without.
    from bayesgmm.bayes.sampling.pymc_target import CompiledModel

    posterior = CompiledModel(model)
    table = None
    observed = {variable.name: variable for variable in model.observed_RVs}
    if "X" in observed:
        values = np.asarray(model.rvs_to_values[observed["X"]].eval())
        features = model.coords.get("feature")
        if values.ndim == 2 and features is not None and len(features) == values.shape[1]:
            table = Table(values, tuple(map(str, features)))
    searches = [posterior.starts(starts[0] if starts else None, rng)]
    return Target(posterior, searches, None, tuple(posterior.kept), table, {"model": "pymc.Model"})


def _default_target(
    X: ArrayLike,
    n_components: int | None,
    covariance: str,
    prior: Prior | None,
    starts: Sequence[MixtureParameters],
    rng: np.random.Generator,
) -> Target:
    structure = structure_named(covariance)
    table = as_table(X)
    K = check_n_components(n_components, table)
    check_prior(prior)
    rows = rows_of(np.ascontiguousarray(table.values))
    total_cholesky(rows, table.features, structure)  # refuses what makes the posterior improper
    prior = prior or Prior.for_rows(rows, table.features, structure)
    density = MixtureDensity.of(rows, K, structure, prior)
    for start in starts:
        start.check_start(K, table.features)
    searches = [[density.unconstrain(start)] for start in starts] or [
        [density.unconstrain(mixture) for mixture in _random_mixtures(rows, K, rng)]
    ]
    attributes = {"model": "default", "covariance": structure.name, "prior": density.prior.expression()}
    return Target(nuts.CompiledDensity(density), searches, density, (), table, attributes)


def _random_mixtures(rows: Rows, n_components: int, rng: np.random.Generator) -> list[MixtureParameters]:
    """Mixtures with random rows as means, equal weights, and variances shrunk from the data's to K equal volumes."""
    variances = rows.stds**2 * n_components ** (-2 / rows.n_features)
    covariances = np.broadcast_to(np.diag(variances), (n_components, len(variances), len(variances)))
    weights = np.full(n_components, 1 / n_components)
    return [
        MixtureParameters(weights, rows.values[rng.choice(rows.n_samples, n_components, replace=False)], covariances)
        for _ in range(_N_STARTS)
    ]
