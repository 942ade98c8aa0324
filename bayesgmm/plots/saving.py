"""The figures of an analysis, saved as PNG files."""

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.figure import Figure

from bayesgmm.comparison.compare import Comparison
from bayesgmm.em.result import EMFit
from bayesgmm.errors import InputError
from bayesgmm.plots.comparison import plot_comparison
from bayesgmm.plots.convergence import plot_convergence
from bayesgmm.plots.density_difference import plot_density_difference
from bayesgmm.plots.fit import plot_fit
from bayesgmm.plots.labels import plot_labels
from bayesgmm.plots.sampling import plot_energy, plot_rank, plot_trace

_DOTS_PER_INCH = 150


def save_figures(folder: Path, em: EMFit, posterior: xr.DataTree, comparison: Comparison) -> dict[str, InputError]:
    """Draw the figures of an analysis and write each to `folder` as NAME.png.

    energy.png is written only if the sampler recorded an energy, see `plot_energy`.

    Returns
    -------
    dict
        The figures that were not drawn because the data do not fit into them: file name -> reason.
    """
    figures: dict[str, Callable[[], Figure]] = {
        "fit": lambda: plot_fit(em, posterior),
        "comparison": lambda: plot_comparison(comparison),
        "labels": lambda: plot_labels(em, posterior),
        "density-difference": lambda: plot_density_difference(em, posterior),
        "trace": lambda: plot_trace(posterior),
        "rank": lambda: plot_rank(posterior),
        "convergence": lambda: plot_convergence(em),
    }
    if "energy" in posterior["sample_stats"].to_dataset():
        figures["energy"] = lambda: plot_energy(posterior)
    skipped = {}
    for name, draw in figures.items():
        try:
            figure = draw()
        except InputError as error:
            skipped[f"{name}.png"] = error
            continue
        figure.savefig(folder / f"{name}.png", dpi=_DOTS_PER_INCH)
        plt.close(figure)
    return skipped
