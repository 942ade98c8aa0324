"""`align`: relabel the draws so that their components match those of a reference."""

import numpy as np
import xarray as xr

from bayesgmm.errors import InputError
from bayesgmm.kernel.rows import spaced
from bayesgmm.mixture.draws import MixtureDraws
from bayesgmm.mixture.matching import are_permutations
from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.posterior.draws import (
    check_comparable,
    has_rows,
    mixture_dataset,
    mixture_draws,
    observed_rows,
    reference_group,
    sample_stats,
)
from bayesgmm.posterior.labels.methods import (
    CROSS_ENTROPY,
    ECR,
    Labelling,
    MethodName,
    Relabelling,
    UnlabelledDraws,
    nearest_components,
    relabelling_named,
    unlabelled_draws,
)
from bayesgmm.received import check_result
from bayesgmm.types import RowArray
from bayesgmm.validation import check_count


def align(
    posterior: xr.DataTree, reference: MixtureParameters, method: MethodName = "ecr", *, max_rows: int = 2000
) -> xr.DataTree:
    """Relabel every draw so that its components match those of a reference.

    For each draw, the permutation s of least cost is found exactly, as an assignment problem. Let r_ik be the draw's
    responsibilities for the observed rows, v, m, S its weights, means and covariances, and w, mu, Sigma those of the
    reference. The methods are

    - "ecr", equivalence classes representatives (Papastamoulis and Iliopoulos 2010, doi:10.1198/jcgs.2010.09008):
      maximise sum_i r_i,s(z_i), the number of rows that the draw and the reference's partition z assign to the same
      component. The paper counts agreements of sampled allocations; allocations are summed out of these draws, so this
      is the expected count. Permutations that agree equally, as when a component has no rows, are decided between by
      "cross-entropy".
    - "kullback-leibler" (Stephens 2000, doi:10.1111/1467-9868.00265, algorithm 2): starting from the labels of "ecr",
      alternate between the draws' mean responsibilities q and the labels that minimise -sum_ij r_i,s(j) log q_ij until
      no label changes. A component gets the name of the reference's component that it shares most rows with.
    - "cross-entropy": maximise sum_j w_j E[log v_s(j) + log N(x | m_s(j), S_s(j))] over x ~ N(mu_j, Sigma_j), the
      complete-data log-likelihood of rows from the reference. It needs no rows, and replaces "ecr" if the posterior
      holds none.

    Parameters
    ----------
    posterior : DataTree with weights, means and covariances, as `sample_posterior` makes it.
    reference : MixtureParameters, usually `fit_em(...).parameters`.
    method : how labels are found: "ecr", "kullback-leibler" or "cross-entropy", as above.
    max_rows : if there are more observed rows than this, this many evenly spaced ones are used. Raise it for components
        that hold less than a hundredth of the rows.

    Returns
    -------
    DataTree
        A new one. Every variable of its group `posterior` that has a `component` dimension is permuted. Its attributes
        are `align_method`, `align_rows` (how many rows were read), `align_iterations`, and `align_note` if another
        method was used than the one asked for. `sample_stats` gains, with dimensions (chain, draw, component),

        - `label` : index of the component, as it was in the draw before relabelling;
        - `label_margin` : extra cost, in its attribute `units` (rows for "ecr"), of the best permutation that matches
          another component here; 0 is a tie;
        - `label_nearest` : the reference's component nearest to this component (Bhattacharyya distance);
        - `label_rows` : expected number of rows in the component, out of the `align_rows` read; only if there are rows;

        and, with dimensions (chain, draw), `label_clear`: whether `label_nearest` is a permutation. If it is not, the
        draw's components do not match those of the reference one to one. The share of such draws is the
        non-permutation rate of Malsiner-Walli, Fruehwirth-Schnatter and Gruen (2016, doi:10.1007/s11222-014-9500-2),
        with the reference's components in place of their k-means clusters of the draws' means, so that components
        with equal means and different spreads can be told apart. `label_report` summarises all this. The group
        `reference` holds weights, means and covariances of the reference, by which `compare` and others refuse a fit
        with other labels. Other groups, such as `modes/1`, are not relabelled.

    Raises
    ------
    InputError
        The posterior lacks a variable, holds improper mixtures, or holds no rows for "kullback-leibler"; the reference
        has another number of components or features; `method` or `max_rows` is out of range.

    Warns
    -----
    BayesgmmWarning
        "kullback-leibler" still changed labels after 100 iterations.

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
    requested, max_rows = relabelling_named(method), check_count(max_rows, "max_rows")
    mixtures = mixture_draws(posterior)
    check_comparable(check_result(reference, MixtureParameters, "reference"), mixtures, "reference")
    rows = _evenly_spaced_rows(posterior, mixtures, max_rows)
    relabelling, notes = _usable_method(requested, has_rows=len(rows) > 0)
    draws = unlabelled_draws(reference, mixtures, rows)
    labelling = relabelling.find(draws, reference)
    stats = _with_label_statistics(posterior, draws, labelling, reference, relabelling.unit)
    permuted = mixture_dataset(posterior).map(
        lambda variable: _permuted(variable, stats["label"]) if _is_per_component(variable) else variable
    )
    aligned = posterior.copy()
    aligned["posterior"] = xr.DataTree(permuted)
    aligned["sample_stats"] = xr.DataTree(stats)
    aligned["reference"] = xr.DataTree(reference_group(reference))
    aligned.attrs.pop("align_note", None)
    aligned.attrs |= notes | {
        "aligned": 1,
        "align_method": relabelling.name,
        "align_rows": len(rows),
        "align_iterations": labelling.n_iterations,
    }
    return aligned


def _evenly_spaced_rows(posterior: xr.DataTree, mixtures: MixtureDraws, max_rows: int) -> RowArray:
    """(n, D) at most `max_rows` of the observed rows; (0, D) if the posterior holds none."""
    if not has_rows(posterior):
        return np.empty((0, mixtures.n_features))
    X = observed_rows(posterior, mixtures.features).values
    return np.ascontiguousarray(X[spaced(len(X), max_rows)])


def _usable_method(requested: Relabelling, *, has_rows: bool) -> tuple[Relabelling, dict[str, str]]:
    """The method to use, and an attribute that says why if it is not the one requested."""
    if has_rows or not requested.needs_rows:
        return requested, {}
    if requested is ECR:
        note = "ecr needs the observed rows; this posterior holds none, so cross-entropy was used"
        return CROSS_ENTROPY, {"align_note": note}
    raise InputError(
        f"method {requested.name} needs the observed rows, and posterior holds none (observed_data: X). Use "
        f'method="{CROSS_ENTROPY.name}".'
    )


def _with_label_statistics(
    posterior: xr.DataTree, draws: UnlabelledDraws, labelling: Labelling, reference: MixtureParameters, unit: str
) -> xr.Dataset:
    """The posterior's `sample_stats` with the statistics of the labels added."""
    stats = sample_stats(posterior).drop_vars("label_rows", errors="ignore")
    component = posterior["posterior"].to_dataset()["component"]
    sizes = posterior["posterior"].sizes
    nearest = nearest_components(reference, draws.mixtures)
    K = nearest.shape[1]
    per_component = {
        "label": labelling.labels,
        "label_margin": labelling.margins,
        "label_nearest": np.take_along_axis(nearest, labelling.labels, axis=1),
    }
    if len(draws.rows):
        expected_rows = draws.agreements.sum(axis=1)
        per_component["label_rows"] = np.take_along_axis(expected_rows, labelling.labels, axis=1)
    shape, dims = (sizes["chain"], sizes["draw"]), ("chain", "draw")
    clear = are_permutations(nearest)
    stats = stats.assign(
        {name: ((*dims, "component"), values.reshape(*shape, K)) for name, values in per_component.items()}
    )
    stats = stats.assign(label_clear=(dims, clear.reshape(shape))).assign_coords(component=component)
    stats["label_margin"].attrs["units"] = unit
    return stats


def _is_per_component(variable: xr.DataArray) -> bool:
    return {"chain", "draw", "component"} <= set(variable.dims)


def _permuted(variable: xr.DataArray, labels: xr.DataArray) -> xr.DataArray:
    variable = variable.transpose("chain", "draw", ...)
    axis = variable.dims.index("component")
    index = labels.values.reshape(*labels.shape[:2], *(-1 if dim == "component" else 1 for dim in variable.dims[2:]))
    return variable.copy(data=np.take_along_axis(variable.values, index, axis=axis))
