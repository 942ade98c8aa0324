"""Relabelling: which component of a draw is which component of the reference."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayesgmm.exceptions import InputError
from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.posterior.labels.methods import (
    CROSS_ENTROPY,
    ECR,
    Labelling,
    Unlabelled,
    nearest_components,
    relabelling_named,
    unlabelled,
)
from bayesgmm.types import FloatArray
from bayesgmm.validation import as_table, check_count

_NAMES = ("weights", "means", "covariances")


def align(
    posterior: xr.DataTree, reference: MixtureParameters, method: str = "ecr", *, max_rows: int = 2000
) -> xr.DataTree:
    """Relabel every draw so that its components match those of a reference.

    Each draw gets the permutation s of least cost, found exactly as an assignment problem. With r_ik the draw's
    responsibilities for the observed rows, v, m, S its weights, means and covariances, and w, mu, Sigma the
    reference's, the methods are

    - "ecr", equivalence classes representatives (Papastamoulis and Iliopoulos 2010, doi:10.1198/jcgs.2010.09008): as
      many rows as possible are where the reference's partition z has them, maximise sum_i r_i,s(z_i). Allocations are
      summed out of the draws, so this is the number of agreements that the paper counts, expected under the draw.
      Permutations that agree equally, as when a component has no rows, are told apart by "cross-entropy".
    - "kullback-leibler" (Stephens 2000, doi:10.1111/1467-9868.00265, algorithm 2): from the labels of "ecr" on, the
      draws' mean responsibilities q and the labels that minimise -sum_ij r_i,s(j) log q_ij take turns until no label
      changes. Components keep the names of the reference that they share most rows with.
    - "pivot" (Marin, Mengersen and Robert 2005, doi:10.1016/S0169-7161(05)25016-2): closest to the reference by the
      squared distance of weights, means in the reference's total standard deviations, log standard deviations and
      correlations.
    - "cross-entropy": maximise sum_j w_j E[log v_s(j) + log N(x | m_s(j), S_s(j))] over x ~ N(mu_j, Sigma_j), the
      complete-data log-likelihood of rows from the reference. It needs no rows, and takes the place of "ecr" where the
      posterior carries none.

    Parameters
    ----------
    posterior : DataTree with weights, means and covariances, as `sample_posterior` makes it.
    reference : MixtureParameters, usually `fit_em(...).parameters`.
    method : how labels are found, as above.
    max_rows : of more observed rows than this, as many are used, evenly spaced. Raise it for components that hold less
        than a hundredth of the rows.

    Returns
    -------
    DataTree
        A new one, every variable of its group `posterior` that has a `component` dimension permuted. Its attributes
        name `align_method`, `align_rows` (how many rows were read), `align_iterations`, and `align_note` where another
        method than that asked for was used. `sample_stats` gains, with dimensions (chain, draw, component),

        - `label` : which component of the draw stands at each place;
        - `label_margin` : by how much the best permutation that puts another component there costs more, in `units`
          (rows for "ecr"); 0 is a tie;
        - `label_nearest` : the component of the reference that the component is nearest to (Bhattacharyya distance);
        - `label_rows` : the rows that the component is expected to hold, of the `align_rows` read, where there are any;

        and `label_clear` (chain, draw): whether `label_nearest` is a permutation. Where it is not, the reference's
        components do not describe the draw. The share of such draws is the non-permutation rate of Malsiner-Walli,
        Fruehwirth-Schnatter and Gruen (2016, doi:10.1007/s11222-014-9500-2), whose k-means clusters of the draws' means
        are replaced by the reference's components, so that components of equal means and other spreads are told apart.
        `label_report` sums all this up. Groups other than these two, such as `modes/1`, are not relabelled.

    Raises
    ------
    InputError
        The posterior lacks a variable, holds no proper mixtures, or no rows for "kullback-leibler"; the reference has
        another number of components or features; `method` or `max_rows` is out of range.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> posterior = bg.sample_posterior(X, 2, draws=200, rng=1, progress=False)
    >>> aligned = bg.align(posterior, em.parameters)
    >>> aligned["posterior"]["means"].sel(feature="eruptions").mean(("chain", "draw")).values.round(1).tolist()
    [4.3, 2.0]
    >>> bool(aligned["sample_stats"]["label_clear"].all())
    True
    """
    asked, max_rows = relabelling_named(method), check_count(max_rows, "max_rows")
    draws = posterior["posterior"].to_dataset()
    weights, means, covariances = _mixtures(draws, reference)
    rows = _some_rows(posterior, reference, max_rows)
    notes = {}
    chosen = asked
    if asked is ECR and not len(rows):
        chosen = CROSS_ENTROPY
        notes = {"align_note": "ecr needs the observed rows; this posterior carries none, so cross-entropy was used"}
    elif asked.needs_rows and not len(rows):
        raise InputError(
            f"method {asked.name} needs the observed rows, and posterior carries none (observed_data: X). Use "
            f'method="{CROSS_ENTROPY.name}".'
        )
    scattered = unlabelled(reference, weights, means, covariances, rows)
    labelling = chosen.find(scattered, reference)
    stats = _statistics(posterior, scattered, labelling, reference, chosen.unit)
    permuted = draws.map(lambda v: _permute(v, stats["label"]) if "component" in v.dims else v)
    aligned = posterior.copy()
    aligned["posterior"] = xr.DataTree(permuted)
    aligned["sample_stats"] = xr.DataTree(stats)
    aligned.attrs.pop("align_note", None)
    aligned.attrs |= notes | {
        "aligned": 1,
        "align_method": chosen.name,
        "align_rows": len(rows),
        "align_iterations": labelling.iterations,
    }
    return aligned


def _mixtures(draws: xr.Dataset, reference: MixtureParameters) -> list[FloatArray]:
    """Weights (S, K), means (S, K, D) and covariances (S, K, D, D) of all draws."""
    missing = set(_NAMES) - set(draws.data_vars)
    if missing:
        raise InputError(
            f"posterior has no variable {', '.join(sorted(missing))}; align needs weights, means and covariances. "
            f"Pass what sample_posterior returned; a changed model has to keep these names."
        )
    K, D = draws.sizes["component"], draws.sizes["feature"]
    if reference.means.shape != (K, D):
        raise InputError(
            f"reference has {reference.n_components} components of {reference.n_features} features; the posterior has "
            f"{K} of {D}. Pass the parameters of a fit with the same n_components to the same columns."
        )
    flat = [np.asarray(draws[name].values, np.float64).reshape(-1, *draws[name].shape[2:]) for name in _NAMES]
    finite = np.logical_and.reduce([np.isfinite(array).reshape(len(array), -1).all(axis=1) for array in flat])
    if not finite.all():
        raise InputError(
            f"posterior holds NaN or infinity in {(~finite).sum()} of {len(finite)} draws; draws must be finite. Leave "
            f"those out."
        )
    try:
        np.linalg.cholesky(flat[2])
    except np.linalg.LinAlgError as error:
        raise InputError(
            "posterior holds covariances that are not positive definite. Leave those draws out."
        ) from error
    return flat


def _some_rows(posterior: xr.DataTree, reference: MixtureParameters, max_rows: int) -> NDArray[Any]:
    """(n, D) observed rows, evenly spaced where there are more than `max_rows`; none where posterior carries none."""
    if "observed_data" not in posterior or "X" not in posterior["observed_data"].to_dataset():
        return np.empty((0, posterior["posterior"].sizes["feature"]))
    X = as_table(posterior["observed_data"].to_dataset()["X"].values, "X of posterior", reference.features).values
    return np.ascontiguousarray(X[spaced(len(X), max_rows)])


def _statistics(
    posterior: xr.DataTree, draws: Unlabelled, found: Labelling, reference: MixtureParameters, unit: str
) -> xr.Dataset:
    """The posterior's `sample_stats` with what is known of the labels."""
    before = posterior["sample_stats"].to_dataset().drop_vars("label_rows", errors="ignore")
    component = posterior["posterior"].to_dataset()["component"]
    sizes = posterior["posterior"].sizes
    nearest = nearest_components(reference, draws.means, draws.covariances)
    K = nearest.shape[1]
    placed = {
        "label": found.labels,
        "label_margin": found.margins,
        "label_nearest": np.take_along_axis(nearest, found.labels, axis=1),
    }
    if len(draws.rows):
        placed["label_rows"] = np.take_along_axis(draws.agreements.sum(axis=1), found.labels, axis=1)
    shape, dims = (sizes["chain"], sizes["draw"]), ("chain", "draw")
    clear = (np.sort(nearest, axis=1) == np.arange(K)).all(axis=1)
    stats = before.assign({name: ((*dims, "component"), value.reshape(*shape, K)) for name, value in placed.items()})
    stats = stats.assign(label_clear=(dims, clear.reshape(shape))).assign_coords(component=component)
    stats["label_margin"].attrs["units"] = unit
    return stats


def _permute(variable: xr.DataArray, order: xr.DataArray) -> xr.DataArray:
    axis = variable.dims.index("component")
    index = order.values.reshape(*order.shape[:2], *(-1 if dim == "component" else 1 for dim in variable.dims[2:]))
    return variable.copy(data=np.take_along_axis(variable.values, index, axis=axis))
