"""Figures of a fit, its comparison and its sampling, one function per figure.

Each function returns the Matplotlib figure and does not show it. A component has the same colour, line style and marker
in all figures.
"""

from bayesgmm.environment import backend_error

try:
    import matplotlib  # noqa: F401
except ValueError as error:
    raise backend_error(error) from error

from bayesgmm.plots.comparison import plot_comparison
from bayesgmm.plots.convergence import plot_convergence
from bayesgmm.plots.density import plot_density
from bayesgmm.plots.density_difference import plot_density_difference
from bayesgmm.plots.fit import plot_fit
from bayesgmm.plots.iterations import animate_iterations, plot_iterations
from bayesgmm.plots.labels import plot_labels
from bayesgmm.plots.predictive_check import plot_predictive_check
from bayesgmm.plots.prior import plot_prior
from bayesgmm.plots.sampling import plot_energy, plot_rank, plot_trace
from bayesgmm.plots.similarity import plot_similarity
from bayesgmm.plots.style import ComponentStyle, component_style
from bayesgmm.plots.uncertainty import plot_uncertainty

__all__ = [
    "plot_iterations",
    "animate_iterations",
    "plot_density",
    "plot_fit",
    "plot_comparison",
    "plot_labels",
    "plot_uncertainty",
    "plot_similarity",
    "plot_density_difference",
    "plot_trace",
    "plot_rank",
    "plot_energy",
    "plot_convergence",
    "plot_prior",
    "plot_predictive_check",
    "component_style",
    "ComponentStyle",
]
