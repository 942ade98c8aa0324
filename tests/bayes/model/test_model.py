"""The posterior density: PyMC's own mixture, the Op, `build_model` and the compiled density are one thing."""

from dataclasses import replace

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from helpers.data import prepared
from scipy.special import gammaln

import bayesgmm as bg
from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.model.variables import natural_values
from bayesgmm.bayes.pymc.model import build_model
from bayesgmm.bayes.pymc.op import MixtureLogLikelihood
from bayesgmm.kernel.score import log_likelihood_and_gradient
from bayesgmm.mixture.covariance import STRUCTURES, structure_named

# PyTensor's C and Numba back ends compile for seconds; the graphs are the same without.
FAST = "FAST_COMPILE"

STD_PRIORS = {
    "log-normal": bg.priors.LogNormal(1.3, 0.7),
    "half-normal": bg.priors.HalfNormal(2.0),
    "gamma": bg.priors.Gamma(2.0, 1.5),
    "inverse-gamma": bg.priors.InverseGamma(2.0, 3.0),
    "uniform": bg.priors.Uniform(0.2, 4.0),
    "exponential": bg.priors.Exponential(2.0),
    "fixed": bg.priors.Fixed(1.5),
}


def factors_of(structure, K, D, free):
    """Cholesky factors (K, D, D) with positive diagonal, as a PyTensor expression of free (K, D, D)."""
    if structure.shared:
        free = pt.broadcast_to(free[0][None], (K, D, D))
    diagonal = pt.exp(pt.diagonal(free, axis1=1, axis2=2))
    if structure.name == "spherical":
        diagonal = pt.broadcast_to(diagonal[:, 0][:, None], (K, D))
    lower = pt.zeros_like(free) if structure.diagonal else pt.tril(free, -1)
    return lower + diagonal[:, :, None] * np.eye(D)


@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize("D", range(1, 7))
@pytest.mark.parametrize("K", range(1, 6))
def test_the_op_equals_pymcs_mixture(K, D, covariance):
    """Value to 1e-9 and gradient to 1e-7, relative to the largest entry."""
    rng = np.random.default_rng(100 * K + D)
    X = rng.normal(size=(40, D)) * 2 + 1
    logits, means, free = pt.dvector(), pt.dmatrix(), pt.dtensor3()
    weights = pt.special.softmax(logits)
    factors = factors_of(structure_named(covariance), K, D, free)
    op = MixtureLogLikelihood(structure_named(covariance).diagonal)
    ours = op(X, X.mean(axis=0), pt.log(weights), means, factors)[0]
    components = [pm.MvNormal.dist(mu=means[k], chol=factors[k]) for k in range(K)]
    theirs = (
        pm.logp(pm.Mixture.dist(w=weights, comp_dists=components), X).sum()
        if K > 1
        else pm.logp(components[0], X).sum()
    )
    point = rng.normal(size=K), rng.normal(size=(K, D)), 0.4 * rng.normal(size=(K, D, D))
    inputs = [logits, means, free]
    outputs = []
    for value in (ours, theirs):
        gradients = pt.grad(value, inputs, disconnected_inputs="ignore")
        f = pytensor.function(inputs, [value, *gradients], mode=FAST, on_unused_input="ignore")
        outputs.append(f(*point))
    np.testing.assert_allclose(outputs[0][0], outputs[1][0], rtol=1e-9)
    for mine, reference in zip(outputs[0][1:], outputs[1][1:], strict=True):
        np.testing.assert_allclose(mine, reference, atol=1e-7 * max(1.0, np.abs(reference).max()))


def test_a_gradient_that_forgets_a_row_would_be_noticed():
    """A deliberately broken version: half a per cent of the rows missing is far outside the tolerance above."""
    X = np.random.default_rng(0).normal(size=(200, 2))
    arguments = X.mean(axis=0), np.log([0.4, 0.6]), np.array([[0.0, 0.0], [1.0, 1.0]]), np.stack([np.eye(2)] * 2), False
    whole = log_likelihood_and_gradient(X, *arguments)
    less = log_likelihood_and_gradient(X[:-1], *arguments)
    assert abs(less[0] / whole[0] - 1) > 1e-9 * 1000


def test_the_op_refuses_a_second_derivative():
    x = pt.dvector()
    op = MixtureLogLikelihood()
    value = op(np.ones((3, 1)), np.zeros(1), x, np.zeros((2, 1)), np.ones((2, 1, 1)))[0]
    gradient = pt.grad(value, x)
    with pytest.raises(NotImplementedError, match="no gradient of its own"):
        pt.grad(gradient.sum(), x)


def density_and_model(covariance, std, K, D, seed=0):
    X = np.random.default_rng(seed).normal(size=(30, D)) * np.arange(1, D + 1) + 5
    # The resolution is coarse, so that its factor counts.
    prior = bg.Prior.for_data(X, covariance, correlation_eta=1.7, concentration=2.5, resolution=np.arange(1.0, D + 1))
    prior = prior if std is None else replace(prior, std=std)
    density = MixtureDensity.of(prepared(X), K, structure_named(covariance), prior)
    return density, build_model(X, K, covariance, prior)


# The families differ in one table of coefficients, which two sizes are enough to see.
SIZES_AND_PRIORS = [
    *((K, D, std) for K, D in [(1, 1), (1, 3), (3, 1), (2, 2), (2, 4), (4, 3)] for std in ("log-normal", "uniform")),
    *((K, D, std) for K, D in [(3, 1), (2, 2)] for std in STD_PRIORS if std not in ("log-normal", "uniform")),
]


@pytest.mark.parametrize(("K", "D", "std"), SIZES_AND_PRIORS)
@pytest.mark.parametrize("covariance", STRUCTURES)
def test_the_compiled_density_equals_build_models(covariance, K, D, std):
    """Value to 1e-9 and gradient to 1e-7 at random points: each prior's formula is written twice, never differently."""
    density, model = density_and_model(covariance, STD_PRIORS[std], K, D)
    f = model.logp_dlogp_function(ravel_inputs=True, mode=FAST)
    f.set_extra_values({})
    assert [value.name.split("_")[0] for value in model.value_vars] == [name.split("_")[0] for name in density.shapes]
    rng = np.random.default_rng(1)
    for _ in range(3):
        theta = 0.7 * rng.normal(size=density.n_dim)
        value, gradient = density(theta)
        expected, expected_gradient = f(theta) if density.n_dim else (model.compile_logp(mode=FAST)({}), np.empty(0))
        np.testing.assert_allclose(value, expected, rtol=1e-9)
        np.testing.assert_allclose(
            gradient, expected_gradient, atol=1e-7 * max(1.0, np.abs(expected_gradient).max(initial=0))
        )


@pytest.mark.parametrize(
    "change", [{"correlation_eta": 1.8}, {"concentration": 2.6}, {"mean_scale": 3.0}, {"resolution": 0.9}]
)
def test_a_density_with_another_prior_would_be_noticed(change):
    """A deliberately broken version of the test above."""
    density, model = density_and_model("full", None, 2, 2)
    other = MixtureDensity(
        density.rows, 2, density.structure, replace(density.prior, **change).for_features(2, density.structure)
    )
    theta = 0.5 * np.random.default_rng(0).normal(size=density.n_dim)
    f = model.logp_dlogp_function(ravel_inputs=True, mode=FAST)
    f.set_extra_values({})
    assert abs(other(theta)[0] / f(theta)[0] - 1) > 1e-6


@pytest.mark.parametrize("covariance", STRUCTURES)
@pytest.mark.parametrize("std", [None, "uniform"])
def test_unconstrain_and_constrain_are_inverse(covariance, std):
    density, _ = density_and_model(covariance, STD_PRIORS.get(std), 3, 4)
    theta = 0.6 * np.random.default_rng(2).normal(size=density.n_dim)
    natural = {name: value[0] for name, value in density.constrain(theta[np.newaxis]).items()}
    mixture = bg.MixtureParameters(natural["weights"], natural["means"], natural["covariances"])
    np.testing.assert_allclose(mixture.stds, natural["stds"], rtol=1e-12)
    np.testing.assert_allclose(mixture.correlations, natural["correlations"], atol=1e-12)
    np.testing.assert_allclose(density.unconstrain(mixture), theta, atol=1e-9)
    for name, shape in density.shapes.items():
        if name != "weights":
            assert natural_values(mixture, density.structure)[name].shape == shape


def lkj_log_density(factor, eta):
    """Log density of the Cholesky factor of an LKJ(eta) correlation matrix, with its normalising constant.

    Lewandowski, Kurowicka and Joe (2009), eqs. 16 and 17, and the Jacobian of the factorisation.
    """
    D = len(factor)
    j = np.arange(1, D)
    constant = np.sum(0.5 * j * np.log(np.pi) + gammaln(eta + 0.5 * (D - 1 - j))) - (D - 1) * gammaln(
        eta + 0.5 * (D - 1)
    )
    i = np.arange(1, D + 1)
    return np.sum((D - i + 2 * eta - 2) * np.log(np.diagonal(factor))) - constant


@pytest.mark.parametrize("D", [2, 3, 4, 5])
@pytest.mark.parametrize("eta", [0.7, 1.0, 2.5])
def test_the_vine_is_the_lkj_prior(D, eta):
    """The prior part of the compiled density against LKJ's own formula, constants included.

    The rest of the density, and the Jacobian from the logits to the factor, are taken away by a second density that
    differs in eta alone.
    """
    X = np.random.default_rng(0).normal(size=(20, D))
    priors = [bg.Prior.for_data(X, correlation_eta=value, resolution=0.0) for value in (eta, 1.9)]
    densities = [MixtureDensity.of(prepared(X), 1, structure_named("full"), prior) for prior in priors]
    theta = 0.6 * np.random.default_rng(D).normal(size=densities[0].n_dim)
    factor = np.linalg.cholesky(densities[0].constrain(theta[np.newaxis])["correlations"][0, 0])
    found = densities[0](theta)[0] - densities[1](theta)[0]
    assert found == pytest.approx(lkj_log_density(factor, eta) - lkj_log_density(factor, 1.9), abs=1e-9)


def test_build_model_names_its_variables_and_dims(faithful):
    model = build_model(faithful, 2)
    assert model.named_vars_to_dims["means"] == ("component", "feature")
    assert model.named_vars_to_dims["covariances"] == ("component", "feature", "feature_other")
    assert list(model.coords["feature"]) == ["eruptions", "waiting"]
    assert {"weights", "means", "stds", "correlations", "covariances", "X"} <= set(model.named_vars)


def test_a_prior_of_the_wrong_shape_is_refused(faithful):
    prior = bg.Prior(mean_location=[0.0, 0.0, 0.0], mean_scale=1.0, std=bg.priors.LogNormal(1.0))
    with pytest.raises(bg.errors.InputError, match=r"mean_location.*shape \(2,\)"):
        build_model(faithful, 2, prior=prior)
    with pytest.raises(bg.errors.InputError, match="spherical"):
        build_model(faithful, 2, "spherical", prior=bg.Prior.for_data(faithful))
