"""`build_model`: the mixture as a PyMC model to read, draw from and extend."""

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import ArrayLike
from pymc.logprob.transforms import Transform

from bayesgmm.bayes.model.prior import Prior, check_prior, resolution_factor
from bayesgmm.bayes.model.resolution import log_mean_factor
from bayesgmm.bayes.model.std_priors import StdPrior
from bayesgmm.bayes.model.variables import RESOLUTION, SPHERICAL_STDS, STDS, TIED_STDS, VINE
from bayesgmm.bayes.pymc.op import MixtureLogLikelihood
from bayesgmm.checked_tables import check_n_components
from bayesgmm.mixture.checked_rows import as_rows
from bayesgmm.mixture.covariance import CovarianceStructure, structure_named
from bayesgmm.mixture.data_covariance import total_cholesky
from bayesgmm.types import FloatArray


class Standardised(Transform):
    """(value - location) / scale, so that the unconstrained space does not depend on the units of the data."""

    name = "standardised"
    ndim_supp = 0

    def __init__(self, location: FloatArray, scale: FloatArray) -> None:
        self.location, self.scale = location, scale

    def forward(self, value: Any, *inputs: Any) -> Any:
        """Return the unconstrained value."""
        return (value - self.location) / self.scale

    def backward(self, value: Any, *inputs: Any) -> Any:
        """Return the value in the units of the data."""
        return value * self.scale + self.location

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:
        """Return log |d value / d unconstrained value|."""
        return pt.broadcast_to(np.log(self.scale), value.shape)


def build_model(X: ArrayLike, n_components: int, covariance: str = "full", prior: Prior | None = None) -> pm.Model:
    """Return the Gaussian mixture as a PyMC model, with the components of the rows summed out.

    log p(X) = sum_i log sum_k w_k N(x_i | mu_k, Sigma_k) (Bishop 2006, Pattern recognition and machine learning,
    eq. 9.14), with the prior of `Prior`. No order is imposed on the components: label the draws with `align`.

    Parameters
    ----------
    X : (n_samples, n_features) array or data frame, or (n_samples,) for one feature.
    n_components : number of components.
    covariance : "full", "tied", "diag" or "spherical".
    prior : in the units of the data; by default `Prior.for_data(X, covariance)`.

    Returns
    -------
    pymc.Model
        With `weights` (component), `means` (component, feature), `stds`, `correlations` and `covariances`; the data
        are the observed variable `X`, and the prior's factor for the resolution is the potential `resolution`, which
        PyMC's draws from the prior leave out, with a warning. Draw from it with PyMC's own functions, change it, or
        hand it to `sample_model`.

    Raises
    ------
    InputError
        The data, an option or the prior cannot be used; the message says why.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> model = bg.build_model(bg.datasets.load_faithful(), 2)
    >>> [variable.name for variable in model.free_RVs]
    ['weights', 'means', 'stds', 'lkj_vine']
    >>> model.coords["feature"]
    ('eruptions', 'waiting')
    """
    structure = structure_named(covariance)
    rows = as_rows(X)
    K, D = check_n_components(n_components, rows), rows.n_features
    check_prior(prior)
    total_cholesky(rows, structure)  # raises for data under which the posterior is improper
    prior = (prior or Prior.for_rows(rows, structure)).for_features(D, structure)
    coords = {
        "component": np.arange(K),
        "feature": list(rows.features),
        "feature_other": list(rows.features),
        "pair": [f"{rows.features[i]}, {rows.features[j]}" for i in range(D) for j in range(i)],
        "row": np.arange(rows.n_samples),
    }
    with pm.Model(coords=coords) as model:
        weights = pm.Dirichlet("weights", a=np.full(K, prior.concentration), dims="component")
        location, scale = np.asarray(prior.mean_location), np.asarray(prior.mean_scale)
        means = pm.Normal(
            "means",
            mu=location,
            sigma=scale,
            transform=Standardised(location, scale),
            dims=("component", "feature"),
        )
        stds = _stds(prior.std, structure, K, D)
        correlation_choleskys = _correlation_choleskys(prior.correlation_eta, structure, K, D)
        choleskys = stds[:, :, None] * correlation_choleskys
        pm.Deterministic(
            "correlations",
            correlation_choleskys @ correlation_choleskys.mT,
            dims=("component", "feature", "feature_other"),
        )
        pm.Deterministic("covariances", choleskys @ choleskys.mT, dims=("component", "feature", "feature_other"))
        _add_resolution(prior, structure, K, choleskys)
        # As data and not as a constant, so that the compiled model serves the next data set too.
        data = pm.Data("data", np.ascontiguousarray(rows.values, dtype=np.float64), dims=("row", "feature"))
        log_likelihood = MixtureLogLikelihood(structure.diagonal)

        def logp(value: Any, weights: Any, means: Any, choleskys: Any) -> Any:
            # PyMC passes the parameters with a leading axis for the rows. This returns one number, the sum over all
            # rows: nothing else is needed.
            return log_likelihood(value, rows.origin, pt.log(weights[0]), means[0], choleskys[0])[0]

        pm.CustomDist(
            "X",
            weights,
            means,
            choleskys,
            logp=logp,
            random=_draw_rows,
            signature="(k),(k,d),(k,d,d)->(d)",
            observed=data,
            dims=("row", "feature"),
        )
    return model


def _stds(prior: StdPrior, structure: CovarianceStructure, K: int, D: int) -> Any:
    """Return standard deviations (K, D), registered in the model as `stds`."""
    known = prior.known_value()
    if known is not None:
        return pm.Deterministic(STDS, pt.as_tensor(np.broadcast_to(known, (K, D))), dims=("component", "feature"))
    family = getattr(pm, prior.distribution)
    arguments = {name: np.asarray(value) for name, value in prior.arguments().items()}
    if structure.shared:
        stds = pt.broadcast_to(family(TIED_STDS, **arguments, dims="feature"), (K, D))
    elif structure.spherical:
        stds = pt.broadcast_to(family(SPHERICAL_STDS, **arguments, dims="component")[:, None], (K, D))
    else:
        return family(STDS, **arguments, dims=("component", "feature"))
    return pm.Deterministic(STDS, stds, dims=("component", "feature"))


def _correlation_choleskys(eta: float, structure: CovarianceStructure, K: int, D: int) -> Any:
    """Return Cholesky factors (K, D, D) of correlation matrices that are LKJ(eta), or of the identity.

    Lewandowski, Kurowicka and Joe (2009), section 2.4: the canonical partial correlations are independent. That of
    columns i and j given 1..j-1 is Beta(b, b) on (-1, 1) with b = eta + (D - 1 - j) / 2, j counted from 1. Then
    L_ij = p_ij prod_{m<j} sqrt(1 - p_im^2). Unlike `pm.LKJCorr` under NUTS, this is exact for every D, and it makes all
    components one array.
    """
    if structure.diagonal or D == 1:
        return pt.as_tensor(np.broadcast_to(np.eye(D), (K, D, D)))
    rows, columns = np.tril_indices(D, -1)
    b = eta + (D - 2 - columns) / 2
    if structure.shared:
        unit = pm.Beta(VINE, b, b, dims="pair")[None, :]
    else:
        unit = pm.Beta(VINE, b, b, dims=("component", "pair"))
    if D == 2:
        return pt.broadcast_to(_two_by_two(2 * unit[:, 0] - 1, 4 * unit[:, 0] * (1 - unit[:, 0])), (K, D, D))
    leading = 1 if structure.shared else K
    identity = pt.as_tensor(np.broadcast_to(np.eye(D), (leading, D, D)))
    partial = identity[:, rows, columns].set(2 * unit - 1)
    # 1 - p^2 written with the unit variable, which keeps its digits near p = -1 and p = 1.
    log_complements = pt.zeros((leading, D, D))[:, rows, columns].set(0.5 * (pt.log(4 * unit) + pt.log1p(-unit)))
    log_residual = pt.cumsum(log_complements, axis=2) - log_complements
    choleskys = partial * pt.tril(pt.exp(log_residual))
    return pt.broadcast_to(choleskys, (K, D, D))


def _two_by_two(partial: Any, complement: Any) -> Any:
    """Return Cholesky factors (n, 2, 2) of correlations p (n,) with complements 1 - p^2 (n,).

    The general form fails in PyTensor's Numba back end for a single pair: it makes an elementwise graph without inputs.
    """
    rows = [pt.stack([pt.ones_like(partial), pt.zeros_like(partial)], axis=-1)]
    rows.append(pt.stack([partial, pt.sqrt(complement)], axis=-1))
    return pt.stack(rows, axis=-2)


def _add_resolution(prior: Prior, structure: CovarianceStructure, K: int, choleskys: Any) -> None:
    """Add the prior's factor for the resolution, if it has one, as the potential `resolution`.

    With a_d the variances of rounding and e_d unit vectors, -sum_d a_d (Sigma^-1)_dd / 2 is the log density of the rows
    sqrt(a_d) e_d under N(0, Sigma) without its constant. So it comes from the kernel, like the likelihood.
    """
    factor = resolution_factor(prior, structure)
    if not factor.variances.any():
        return
    n, D = (1 if structure.shared else K), len(factor.variances)
    log_density = MixtureLogLikelihood(structure.diagonal)
    rows, zero, one = np.diag(np.sqrt(factor.variances)), np.zeros(D), np.zeros(1)
    logs = [log_density(rows, zero, one, np.zeros((1, D)), choleskys[k : k + 1])[0] for k in range(n)]
    log_diagonals = pt.log(pt.diagonal(choleskys[:n], axis1=1, axis2=2)).sum()
    constant = n * (D * 0.5 * D * np.log(2 * np.pi) - log_mean_factor(factor))
    pm.Potential(RESOLUTION, sum(logs) + D * log_diagonals + constant)


def _draw_rows(
    weights: FloatArray,
    means: FloatArray,
    choleskys: FloatArray,
    rng: np.random.Generator,
    size: tuple[int, ...],
) -> FloatArray:
    """Draw rows (*size, D) from one mixture; PyMC passes the parameters with a leading axis of length 1."""
    weights, means, choleskys = weights[0], means[0], choleskys[0]
    labels = rng.choice(len(weights), size=size, p=weights / weights.sum())
    noise = rng.standard_normal((*size, means.shape[1]))
    scattered: FloatArray = np.einsum("...ij,...j->...i", choleskys[labels], noise)
    return means[labels] + scattered
