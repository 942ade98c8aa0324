"""EM to the optimum: passes over the data until the log-likelihood is within 1e-6 of the best, against plain EM."""

from typing import NamedTuple

import numpy as np

import bayesgmm as bg
from benchmarks.cases import Data, faithful, galaxies, iris, simulated

DATA = [
    Data("Old Faithful", faithful, 3),
    Data("galaxies", galaxies, 4),
    Data("galaxies", galaxies, 5),
    Data("iris", iris, 3),
    Data("iris", iris, 4),
    Data("simulated, 2000 x 2, 1.5 apart", simulated(2000, 3, 2, 1.5), 3),
    Data("simulated, 2000 x 2, 1 apart", simulated(2000, 3, 2, 1.0), 3),
    Data("simulated, 5000 x 2, 1 apart", simulated(5000, 3, 2, 1.0), 3),
    Data("simulated, 5000 x 3, 1 apart", simulated(5000, 3, 3, 1.0), 3),
    Data("simulated, 2000 x 5, 1.5 apart", simulated(2000, 4, 5, 1.5), 4),
    Data("simulated, 1000 x 1, 2 apart", simulated(1000, 3, 1, 2.0), 3),
]
NEAR = 1e-6
SLOW, ENOUGH = 200, 5.0
# Beyond this two runs have ended at different maxima.
_SAME = 1e-4


def random_start(X: np.ndarray, n_components: int, rng: np.random.Generator) -> bg.MixtureParameters:
    """Random rows as means, equal weights, and the data's covariance shrunk to K equal volumes."""
    D = X.shape[1]
    covariance = np.atleast_2d(np.cov(X.T)) * n_components ** (-2 / D)
    means = X[rng.choice(len(X), n_components, replace=False)]
    return bg.MixtureParameters(
        np.full(n_components, 1 / n_components), means, np.broadcast_to(covariance, (n_components, D, D))
    )


def plain_em(X: np.ndarray, start: bg.MixtureParameters, most: int) -> np.ndarray:
    """Log-likelihood at each pass of textbook EM (Bishop 2006, section 9.2.2), until 100 passes gain under 1e-9."""
    mixture, history = start, []
    for _ in range(most):
        history.append(mixture.log_density(X).sum())
        if len(history) > 100 and history[-1] - history[-101] < 1e-9:
            break
        r = mixture.responsibilities(X)
        counts = r.sum(axis=0)
        means = r.T @ X / counts[:, np.newaxis]
        centred = X - means[:, np.newaxis]
        covariances = np.einsum("nk,kni,knj->kij", r, centred, centred, optimize=True)
        covariances /= counts[:, np.newaxis, np.newaxis]
        mixture = bg.MixtureParameters(counts / counts.sum(), means, covariances)
    return np.array(history)


class Race(NamedTuple):
    """Passes until near the best known, and how far below it each run ended."""

    accelerated: int
    plain: int
    accelerated_short: float
    plain_short: float

    @property
    def same(self) -> bool:
        return max(self.accelerated_short, self.plain_short) < _SAME


def passes(history: np.ndarray, best: float) -> int:
    near = history >= best - NEAR
    return int(near.argmax()) + 1 if near.any() else len(history)


def race(X: np.ndarray, K: int, start: bg.MixtureParameters, most: int) -> Race | None:
    """Both runs from one start; None where a component collapses."""
    try:
        plain = plain_em(X, start, most)
        fit = bg.fit_em(X, K, start=start, tol=1e-10, max_iter=most)
    except (bg.errors.FitError, bg.errors.InputError):
        return None
    accelerated, failed = fit.history, fit.restarts[0].n_failed
    best = max(plain.max(), accelerated.max())
    # Passes that led to no iteration are counted as if all had come before.
    return Race(passes(accelerated, best) + failed, passes(plain, best), best - accelerated[-1], best - plain[-1])


def optimum_table(data=tuple(DATA), n_starts=15, most=20_000):
    print(f"\nEM to within {NEAR:g} of the best log-likelihood known: passes over the data, medians over random starts")
    print(
        f"of {n_starts} those where neither run collapsed and both ended at the same maximum; {most:,} passes at most"
    )
    heads = f"{'starts':>6} {'fit_em':>8} {'plain EM':>9} {'ratio':>7} {'fit_em short':>13} {'plain short':>12}"
    print(f"{'':>34} {'K':>3} {heads}")
    ratios, slow = [], []
    for name, load, K in data:
        X = load()
        starts = [random_start(X, K, stream) for stream in np.random.default_rng(1).spawn(n_starts)]
        races = [run for start in starts if (run := race(X, K, start, most)) is not None]
        same = [run for run in races if run.same]
        if not same:
            print(f"{name:>34} {K:>3} {0:>6} none to compare: {n_starts - len(races)} collapsed", flush=True)
            continue
        accelerated, plain, *short = np.median(np.array(same), axis=0)
        ratios.append(np.median([run.plain / run.accelerated for run in same]))
        slow += [run.plain / run.accelerated for run in same if run.plain >= SLOW]
        print(
            f"{name:>34} {K:>3} {len(same):>6} {accelerated:>8.0f} {plain:>9.0f} {ratios[-1]:>6.1f}x "
            f"{short[0]:>13.1e} {short[1]:>12.1e}",
            flush=True,
        )
        for run in races:
            if not run.same:
                print(f"{'':>45} other maxima: fit_em {run.accelerated_short:.4g} short, plain {run.plain_short:.4g}")
    if ratios:
        print(f"median of the ratios {np.median(ratios):.1f}x")
    if slow:
        enough = sum(ratio >= ENOUGH for ratio in slow)
        shown = f"median {np.median(slow):.1f}x, least {min(slow):.1f}x, {enough} at {ENOUGH:g}x and more"
        print(f"of the {len(slow)} starts from which plain EM takes {SLOW} passes and more: {shown}")
