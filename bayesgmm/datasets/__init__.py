"""Example data: two classic data sets that the package ships, and simulated mixtures."""

from importlib.resources import as_file, files
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayesgmm.mixture.parameters import MixtureParameters
from bayesgmm.types import FloatArray, IntArray, Seed
from bayesgmm.validation import as_generator, check_count, check_positive

__all__ = ["load_faithful", "load_galaxies", "simulate"]


class Simulation(NamedTuple):
    """Rows drawn from a known mixture.

    Attributes
    ----------
    X : (n_samples, n_features) rows.
    labels : (n_samples,) the component from which each row was drawn.
    parameters : MixtureParameters, the mixture.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> simulation = bg.datasets.simulate(500, 2, 1, rng=1)
    >>> em = bg.fit_em(simulation.X, 2, rng=1)
    >>> bool(em.log_likelihood > simulation.parameters.log_density(simulation.X).sum())  # EM fits better
    True
    """

    X: FloatArray
    labels: IntArray
    parameters: MixtureParameters


def load_faithful() -> pd.DataFrame:
    """Load Old Faithful: 272 eruptions, `eruptions` (duration, minutes) and `waiting` (time to the next, minutes).

    Azzalini and Bowman (1990), A look at some data on the Old Faithful geyser, Applied Statistics 39, 357-365,
    in the version that R distributes. Many values are equal, because they were rounded.

    Returns
    -------
    DataFrame

    Examples
    --------
    >>> import bayesgmm as bg
    >>> bg.datasets.load_faithful().describe().loc[["count", "min", "max"]]
           eruptions  waiting
    count      272.0    272.0
    min          1.6     43.0
    max          5.1     96.0
    """
    return _load("faithful.csv")


def load_galaxies() -> pd.DataFrame:
    """Load the velocities of 82 galaxies in the Corona Borealis region, `velocity` in 1000 km/s.

    Roeder (1990), Density estimation with confidence sets exemplified by superclusters and voids in the galaxies,
    JASA 85, 617-624; with the 78th value corrected to 26.69.

    Returns
    -------
    DataFrame

    Examples
    --------
    >>> import bayesgmm as bg
    >>> velocity = bg.datasets.load_galaxies()["velocity"]
    >>> len(velocity), float(velocity.min()), float(velocity.max())
    (82, 9.172, 34.279)
    """
    return _load("galaxies.csv")


def simulate(
    n_samples: int, n_components: int, n_features: int, *, separation: float = 4.0, rng: Seed = None
) -> Simulation:
    """Draw a mixture at random, and rows from it.

    Parameters
    ----------
    n_samples, n_components, n_features : counts, at least 1.
    separation : distance between the nearest two means. The standard deviations are about 1.
    rng : int, numpy.random.Generator or None.

    Returns
    -------
    Simulation
        X, labels and parameters. Weights are drawn from Dirichlet(5, ..., 5), standard deviations uniformly between
        0.7 and 1.4, correlations from a Wishart matrix with 2 D + 2 degrees of freedom.

    Raises
    ------
    InputError
        A count is below 1, `separation` is not above 0, or `rng` cannot be used.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> X, labels, parameters = bg.datasets.simulate(500, 3, 2, separation=6.0, rng=1)
    >>> X.shape, parameters.n_components
    ((500, 2), 3)
    >>> bool((parameters.predict(X) == labels).mean() > 0.98)
    True
    """
    n, K = check_count(n_samples, "n_samples"), check_count(n_components, "n_components")
    D, separation = check_count(n_features, "n_features"), check_positive(separation, "separation")
    generator = as_generator(rng)
    means = generator.standard_normal((K, D))
    distances = np.linalg.norm(means[:, np.newaxis] - means, axis=2)[~np.eye(K, dtype=bool)]
    means *= separation / distances.min() if K > 1 else 1.0
    stds = generator.uniform(0.7, 1.4, (K, D))
    factors = generator.standard_normal((K, D, 2 * D + 2))
    wishart = factors @ factors.transpose(0, 2, 1)
    lengths = np.sqrt(np.einsum("kii->ki", wishart))
    scale = stds / lengths
    covariances = wishart * scale[:, :, np.newaxis] * scale[:, np.newaxis, :]
    parameters = MixtureParameters(generator.dirichlet(np.full(K, 5.0)), means, covariances)
    X, labels = parameters.sample(n, generator)
    return Simulation(X, labels, parameters)


def _load(name: str) -> pd.DataFrame:
    with as_file(files(__name__) / name) as path:
        return pd.read_csv(path)
