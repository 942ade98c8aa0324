"""EM: the steps, the restarts, and when to stop."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from bayesgmm.em.result import EMFit, Restart, Status
from bayesgmm.em.start import (
    STRATEGIES,
    Guess,
    StartStrategy,
    draw,
    from_responsibilities,
    sample_of,
    whitened,
)
from bayesgmm.exceptions import FitError, InputError
from bayesgmm.mixture.covariance import FULL, CovarianceStructure, n_free_parameters, structure_named
from bayesgmm.mixture.kernel import lower_inverses
from bayesgmm.mixture.parameters import MixtureParameters, kernel_parameters
from bayesgmm.mixture.rows import Rows, SufficientStatistics, rows_of
from bayesgmm.mixture.spread import total_cholesky
from bayesgmm.validation import (
    Table,
    as_generator,
    as_numbers,
    as_table,
    check_count,
    check_n_components,
    check_positive,
    check_weights,
)

type FloatArray = NDArray[np.float64]

# Variance, as a share of the data's total variance in its own direction, below which a covariance is a point,
# a line or a plane and the likelihood has no bound.
COVARIANCE_FLOOR = 1e-12
# How often a start whose components collapse is replaced by another.
_MOST_TRIES = 20
# Starts are compared after this many iterations; the best tenth, and at least three, go on to the end
# (Biernacki, Celeux and Govaert 2003, doi:10.1016/S0167-9473(02)00163-9: short runs of EM, then a long one).
_SHORT_RUN = 20


def fit_em(
    X: ArrayLike,
    n_components: int,
    covariance: str = "full",
    *,
    sample_weight: ArrayLike | None = None,
    start: MixtureParameters | ArrayLike | str = "k-means++",
    n_init: int = 100,
    tol: float = 1e-6,
    max_iter: int = 10_000,
    rng: Any = None,
) -> EMFit:
    """Fit a Gaussian mixture by maximum likelihood.

    Parameters
    ----------
    X : (n_samples, n_features) array or data frame, or (n_samples,) for one feature.
    n_components : number of components K.
    covariance : "full", "tied" (one full covariance for all components), "diag" or "spherical".
    sample_weight : (n_samples,), not negative: a row of weight 2 counts as two rows.
    start : "k-means++" or "random" (each restart draws its own); a `MixtureParameters`; or responsibilities
        (n_samples, n_components). From the latter two there is one run.
    n_init : number of starts. Each runs for 20 iterations (on 16,384 rows drawn at random, when there are more);
        the best tenth, and at least three, run on to convergence on all rows; the best of these is returned. A start
        whose components collapse is recorded and replaced by another.
    tol : stop when the log-likelihood is estimated to be within `tol` of its limit (Aitken's estimate, Boehning et
        al. 1994, doi:10.1007/BF01720593), or when its gain is rounding. Near an optimum a log-likelihood lower by
        `tol` is at most sqrt(2 tol) standard errors away: 0.0014 at the default, whatever the number of rows.
    max_iter : iterations of a run at most.
    rng : int, numpy.random.Generator or None. The same seed gives the same fit on any number of threads.

    Returns
    -------
    EMFit, its components in decreasing order of weight (for a start given as parameters or responsibilities:
    in the order of the start).

    Raises
    ------
    InputError
        The data, an option or the start cannot be used; the message says why.
    FitError
        Every start collapsed. The error's `restarts` holds their records.

    Notes
    -----
    A covariance whose variance in some direction falls below 1e-12 of the data's total variance in that direction has
    collapsed, and so has a component of no more rows than features (for the structures other than full: of a single
    row): there the likelihood has no bound or no meaning. The rule is relative to the data's total covariance, so the
    full fit is unchanged under invertible affine maps of the data.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> em = bg.fit_em(bg.datasets.load_faithful(), 2, rng=1)
    >>> round(em.log_likelihood, 3)
    -1130.264
    """
    structure = structure_named(covariance)
    table = as_table(X)
    weights = check_weights(sample_weight, table.n_samples)
    K = check_n_components(n_components, table, weights)
    tol, max_iter, n_init = (
        check_positive(tol, "tol"),
        check_count(max_iter, "max_iter"),
        check_count(n_init, "n_init"),
    )
    generator = as_generator(rng)
    rows = rows_of(table.values, weights)
    cholesky = total_cholesky(rows, table.features, structure)
    stepper = _Stepper(rows, structure, cholesky, lower_inverses(cholesky[np.newaxis])[0])
    ordered = isinstance(start, str)

    if isinstance(start, str):
        if start not in STRATEGIES:
            raise InputError(
                f"start must be one of {', '.join(STRATEGIES)}, a MixtureParameters or responsibilities; "
                f"received {start!r}."
            )
        # With one component every start leads to the same closed-form fit.
        runs = _restarts(stepper, STRATEGIES[start], K, n_init if K > 1 else 1, tol, max_iter, generator)
    else:
        runs = _given(stepper, start, K, table, tol, max_iter)
    records: list[Restart] = []
    best: tuple[Guess, Restart] | None = None
    for guess, record in runs:
        records.append(record)
        usable = record.status in (Status.CONVERGED, Status.MAX_ITER)
        if usable and (best is None or record.log_likelihood > best[1].log_likelihood):
            best = (guess, record)
    if best is None:
        if not ordered:
            raise FitError(
                f"The start that was given collapsed: from there, with covariance={structure.name!r}, some component "
                f"shrinks onto too few distinct rows, where the likelihood has no bound. Pass another start, or a "
                f"strategy such as start='k-means++'.",
                tuple(records),
            )
        raise FitError(
            f"All {len(records)} starts collapsed: with n_components={K} and covariance={structure.name!r} some "
            f"component always shrinks onto too few distinct rows, where the likelihood has no bound. Ask for fewer "
            f"components or for covariance='tied', or fit the posterior, whose priors keep covariances away from zero.",
            tuple(records),
        )
    guess, record = best
    if ordered:
        order = np.argsort(-guess.weights, kind="stable")
        guess = Guess(guess.weights[order], guess.means[order], guess.covariances[order])
    parameters = MixtureParameters(
        guess.weights / guess.weights.sum(), guess.means + rows.origin, guess.covariances, table.features
    )
    return EMFit(
        parameters=parameters,
        covariance=structure.name,
        log_likelihood=record.log_likelihood,
        status=record.status,
        history=record.history,
        restarts=tuple(records),
        n_samples=rows.total_weight,
        n_free=n_free_parameters(structure, K, table.n_features),
        entropy=_entropy(rows, guess, structure),
    )


class _Stepper(NamedTuple):
    """What every iteration needs and none changes."""

    rows: Rows
    structure: CovarianceStructure
    total_cholesky: FloatArray
    total_whitener: FloatArray  # its inverse

    def statistics(self, guess: Guess) -> tuple[SufficientStatistics, FloatArray]:
        """One pass over the rows; also the Cholesky factors (K, D, D) that its whitened coordinates refer to."""
        choleskys = np.linalg.cholesky(guess.covariances)
        parameters = kernel_parameters(guess.weights, guess.means, choleskys, diagonal=self.structure.diagonal)
        return self.rows.statistics(parameters), choleskys

    def maximise(self, guess: Guess, statistics: SufficientStatistics, choleskys: FloatArray) -> Guess:
        """The M-step in whitened coordinates: m = t/N, mu <- mu + L m, S <- L (T/N - m m') L'."""
        counts = statistics.counts
        m = statistics.first / counts[:, np.newaxis]
        whitened = statistics.second - counts[:, np.newaxis, np.newaxis] * m[:, :, np.newaxis] * m[:, np.newaxis, :]
        scatter = choleskys @ whitened @ choleskys.transpose(0, 2, 1)
        covariances = self.structure.project(0.5 * (scatter + scatter.transpose(0, 2, 1)), counts)
        means = guess.means + np.einsum("kij,kj->ki", choleskys, m)
        return Guess(counts / counts.sum(), means, covariances)

    def has_collapsed(self, guess: Guess) -> bool:
        """Whether some component is empty, of no more rows than a covariance needs, or flat in some direction."""
        n_rows = guess.weights * self.rows.n_samples
        needed = self.rows.n_features if self.structure is FULL else 1
        if not (n_rows > needed).all() or not np.isfinite(guess.covariances).all():
            return True
        relative = self.total_whitener @ guess.covariances @ self.total_whitener.T
        try:  # a Cholesky factor of S - floor I exists when every eigenvalue is above the floor, and only then
            np.linalg.cholesky(relative - COVARIANCE_FLOOR * np.eye(relative.shape[1]))
        except np.linalg.LinAlgError:
            return True
        return False


def _run(stepper: _Stepper, guess: Guess, start: str, tol: float, max_iter: int) -> tuple[Guess, Restart]:
    """EM from one start until it converges, collapses or reaches max_iter."""
    history: list[float] = []
    status = Status.MAX_ITER
    statistics, choleskys = stepper.statistics(guess)
    for _ in range(max_iter):
        history.append(statistics.log_likelihood)
        if _has_converged(history, tol):
            status = Status.CONVERGED
            break
        with np.errstate(all="ignore"):  # an empty component divides by 0; has_collapsed says so
            proposal = stepper.maximise(guess, statistics, choleskys)
        if stepper.has_collapsed(proposal):
            return guess, Restart(start, Status.COLLAPSED, np.array(history))
        guess = proposal
        statistics, choleskys = stepper.statistics(guess)
    else:
        history.append(statistics.log_likelihood)
    return guess, Restart(start, status, np.array(history))


def _has_converged(history: list[float], tol: float) -> bool:
    if len(history) < 3:
        return False
    before, gain = history[-2] - history[-3], history[-1] - history[-2]
    if gain <= 1e-15 * abs(history[-1]):
        return True
    rate = gain / before
    return bool(rate < 1 and gain * rate / (1 - rate) < tol)


def _restarts(
    stepper: _Stepper,
    strategy: StartStrategy,
    n_components: int,
    n_init: int,
    tol: float,
    max_iter: int,
    rng: np.random.Generator,
) -> Iterator[tuple[Guess, Restart]]:
    """Short runs from every start, long runs from the best of them."""
    sample = sample_of(stepper.rows, rng)
    sampled = sample is not stepper.rows
    points = whitened(sample, stepper.total_cholesky)
    short = stepper._replace(rows=sample)
    runs = []
    for stream in rng.spawn(n_init):
        for _ in range(_MOST_TRIES):
            guess = draw(strategy, sample, points, stepper.total_cholesky, stepper.structure, n_components, stream)
            guess, record = _run(short, guess, strategy.name, tol, min(_SHORT_RUN, max_iter))
            record = record._replace(sampled=sampled)
            if record.status is not Status.COLLAPSED:
                runs.append((guess, record))
                break
            yield guess, record
    runs.sort(key=lambda run: -run[1].log_likelihood)
    wanted = max(3, math.ceil(n_init / 10))
    for guess, record in runs:
        if wanted == 0:
            yield guess, record._replace(status=Status.OVERTAKEN)
            continue
        finished = record.status is Status.CONVERGED or len(record.history) > max_iter
        if sampled or not finished:
            earlier = np.empty(0) if sampled else record.history[:-1]
            guess, record = _run(stepper, guess, strategy.name, tol, max_iter - len(earlier))
            record = record._replace(history=np.concatenate([earlier, record.history]))
        wanted -= record.status is not Status.COLLAPSED
        yield guess, record


def _given(
    stepper: _Stepper,
    start: MixtureParameters | ArrayLike,
    n_components: int,
    table: Table,
    tol: float,
    max_iter: int,
) -> Iterator[tuple[Guess, Restart]]:
    N = table.n_samples
    if isinstance(start, MixtureParameters):
        start.check_start(n_components, table.features)
        if not start.weights.all():
            raise InputError(
                f"start must give every component a weight above 0, or no row could join it; received "
                f"{start.weights.tolist()}. Leave that component out, or give it a weight."
            )
        counts = start.weights * N
        # The start must have the structure that is fitted: its covariances are projected as an M-step would.
        covariances = stepper.structure.project(start.covariances * counts[:, np.newaxis, np.newaxis], counts)
        guess = Guess(start.weights, start.means - stepper.rows.origin, covariances)
        yield _run(stepper, guess, "parameters", tol, max_iter)
        return
    responsibilities = as_numbers(start, "start, unless it is a strategy's name or a MixtureParameters,")
    if responsibilities.shape != (N, n_components):
        raise InputError(
            f"start, as responsibilities, must have shape ({N}, {n_components}); it has shape {responsibilities.shape}."
        )
    if (
        not np.isfinite(responsibilities).all()
        or responsibilities.min() < 0
        or abs(responsibilities.sum(axis=1) - 1).max() > 1e-6
    ):
        raise InputError("start, as responsibilities, must be finite and not negative, and each row must sum to 1.")
    with np.errstate(all="ignore"):
        guess = from_responsibilities(stepper.rows, responsibilities, stepper.structure)
    if stepper.has_collapsed(guess):
        raise InputError(
            "start, as responsibilities, gives some component too few rows for a covariance. Give every component "
            "more rows than there are features."
        )
    yield _run(stepper, guess, "responsibilities", tol, max_iter)


def _entropy(rows: Rows, guess: Guess, structure: CovarianceStructure) -> float:
    parameters = kernel_parameters(
        guess.weights, guess.means, np.linalg.cholesky(guess.covariances), diagonal=structure.diagonal
    )
    total = 0.0
    for piece in rows.pieces():
        r = piece.responsibilities(parameters)
        each = -xlogy(r, r).sum(axis=1)
        total += float(each @ piece.weights) if piece.weights.size else float(each.sum())
    return total
