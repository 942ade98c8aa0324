"""Rows whose component is uncertain, for EM and for the posterior."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from bayesgmm.comparison.arguments import draws_beside
from bayesgmm.em.result import EMFit
from bayesgmm.escaping import matplotlib_text
from bayesgmm.plots.legends import LEGEND, Handle, component_handles, heading
from bayesgmm.plots.selection import float_rows, limits, most_doubtful_last, one_or_two_features
from bayesgmm.plots.shapes import MOST_POINTS, ellipses
from bayesgmm.plots.style import component_style, shown_once, tidy
from bayesgmm.posterior.prediction.predict import predict
from bayesgmm.types import FloatArray, IntArray

# From light grey to black with evenly falling lightness, so that doubtful rows stand out.
_DOUBT = LinearSegmentedColormap.from_list("doubt", ["#D2D2D2", "#E8A06A", "#B63679", "#51127C", "#000004"])

_MEANING = "1 - probability of the\nmost probable component"


@shown_once
def plot_uncertainty(em: EMFit, posterior: xr.DataTree, *, features: Sequence[str | int] | None = None) -> Figure:
    """Draw how uncertain each row's component is, for EM and for the posterior, side by side.

    The colour is 1 minus the probability of the row's most probable component: 0 for a certain row, 1 - 1/K if all
    components are equally probable. EM treats its estimates as exact; the posterior's probabilities are averaged over
    the draws, so that rows are less certain where the parameters are uncertain. The mark's shape is the most probable
    component.

    Parameters
    ----------
    em : EMFit of the rows.
    posterior : DataTree from `align(posterior, em.parameters)`, with the rows in `observed_data`.
    features : names or numbers of one or two features to draw. By default both of two; of more than two, the two that
        separate EM's means best. The probabilities are always of all features.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        The posterior is not aligned, holds no rows, or has other components or features than `em`; or `features` are
        not one or two of the mixture's.

    Notes
    -----
    At most 4000 rows are drawn: the 2000 least certain under the posterior, and 2000 of the others, evenly spaced.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_faithful()
    >>> em = bg.fit_em(X, 2, rng=1)
    >>> posterior = bg.sample_posterior(X, 2, start=em.parameters, draws=500, rng=1, progress=False)
    >>> figure = bg.plots.plot_uncertainty(em, bg.align(posterior, em.parameters))
    >>> print(figure.axes[0].get_title())
    EM
    0.2 of 272 rows expected to be labelled wrongly
    """
    draws_beside(em, posterior)
    indices = one_or_two_features(em.parameters, features)
    X = float_rows(posterior)
    panels = {
        "EM": em.parameters.responsibilities(X),
        "posterior": predict(posterior, X).probabilities,
    }
    doubts = {name: 1 - probabilities.max(axis=1) for name, probabilities in panels.items()}
    shown = most_doubtful_last(doubts["posterior"])
    K, flat = em.parameters.n_components, len(indices) == 2
    highest = 1 - 1 / K if K > 1 else 1.0
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.5), sharex=True, sharey=True, layout="constrained")
    for ax, (name, probabilities) in zip(axes, panels.items(), strict=True):
        if flat:
            _draw_ellipses(ax, em, indices)
        _draw_rows(ax, X[shown][:, indices], doubts[name][shown], probabilities[shown].argmax(axis=1), highest)
        expected = f"{doubts[name].sum():.1f} of {len(X):,} rows expected to be labelled wrongly"
        ax.set_title(f"{name}\n{expected}", fontsize=10)
        ax.set_xlabel(matplotlib_text(em.parameters.features[indices[0]]))
        tidy(ax)
    axes[0].set_ylabel(matplotlib_text(em.parameters.features[indices[1]]) if flat else _MEANING)
    bar = figure.colorbar(ScalarMappable(Normalize(0, highest), _DOUBT), ax=list(axes), pad=0.02)
    bar.set_label(_MEANING, fontsize=9)
    bar.ax.tick_params(labelsize=9)
    figure.legend(handles=_legend(em, len(X), flat=flat), loc="outside lower center", ncols=5, **LEGEND)
    return figure


def _draw_ellipses(ax: Axes, em: EMFit, indices: list[int]) -> None:
    """Draw EM's ellipses as thin lines, which show the components that a doubtful row is between."""
    mixture = em.parameters.marginal(indices)
    for k in range(mixture.n_components):
        style = component_style(k)
        x, y = ellipses(mixture.means[k], mixture.covariances[k]).T
        ax.plot(x, y, color=style.color, linestyle=style.linestyle, linewidth=1.2, zorder=1)


def _draw_rows(ax: Axes, points: FloatArray, doubt: FloatArray, labels: IntArray, highest: float) -> None:
    """Draw the rows, the most doubtful on top."""
    x = points[:, 0]
    y = points[:, 1] if points.shape[1] == 2 else doubt
    for k in np.unique(labels):
        members = np.flatnonzero(labels == k)
        members = members[np.argsort(doubt[members], kind="stable")]
        ax.scatter(
            x[members],
            y[members],
            c=doubt[members],
            cmap=_DOUBT,
            vmin=0,
            vmax=highest,
            s=26,
            marker=component_style(int(k)).marker,
            linewidths=0.3,
            edgecolors="white",
            rasterized=True,
            zorder=2 + np.asarray(doubt[members]).max(),
        )
    ax.set_xlim(limits(x))
    ax.set_ylim(limits(y) if points.shape[1] == 2 else (-0.03 * highest, 1.03 * highest))


def _legend(em: EMFit, n_rows: int, *, flat: bool) -> list[Handle]:
    drawn = f"{n_rows:,} rows" if n_rows <= MOST_POINTS else f"{MOST_POINTS:,} of the {n_rows:,} rows"
    components = component_handles(em.parameters.n_components, marker=True)
    if not flat:
        for handle in components:
            handle.set(linestyle="", color="#777777")
    return [heading(f"{drawn}, by the most\nprobable component:"), *components]
