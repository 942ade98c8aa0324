"""`MixtureParameters`: weights, means and covariances of a Gaussian mixture, and what follows from them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike

from bayesgmm.checked_tables import as_feature_indices, as_table, check_given, check_names, default_names, names_clash
from bayesgmm.display.cards import Card, Displayed
from bayesgmm.display.components import component_table
from bayesgmm.errors import InputError
from bayesgmm.frozen import freeze
from bayesgmm.mixture.covariance import stds_and_correlations
from bayesgmm.mixture.evaluation import labels_at, log_densities_at, responsibilities_at
from bayesgmm.mixture.random_rows import rows_from_noise
from bayesgmm.types import FloatArray, IntArray, RowArray, Seed
from bayesgmm.validation import as_generator, as_numbers, check_count
from bayesgmm.wording import count, listed, shown

# Largest distance of the sum of the weights from 1.
_WEIGHT_TOLERANCE = 1e-8
# Largest asymmetry of a covariance, in units of the product of the two standard deviations.
_SYMMETRY_TOLERANCE = 1e-8


@dataclass(frozen=True, eq=False, repr=False)
class MixtureParameters(Displayed):
    """Weights, means and covariances of a Gaussian mixture.

    Parameters
    ----------
    weights : (n_components,), not negative; they sum to 1.
    means : (n_components, n_features), in the units of the data.
    covariances : (n_components, n_features, n_features), symmetric and positive definite; always full matrices,
        also when a fit restricted their structure.
    features : names of the features; by default x0, x1, ...

    Raises
    ------
    InputError
        The shapes do not fit together, a value is not finite, the weights do not sum to 1, a covariance is not
        symmetric and positive definite, or the names are not one per feature and all different.

    Examples
    --------
    >>> import bayesgmm as bg
    >>> mixture = bg.MixtureParameters([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
    >>> mixture.responsibilities([0.0]).tolist()
    [[0.5, 0.5]]
    """

    weights: FloatArray
    means: FloatArray
    covariances: FloatArray
    features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        weights, means = _finite(self.weights, "weights", 1), _finite(self.means, "means", 2)
        covariances = _finite(self.covariances, "covariances", 3)
        K, D = means.shape
        if K == 0 or D == 0:
            raise InputError(
                f"means must have at least one component and one feature; it has shape {means.shape}. Pass "
                f"(n_components, n_features)."
            )
        for name, array, shape in (("weights", weights, (K,)), ("covariances", covariances, (K, D, D))):
            if array.shape != shape:
                raise InputError(
                    f"{name} must have shape {shape} to go with means of shape {means.shape}; it has {array.shape}. "
                    f"Pass one entry per component."
                )
        _check_weights(weights)
        _check_covariances(covariances)
        features = _as_features(self.features, D)
        freeze(self, weights=weights, means=means, covariances=covariances, features=features)

    @property
    def n_components(self) -> int:
        """K, the number of components."""
        return int(self.means.shape[0])

    @property
    def n_features(self) -> int:
        """D, the number of features."""
        return int(self.means.shape[1])

    @property
    def stds(self) -> FloatArray:
        """(n_components, n_features) standard deviations."""
        return stds_and_correlations(self.covariances)[0]

    @property
    def correlations(self) -> FloatArray:
        """(n_components, n_features, n_features) correlation matrices."""
        return stds_and_correlations(self.covariances)[1]

    def permute(self, order: Sequence[int] | IntArray) -> "MixtureParameters":
        """Return the same mixture with component `order[0]` first, `order[1]` second, ...

        Parameters
        ----------
        order : (n_components,) numbers of the components; each occurs once.

        Returns
        -------
        MixtureParameters

        Raises
        ------
        InputError
            `order` does not name each component once.

        Examples
        --------
        >>> import bayesgmm as bg
        >>> mixture = bg.MixtureParameters([0.7, 0.3], [[0.0], [5.0]], [[[1.0]], [[2.0]]])
        >>> mixture.permute([1, 0]).weights.tolist()
        [0.3, 0.7]
        """
        numbers = list(order) if isinstance(order, Iterable) else []
        is_whole = all(isinstance(number, Integral) and not isinstance(number, bool) for number in numbers)
        if not is_whole or sorted(numbers) != list(range(self.n_components)):
            raise InputError(
                f"order must name each of the {self.n_components} components once, by its number; received "
                f"{shown(order)}. Pass a permutation of 0 to {self.n_components - 1}."
            )
        index = np.array(numbers, dtype=np.intp)
        return MixtureParameters(self.weights[index], self.means[index], self.covariances[index], self.features)

    def log_density(self, X: ArrayLike) -> FloatArray:
        """Log density of each row under the mixture: log sum_k w_k N(x | mu_k, Sigma_k).

        The logarithm is natural, and the density is per unit of the data.

        Parameters
        ----------
        X : (n_samples, n_features) rows.

        Returns
        -------
        (n_samples,) array

        Raises
        ------
        InputError
            `X` has other columns than the mixture, or holds NaN or infinity.

        Examples
        --------
        >>> import bayesgmm as bg
        >>> X = bg.datasets.load_faithful()
        >>> em = bg.fit_em(X, 2, rng=1)
        >>> bool(abs(em.parameters.log_density(X).sum() - em.log_likelihood) < 1e-6)
        True
        """
        return log_densities_at(self, self._checked(X))

    def responsibilities(self, X: ArrayLike) -> FloatArray:
        """Probability of each component given each row.

            r_ik = w_k N(x_i | mu_k, Sigma_k) / sum_j w_j N(x_i | mu_j, Sigma_j)      (Bishop 2006, eq. 9.23)

        Parameters
        ----------
        X : (n_samples, n_features) rows.

        Returns
        -------
        (n_samples, n_components) array
            Each row sums to 1, also where every density underflows.

        Raises
        ------
        InputError
            `X` has other columns than the mixture, or holds NaN or infinity.

        Examples
        --------
        >>> import bayesgmm as bg
        >>> em = bg.fit_em(bg.datasets.load_faithful(), 2, rng=1)
        >>> em.parameters.responsibilities([[2.0, 55.0], [2.9, 67.0]]).round(2).tolist()
        [[0.0, 1.0], [0.55, 0.45]]
        """
        return responsibilities_at(self, self._checked(X))

    def predict(self, X: ArrayLike) -> IntArray:
        """Predict the most probable component of each row.

        Parameters
        ----------
        X : (n_samples, n_features) rows.

        Returns
        -------
        (n_samples,) array
            Number of the most probable component.

        Raises
        ------
        InputError
            `X` has other columns than the mixture, or holds NaN or infinity.

        Examples
        --------
        >>> import bayesgmm as bg
        >>> em = bg.fit_em(bg.datasets.load_faithful(), 2, rng=1)
        >>> em.parameters.predict([[2.0, 55.0], [4.5, 80.0]]).tolist()
        [1, 0]
        """
        return labels_at(self, self._checked(X))

    def sample(self, n_samples: int, rng: Seed = None) -> tuple[FloatArray, IntArray]:
        """Draw rows from the mixture.

        Parameters
        ----------
        n_samples : number of rows, at least 1.
        rng : int, numpy.random.Generator or None.

        Returns
        -------
        (n_samples, n_features) array
            The rows.
        (n_samples,) array
            The component from which each row was drawn.

        Raises
        ------
        InputError
            `n_samples` is below 1, or `rng` cannot be used.

        Examples
        --------
        >>> import bayesgmm as bg
        >>> em = bg.fit_em(bg.datasets.load_faithful(), 2, rng=1)
        >>> X, labels = em.parameters.sample(1000, rng=1)
        >>> X.shape, bool(abs((labels == 0).mean() - em.parameters.weights[0]) < 0.05)
        ((1000, 2), True)
        """
        n = check_count(n_samples, "n_samples")
        generator = as_generator(rng)
        labels = generator.choice(self.n_components, size=n, p=self.weights / self.weights.sum())
        noise = generator.standard_normal((n, self.n_features))
        choleskys = np.linalg.cholesky(self.covariances)
        return rows_from_noise(self.means[labels], choleskys[labels], noise), labels

    def marginal(self, features: Sequence[str | int]) -> "MixtureParameters":
        """Return the mixture of some of the features, in the order given.

        Parameters
        ----------
        features : names or numbers of the features to keep.

        Returns
        -------
        MixtureParameters

        Raises
        ------
        InputError
            `features` is not a list of features of the mixture, each named once.

        Examples
        --------
        >>> import bayesgmm as bg
        >>> em = bg.fit_em(bg.datasets.load_faithful(), 2, rng=1)
        >>> em.parameters.marginal(["waiting"]).means.round(1).tolist()
        [[80.0], [54.5]]
        """
        index = as_feature_indices(features, self.features, "features")
        return MixtureParameters(
            self.weights,
            self.means[:, index],
            self.covariances[:, index][:, :, index],
            tuple(self.features[i] for i in index),
        )

    def conditional(self, given: Mapping[str | int, float]) -> "MixtureParameters":
        """Return the mixture of the other features, given the values of some.

        Each component becomes a Gaussian conditional (Bishop 2006, eqs. 2.81 and 2.82). The weights become the
        responsibilities of the marginal mixture at the given values.

        Parameters
        ----------
        given : from names or numbers of features to their values, in the units of the data.

        Returns
        -------
        MixtureParameters

        Raises
        ------
        InputError
            `given` is not a mapping, names an unknown feature or all features, or has a value that is not finite.

        Examples
        --------
        >>> import bayesgmm as bg
        >>> em = bg.fit_em(bg.datasets.load_faithful(), 2, rng=1)
        >>> waiting = em.parameters.conditional({"eruptions": 2.0})
        >>> waiting.features, (waiting.weights @ waiting.means).round(1).tolist()
        (('waiting',), [54.2])
        """
        known, other, values = check_given(given, self.features)
        marginal = self.marginal(known)
        responsibilities = responsibilities_at(marginal, values[np.newaxis])[0]
        means, covariances = [], []
        for mean, covariance in zip(self.means, self.covariances, strict=True):
            cross = covariance[np.ix_(other, known)]
            gain = np.linalg.solve(covariance[np.ix_(known, known)], cross.T).T
            means.append(mean[other] + gain @ (values - mean[known]))
            conditional = covariance[np.ix_(other, other)] - gain @ cross.T
            covariances.append(0.5 * (conditional + conditional.T))
        names = tuple(self.features[i] for i in other)
        return MixtureParameters(responsibilities, np.array(means), np.array(covariances), names)

    def check_start(self, n_components: int, features: tuple[str, ...]) -> None:
        """Raise InputError unless a fit with K components and these features can start from this mixture."""
        K, D = n_components, len(features)
        if self.means.shape != (K, D):
            raise InputError(
                f"start has {self.n_components} components of {self.n_features} features; X and n_components need "
                f"{K} of {D}. Pass a start of that size, or leave it out."
            )
        if names_clash(self.features, features):
            raise InputError(
                f"start describes {listed(self.features)}; the columns of X are {listed(features)}. Pass a start "
                f"for the same columns in the same order."
            )

    def _card(self) -> Card:
        grid, notes = component_table(self.weights, self.means, self.stds, self.features)
        size = f"{count(self.n_components, 'component')}, {count(self.n_features, 'feature')}"
        return Card(f"MixtureParameters: {size}", grid=grid, notes=notes)

    def _checked(self, X: ArrayLike) -> RowArray:
        return as_table(X, features=self.features).values


_SHAPES = {1: "(n_components,)", 2: "(n_components, n_features)", 3: "(n_components, n_features, n_features)"}


def _finite(value: ArrayLike, name: str, ndim: int) -> FloatArray:
    array = np.array(as_numbers(value, name))
    if array.ndim != ndim:
        raise InputError(
            f"{name} must have {count(ndim, 'dimension')}, {_SHAPES[ndim]}; it has shape {array.shape}. Reshape it."
        )
    if not np.isfinite(array).all():
        raise InputError(f"{name} must be finite; it holds NaN or infinity. Leave that component out, or fit again.")
    return array


def _check_weights(weights: FloatArray) -> None:
    if weights.min() < 0 or abs(weights.sum() - 1) > _WEIGHT_TOLERANCE:
        raise InputError(
            f"weights must not be negative and must sum to 1; received {shown(weights.tolist())}, sum "
            f"{weights.sum():.6g}. Divide them by their sum."
        )


def _check_covariances(covariances: FloatArray) -> None:
    scale = np.sqrt(np.abs(np.einsum("kii->ki", covariances)))
    asymmetry = np.abs(covariances - covariances.transpose(0, 2, 1))
    if (asymmetry > _SYMMETRY_TOLERANCE * scale[:, :, np.newaxis] * scale[:, np.newaxis, :]).any():
        raise InputError("covariances must be symmetric. Pass (S + S.T) / 2 if the difference is rounding.")
    for k, covariance in enumerate(covariances):
        try:
            np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError as error:
            raise InputError(
                f"covariances[{k}] is not positive definite. Every covariance must be; add to its diagonal or "
                f"leave out features that depend linearly on the others."
            ) from error


def _as_features(features: Iterable[str], n_features: int) -> tuple[str, ...]:
    """Return the names as a tuple; default names when there are none."""
    is_listed = not isinstance(features, str) and isinstance(features, Iterable)
    names = (tuple(map(str, features)) or default_names(n_features)) if is_listed else ()
    if len(names) != n_features or len(set(names)) != n_features:
        raise InputError(
            f"features must be {n_features} different names, one per column of means; received {shown(features)}. Pass "
            f"a list of names, or leave it out."
        )
    check_names(names, "features")
    return names
