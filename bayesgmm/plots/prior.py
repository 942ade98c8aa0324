"""The prior behind the posterior, parameter by parameter."""

import warnings
from collections.abc import Sequence
from textwrap import fill
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bayesgmm.bayes.model.prior import Prior
from bayesgmm.bayes.model.prior_marginals import SUPPORTS, marginal_density
from bayesgmm.errors import BayesgmmWarning, InputError
from bayesgmm.escaping import matplotlib_text
from bayesgmm.mixture.covariance import CovarianceStructure, structure_named
from bayesgmm.mixture.scalars import PARAMETERS, Scalar, scalar_values
from bayesgmm.plots.legends import LEGEND, Handle, area, line
from bayesgmm.plots.selection import draws_of, varying_scalars
from bayesgmm.plots.style import component_style, shown_once, tidy
from bayesgmm.posterior.draws import check_aligned, mixture_dataset, mixture_draws
from bayesgmm.types import FloatArray

_MOST_PANELS = 40
_BINS, _PRIOR_BINS, _LINE = 40, 12, 300
_TAIL = 0.001  # share of the draws outside a panel on either side, so that a stray draw does not stretch it
_MARGIN = 0.35  # space on either side of the draws, as a share of their range
_PRIOR: dict[str, Any] = {"color": "#BBBBBB", "linewidth": 0}


@shown_once
def plot_prior(
    posterior: xr.DataTree,
    prior: Prior | xr.DataTree,
    *,
    parameters: Sequence[str] = PARAMETERS,
    features: Sequence[str] | None = None,
) -> Figure:
    """Draw the prior behind the posterior, one panel per parameter, the components in their colours.

    Where the prior is level across a component's posterior, the rows determine the posterior; where it is as steep or
    as narrow as the posterior, the prior does. A panel covers the range of the posterior and a margin, so the prior
    continues outside. The vertical axis is on a square-root scale, which keeps priors visible that are much wider than
    the posterior.

    Parameters
    ----------
    posterior : DataTree from `align`.
    prior : the `Prior` that the posterior was sampled under, drawn as densities. For a PyMC model of your own, a
        DataTree with a group `prior`, as `pymc.sample_prior_predictive(model)` returns it, drawn as one histogram per
        component.
    parameters : any of "weights", "means", "stds" and "correlations"; parameters that the model fixes are not drawn.
    features : names of the features whose parameters are drawn; by default all.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        The posterior is not aligned, `prior` has another type or does not fit the posterior, a name in
        `parameters` or `features` is not one of the posterior's, or more than 40 panels are to be drawn.

    Warns
    -----
    BayesgmmWarning
        The posterior records that it was sampled under another `Prior`.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> prior = bg.Prior.for_data(X, concentration=2.0)
    >>> posterior = bg.sample_posterior(X, 2, prior=prior, start=em.parameters, draws=500, rng=1, progress=False)
    >>> figure = bg.plots.plot_prior(bg.align(posterior, em.parameters), prior, parameters=["weights", "means"])
    >>> [ax.get_title() for ax in figure.axes]
    ['weights', 'means: eruptions', 'means: waiting']
    """
    mixture_draws(posterior)  # refuses draws that are no mixtures
    mixture = mixture_dataset(posterior)
    check_aligned(posterior)
    scalars = varying_scalars(posterior, parameters, features)
    panels = _panels(scalars)
    structure = structure_named(str(posterior.attrs.get("covariance") or "full"))
    exact = _checked(prior, posterior, structure) if isinstance(prior, Prior) else None
    drawn = _Drawn(
        scalars,
        mixture.sizes["component"],
        structure,
        draws_of(posterior, scalars).reshape(-1, len(scalars)),
        exact,
        _prior_draws(prior, mixture, scalars) if exact is None else None,
    )
    n_columns = 3 if len(panels) <= 6 else 4
    n_rows = -(-len(panels) // n_columns)
    figure = plt.figure(figsize=(10, 0.9 + 1.9 * n_rows), layout="constrained")
    for position, (title, members) in enumerate(panels.items(), 1):
        ax = figure.add_subplot(n_rows, n_columns, position)
        _draw_panel(ax, drawn, members)
        ax.set_title(matplotlib_text(fill(title, 30)), fontsize=9)
    figure.supylabel("density (square-root scale)", fontsize=9)
    components = dict.fromkeys(scalar.component for scalar in scalars)
    handles = _legend(list(components), exact=exact is not None)
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4), **LEGEND)
    return figure


class _Drawn(NamedTuple):
    """The content of the panels.

    scalars : the scalars drawn.
    n_components : number of components of the mixture.
    structure : of its covariances.
    posterior : (n_draws, n_scalars) posterior draws.
    prior : the prior whose densities are drawn, or None.
    prior_draws : (n_draws, n_scalars) draws from the prior if its densities are not known.
    """

    scalars: list[Scalar]
    n_components: int
    structure: CovarianceStructure
    posterior: FloatArray
    prior: Prior | None
    prior_draws: FloatArray | None


def _panels(scalars: list[Scalar]) -> dict[str, list[int]]:
    """Indices of the scalars in each panel, by the panel's title: the same parameter and feature of all components."""
    panels: dict[str, list[int]] = {}
    for index, scalar in enumerate(scalars):
        title = f"{scalar.parameter}: {scalar.feature}" if scalar.feature else scalar.parameter
        panels.setdefault(title, []).append(index)
    if len(panels) > _MOST_PANELS:
        raise InputError(
            f"{len(panels)} panels are to be drawn; one figure holds at most {_MOST_PANELS}. Choose with parameters= "
            f"and features=, such as parameters=['weights', 'means']."
        )
    return panels


def _checked(prior: Prior, posterior: xr.DataTree, structure: CovarianceStructure) -> Prior:
    """The prior for the posterior's features; warns if the posterior was sampled under another one."""
    full_prior = prior.for_features(mixture_dataset(posterior).sizes["feature"], structure)
    recorded = posterior.attrs.get("prior", "")
    if recorded and recorded != full_prior.expression():
        warnings.warn(
            f"The prior drawn is not the one that the posterior was sampled under. Pass that one: {recorded}.",
            BayesgmmWarning,
            stacklevel=3,
        )
    return full_prior


def _prior_draws(prior: object, mixture: xr.Dataset, scalars: list[Scalar]) -> FloatArray:
    """(n_draws, n_scalars) the draws in the group `prior` of a DataTree."""
    needed = list(dict.fromkeys(scalar.parameter for scalar in scalars))
    draws = prior["prior"].to_dataset() if isinstance(prior, xr.DataTree) and "prior" in prior else xr.Dataset()
    if not set(needed) <= set(draws):
        raise InputError(
            f"prior must be a Prior, such as Prior.for_data(X), or a DataTree with the draws of {', '.join(needed)} in "
            f"its group 'prior', as pymc.sample_prior_predictive(model) returns; received {type(prior).__name__}."
        )
    misshapen = [name for name in needed if draws[name].shape[2:] != mixture[name].shape[2:]]
    if misshapen:
        name = misshapen[0]
        raise InputError(
            f"prior has draws of {name} of shape {draws[name].shape[2:]}, the posterior of shape "
            f"{mixture[name].shape[2:]}. Pass the draws of the model that was sampled."
        )
    return scalar_values(scalars, {name: draws[name].values for name in needed}).reshape(-1, len(scalars))


def _draw_panel(ax: Axes, drawn: _Drawn, members: list[int]) -> None:
    """Draw the prior, and on it the posteriors of the scalars with these indices."""
    first = drawn.scalars[members[0]]
    _scale(ax, drawn.posterior[:, members], first.parameter)
    if drawn.prior is not None:
        x = np.linspace(*ax.get_xlim(), _LINE + 2)[1:-1]  # at the ends of a support a density may be infinite
        densities = marginal_density(drawn.prior, first, x, drawn.n_components, drawn.structure)
        ax.fill_between(x, densities, **_PRIOR)
    for index in members:
        _draw_posterior(ax, drawn.posterior[:, index], drawn.scalars[index])
        if drawn.prior_draws is not None:
            _draw_prior_draws(ax, drawn.prior_draws[:, index], drawn.scalars[index])
    ax.set_ylim(bottom=0)


def _scale(ax: Axes, values: FloatArray, parameter: str) -> None:
    """Set the axes for draws (n_draws, n_scalars) of a parameter."""
    low, high = np.quantile(values, _TAIL, axis=0).min(), np.quantile(values, 1 - _TAIL, axis=0).max()
    space, (least, most) = _MARGIN * (high - low) or 0.1 * abs(low) or 1.0, SUPPORTS[parameter]
    ax.set_xlim(max(low - space, least), min(high + space, most))
    ax.set_yscale("function", functions=(lambda y: np.sqrt(np.maximum(y, 0)), np.square))
    ax.set_yticks([])
    ax.xaxis.set_major_locator(MaxNLocator(5))
    tidy(ax)


def _draw_posterior(ax: Axes, draws: FloatArray, scalar: Scalar) -> None:
    low, high = np.quantile(draws, [_TAIL, 1 - _TAIL])
    edges = np.linspace(low, high, _BINS + 1)
    if not (np.diff(edges) > 0).all():  # the draws are equal, at least to rounding
        ax.axvline(low, color=component_style(scalar.component).color)
        return
    heights = np.histogram(draws, edges)[0] / (len(draws) * (edges[1] - edges[0]))
    style = component_style(scalar.component)
    ax.stairs(heights, edges, fill=True, color=style.color, alpha=0.45)
    ax.stairs(heights, edges, color=style.color, linewidth=1)


def _draw_prior_draws(ax: Axes, draws: FloatArray, scalar: Scalar) -> None:
    """Draw a histogram of the prior's draws inside the panel, as shares of all draws."""
    edges = np.linspace(*ax.get_xlim(), _PRIOR_BINS + 1)
    heights = np.histogram(draws, edges)[0] / (len(draws) * (edges[1] - edges[0]))
    style = component_style(scalar.component)
    ax.stairs(heights, edges, color=style.color, linestyle=style.linestyle, linewidth=2)


def _legend(components: list[int | str], *, exact: bool) -> list[Handle]:
    handles: list[Handle] = [area("prior, the same for\nevery component", **_PRIOR)] if exact else []
    for component in components:
        style = component_style(component)
        owner = f"component {component}" if isinstance(component, int) else "all components"
        handles.append(area(f"posterior, {owner}", color=style.color, alpha=0.6))
        if not exact:
            handles.append(line(f"prior draws, {owner}", color=style.color, linestyle=style.linestyle))
    return handles
