"""Limits that a diagnosis and a comparison use."""

from dataclasses import dataclass, fields

from bayesgmm.errors import InputError
from bayesgmm.frozen import freeze
from bayesgmm.validation import check_positive


@dataclass(frozen=True)
class Thresholds:
    """Limits used by `sample_posterior`, `diagnose` and `compare`, with the reason for each default. All are above 0.

    Parameters
    ----------
    max_r_hat : largest R-hat. 1.01: Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021, doi:10.1214/20-BA1221).
    min_ess : smallest number of effective draws, bulk and tail. 400, which is 100 per chain for four chains: the same
        source; with fewer, R-hat and the bounds of intervals are themselves too uncertain.
    min_bfmi : smallest energy fraction of missing information. 0.3: Betancourt (2016, arXiv:1604.00695).
    max_divergent : largest share of divergent draws with which a comparison is still made; a diagnosis reports every
        divergence. 0.001: the region that so few draws point at is too small to move an interval's bounds visibly.
    min_label_clear : smallest share of draws with clear labels, that is, draws whose components match those of the
        reference one to one (`align`: label_clear). 0.95: below it, the marginal posterior of a component mixes
        several components. Well-separated mixtures have 1.
    max_other_modes : largest share of the posterior in modes that the draws do not cover. 0.05: a 90 % interval of
        the sampled mode then holds at least 85 % of the whole posterior.
    empty_rows, max_empty : a component is empty if it is expected to hold fewer than `empty_rows` rows in more than
        this share of the draws. Its parameters then follow the prior. 1 row, 0.05.
    duplicate_distance, max_duplicate : two components are near-duplicates if they are closer than `duplicate_distance`
        (Bhattacharyya) in more than this share of the draws. Which of the two is which is then arbitrary. 0.02, which
        is the distance of means 0.4 standard deviations apart; 0.05.
    max_z : largest distance, in posterior standard deviations, between an EM estimate and a posterior mean that agree.
        1: EM is then as close to the posterior mean as a typical draw is.
    rows_per_number : a component has few rows if it holds fewer than this per free parameter. 10, the usual rule of
        thumb: below it the relative bias of maximum likelihood's variances, about parameters / rows, exceeds a tenth.
    min_skewness : absolute skewness above which a posterior's mean is visibly away from its mode. 0.5.
    min_sensitivity : power-scaling sensitivity above which the prior is informative. 0.05: Kallioinen, Paananen,
        Buerkner and Vehtari (2024, doi:10.1007/s11222-023-10366-5). A prior of constant density, such as LKJ(1), is
        unchanged by raising it to a power, so its influence is never detected.

    Raises
    ------
    InputError
        A limit is not a number above 0, or `max_r_hat` is not above 1.

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

    max_r_hat: float = 1.01
    min_ess: float = 400
    min_bfmi: float = 0.3
    max_divergent: float = 0.001
    min_label_clear: float = 0.95
    max_other_modes: float = 0.05
    empty_rows: float = 1
    max_empty: float = 0.05
    duplicate_distance: float = 0.02
    max_duplicate: float = 0.05
    max_z: float = 1.0
    rows_per_number: float = 10
    min_skewness: float = 0.5
    min_sensitivity: float = 0.05

    def __post_init__(self) -> None:
        for field in fields(self):
            freeze(self, **{field.name: check_positive(getattr(self, field.name), f"Thresholds.{field.name}")})
        if not self.max_r_hat > 1:
            raise InputError(f"Thresholds.max_r_hat must be above 1; received {self.max_r_hat}.")


def check_thresholds(thresholds: Thresholds | None) -> Thresholds:
    """Return the thresholds given, or the defaults for None; raise InputError for anything else."""
    if thresholds is None:
        return Thresholds()
    if not isinstance(thresholds, Thresholds):
        raise InputError(
            f"thresholds must be a Thresholds, such as Thresholds(max_z=0.5); received {type(thresholds).__name__}."
        )
    return thresholds
