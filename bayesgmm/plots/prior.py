"""What the rows added to the prior."""

import warnings
from collections.abc import Sequence
from textwrap import fill
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from bayesgmm.bayes.model.prior import Prior
from bayesgmm.bayes.model.prior_marginals import SUPPORTS, marginal_density
from bayesgmm.errors import BayesgmmWarning, InputError
from bayesgmm.mixture.covariance import structure_named
from bayesgmm.mixture.scalars import PARAMETERS, Entry, values_of
from bayesgmm.plots.selection import draws_of, entries_named
from bayesgmm.plots.style import LEGEND, component_style, literal, tidy
from bayesgmm.posterior.draws import check_aligned, mixture_dataset
from bayesgmm.types import FloatArray

_MOST_PANELS = 40
_BINS, _PRIOR_BINS, _LINE = 40, 12, 300
# Of the draws' range: a stray draw does not stretch a panel.
_TAIL = 0.001
_AROUND = 0.35  # of the draws' range, on either side
_PRIOR: dict[str, Any] = {"color": "#BBBBBB", "linewidth": 0}


def plot_prior(
    posterior: xr.DataTree,
    prior: Prior | xr.DataTree,
    *,
    parameters: Sequence[str] = PARAMETERS,
    features: Sequence[str] | None = None,
) -> Figure:
    """Draw the prior behind the posterior, a panel a parameter, the components in their colours.

    Where the prior is level across a component's posterior, the rows have decided; where it is as steep or as narrow
    as the posterior, the prior has. Panels reach as far as the posterior and a little more, so the prior goes on
    outside. The densities' axis is a square root, or a prior much wider than the posterior could not be seen.

    Parameters
    ----------
    posterior : DataTree from `align`.
    prior : the `Prior` that it was sampled under, whose densities are drawn. For a PyMC model of your own a DataTree
        with a group `prior`, as `pymc.sample_prior_predictive(model)` makes it: histograms of its draws are drawn, of
        each component by itself.
    parameters : any of "weights", "means", "stds" and "correlations"; what the model fixes is left out.
    features : names of the features whose parameters are drawn; by default all.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        The posterior is not aligned, `prior` is neither of the two or does not fit the posterior, a name in
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
    mixture = mixture_dataset(posterior)
    check_aligned(posterior)
    found = entries_named(posterior, parameters, features)
    values = draws_of(posterior, found).reshape(-1, len(found))
    panels: dict[tuple[str, str], list[int]] = {}
    for at, entry in enumerate(found):
        panels.setdefault((entry.parameter, entry.feature), []).append(at)
    if len(panels) > _MOST_PANELS:
        raise InputError(
            f"{len(panels)} panels are to be drawn; one picture holds at most {_MOST_PANELS}. Choose with parameters= "
            f"and features=, such as parameters=['weights', 'means']."
        )
    shape = mixture.sizes["component"], mixture.sizes["feature"]
    known = _checked(prior, posterior, shape[1]) if isinstance(prior, Prior) else None
    forward = _forward_draws(prior, mixture, found) if known is None else None

    n_columns = 3 if len(panels) <= 6 else 4
    n_rows = -(-len(panels) // n_columns)
    figure = plt.figure(figsize=(10, 0.9 + 1.9 * n_rows), layout="constrained")
    for position, ((parameter, feature), members) in enumerate(panels.items(), 1):
        ax = figure.add_subplot(n_rows, n_columns, position)
        _scale(ax, values[:, members], parameter)
        if known is not None:
            x = np.linspace(*ax.get_xlim(), _LINE + 2)[1:-1]  # at the ends of a support a density may be infinite
            ax.fill_between(x, marginal_density(known, found[members[0]], x, *shape), **_PRIOR)
        for at in members:
            _draw_posterior(ax, values[:, at], found[at])
            if forward is not None:
                _draw_forward(ax, forward[:, at], found[at])
        ax.set_ylim(bottom=0)
        ax.set_title(literal(fill(f"{parameter}: {feature}" if feature else parameter, 30)), fontsize=9)
    figure.supylabel("density (square-root scale)", fontsize=9)
    components = dict.fromkeys(entry.component for entry in found)
    handles = _legend(list(components), exact=known is not None)
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4), **LEGEND)
    return figure


def _checked(prior: Prior, posterior: xr.DataTree, n_features: int) -> Prior:
    covariance = str(posterior.attrs.get("covariance") or "full")
    known = prior.for_features(n_features, structure_named(covariance))
    recorded = posterior.attrs.get("prior", "")
    if recorded and recorded != known.expression():
        warnings.warn(
            f"The prior drawn is not the one that the posterior was sampled under. Pass that one: {recorded}.",
            BayesgmmWarning,
            stacklevel=3,
        )
    return known


def _forward_draws(prior: Any, mixture: xr.Dataset, found: list[Entry]) -> FloatArray:
    """(draw, number) of a tree's group `prior`."""
    needed = list(dict.fromkeys(entry.parameter for entry in found))
    drawn = prior["prior"].to_dataset() if isinstance(prior, xr.DataTree) and "prior" in prior else xr.Dataset()
    if not set(needed) <= set(drawn):
        raise InputError(
            f"prior must be a Prior, such as Prior.for_data(X), or a DataTree with the draws of {', '.join(needed)} in "
            f"its group 'prior', as pymc.sample_prior_predictive(model) returns; received {type(prior).__name__}."
        )
    wrong = [name for name in needed if drawn[name].shape[2:] != mixture[name].shape[2:]]
    if wrong:
        raise InputError(
            f"prior has draws of {wrong[0]} of shape {drawn[wrong[0]].shape[2:]}, the posterior of shape "
            f"{mixture[wrong[0]].shape[2:]}. Pass the draws of the model that was sampled."
        )
    return values_of(found, {name: drawn[name].values for name in needed}).reshape(-1, len(found))


def _scale(ax: Axes, values: FloatArray, parameter: str) -> None:
    """Axes for draws (n, members) of a parameter."""
    low, high = np.quantile(values, _TAIL, axis=0).min(), np.quantile(values, 1 - _TAIL, axis=0).max()
    space, (least, most) = _AROUND * (high - low), SUPPORTS[parameter]
    ax.set_xlim(max(low - space, least), min(high + space, most))
    ax.set_yscale("function", functions=(lambda y: np.sqrt(np.maximum(y, 0)), np.square))
    ax.set_yticks([])
    ax.xaxis.set_major_locator(MaxNLocator(5))
    tidy(ax)


def _draw_posterior(ax: Axes, draws: FloatArray, entry: Entry) -> None:
    low, high = np.quantile(draws, [_TAIL, 1 - _TAIL])
    edges = np.linspace(low, high, _BINS + 1)
    heights = np.histogram(draws, edges)[0] / (len(draws) * (edges[1] - edges[0]))
    style = component_style(entry.component)
    ax.stairs(heights, edges, fill=True, color=style.color, alpha=0.45)
    ax.stairs(heights, edges, color=style.color, linewidth=1)


def _draw_forward(ax: Axes, draws: FloatArray, entry: Entry) -> None:
    """The prior's draws inside the panel, as shares of all of them."""
    edges = np.linspace(*ax.get_xlim(), _PRIOR_BINS + 1)
    heights = np.histogram(draws, edges)[0] / (len(draws) * (edges[1] - edges[0]))
    style = component_style(entry.component)
    ax.stairs(heights, edges, color=style.color, linestyle=style.linestyle, linewidth=2)


def _legend(components: list[int | str], *, exact: bool) -> list[Any]:
    handles: list[Any] = []
    if exact:
        handles.append(Patch(**_PRIOR, label="prior, the same for\nevery component"))
    for component in components:
        style = component_style(component)
        who = f"component {component}" if isinstance(component, int) else "all components"
        handles.append(Patch(color=style.color, alpha=0.6, label=f"posterior, {who}"))
        if not exact:
            handles.append(Line2D([], [], color=style.color, linestyle=style.linestyle, label=f"prior draws, {who}"))
    return handles
