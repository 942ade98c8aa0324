"""Where a diagnosis and a verdict draw their lines."""

from dataclasses import dataclass, fields
from typing import Any

from bayesgmm.errors import InputError
from bayesgmm.validation import check_positive


@dataclass(frozen=True)
class Thresholds:
    """The lines of a diagnosis and of a verdict, and why they are where they are. All are above 0.

    Parameters
    ----------
    max_rhat : largest R-hat. 1.01: Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021, doi:10.1214/20-BA1221).
    min_ess : fewest effective draws, bulk and tail. 400, a hundred a chain of four: the same, so that R-hat and the
        intervals' bounds are themselves known well enough.
    min_bfmi : smallest energy fraction of missing information. 0.3: Betancourt (2016, arXiv:1604.00695).
    max_divergent : largest share of draws that diverged with which a comparison is still made; the diagnosis tells of
        each. 0.001: the region they point at is too small to move an interval's bounds visibly.
    max_unclear : largest share of draws whose components are not the reference's one by one (`align`: label_clear).
        0.05: beyond it a component's marginal posterior mixes components. Well-separated mixtures have none.
    max_other_modes : largest share of the posterior in modes that the draws are not of. 0.05: a 90 % interval of the
        one mode is then still one of at least 85 %.
    empty_rows, max_empty : a component that is expected to hold fewer than `empty_rows` rows in more than this share of
        the draws is empty: its numbers are the prior's. 1 row, 0.05.
    twin_distance, max_twin : two components nearer than `twin_distance` (Bhattacharyya) in more than this share of the
        draws are twins: which is which is chance. 0.02, means 0.4 standard deviations apart; 0.05.
    max_z : largest distance of an EM estimate from its posterior mean that agrees, in posterior standard deviations.
        1: EM is then as near to the posterior mean as a typical draw is.
    rows_per_number : a component with fewer rows for each of its numbers has few. 10, the usual rule of thumb, below
        which maximum likelihood's bias in variances, about (numbers / rows) of them, is more than a tenth.
    min_skewness : absolute skewness from which a posterior's mean is visibly away from its mode. 0.5.
    min_sensitivity : power-scaling sensitivity from which the prior is informative. 0.05: Kallioinen, Paananen,
        Buerkner and Vehtari (2024, doi:10.1007/s11222-023-10366-5). A prior of constant density, such as LKJ(1), moves
        nothing when it is raised to a power, and is never seen so.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X = bg.datasets.load_galaxies()
    >>> em = bg.fit_em(X, 1, rng=1)
    >>> posterior = bg.sample_posterior(X, 1, start=em.parameters, draws=500, rng=1, progress=False)
    >>> strict = bg.Thresholds(max_z=0.001)
    >>> bg.compare(em, bg.align(posterior, em.parameters), thresholds=strict).verdict
    'differ'
    """

    max_rhat: float = 1.01
    min_ess: float = 400
    min_bfmi: float = 0.3
    max_divergent: float = 0.001
    max_unclear: float = 0.05
    max_other_modes: float = 0.05
    empty_rows: float = 1
    max_empty: float = 0.05
    twin_distance: float = 0.02
    max_twin: float = 0.05
    max_z: float = 1.0
    rows_per_number: float = 10
    min_skewness: float = 0.5
    min_sensitivity: float = 0.05

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, check_positive(getattr(self, field.name), f"Thresholds.{field.name}"))
        if not self.max_rhat > 1:
            raise InputError(f"Thresholds.max_rhat must be above 1; received {self.max_rhat}.")


def check_thresholds(thresholds: Any) -> Thresholds:
    """The thresholds, or the usual ones for None."""
    if thresholds is None:
        return Thresholds()
    if not isinstance(thresholds, Thresholds):
        raise InputError(
            f"thresholds must be a Thresholds, such as Thresholds(max_z=0.5); received {type(thresholds).__name__}."
        )
    return thresholds
