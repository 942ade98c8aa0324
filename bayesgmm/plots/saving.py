"""The figures of an analysis as files in memory."""

import io
from collections.abc import Callable

import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.figure import Figure

from bayesgmm.comparison.compare import Comparison
from bayesgmm.em.result import EMFit
from bayesgmm.plots.comparison import plot_comparison
from bayesgmm.plots.convergence import plot_convergence
from bayesgmm.plots.density_difference import plot_density_difference
from bayesgmm.plots.fit import plot_fit
from bayesgmm.plots.labels import plot_labels
from bayesgmm.plots.sampling import plot_energy, plot_rank, plot_trace

_DOTS_PER_INCH = 150


def draw_figures(
    posterior: xr.DataTree, fitted: tuple[EMFit, Comparison] | None, file_format: str = "png"
) -> tuple[dict[str, bytes], dict[str, Exception]]:
    """Draw the figures of an analysis.

    energy.png is drawn only if the sampler recorded an energy, see `plot_energy`.

    Parameters
    ----------
    posterior : DataTree as `align` returns it.
    fitted : the EM fit and its comparison with the posterior; None leaves out the figures of the fit.
    file_format : "png", "pdf" or "svg".

    Returns
    -------
    dict
        File names and the contents of the files.
    dict
        The figures that were not drawn: file name -> reason. An InputError says that the data do not fit into it.
    """
    figures: dict[str, Callable[[], Figure]] = {
        "trace": lambda: plot_trace(posterior),
        "rank": lambda: plot_rank(posterior),
    }
    if fitted is not None:
        em, comparison = fitted
        figures |= {
            "fit": lambda: plot_fit(em, posterior),
            "comparison": lambda: plot_comparison(comparison),
            "labels": lambda: plot_labels(em, posterior),
            "density-difference": lambda: plot_density_difference(em, posterior),
            "convergence": lambda: plot_convergence(em),
        }
    if "sample_stats" in posterior and "energy" in posterior["sample_stats"].to_dataset():
        figures["energy"] = lambda: plot_energy(posterior)
    drawn: dict[str, bytes] = {}
    skipped: dict[str, Exception] = {}
    for name, draw in figures.items():
        try:
            drawn[f"{name}.{file_format}"] = _content(draw(), file_format)
        except Exception as error:  # no figure is worth the results that are saved beside it; the caller warns
            skipped[f"{name}.{file_format}"] = error
    return drawn, skipped


def _content(figure: Figure, file_format: str) -> bytes:
    file = io.BytesIO()
    try:
        figure.savefig(file, format=file_format, dpi=_DOTS_PER_INCH)
    finally:
        plt.close(figure)
    return file.getvalue()
