"""The share of a posterior where a component holds no row."""

import numpy as np
import pytest
from helpers.data import iris, prepared
from helpers.exact import Model, side
from scipy import stats
from scipy.special import gammaln

import bayesgmm as bg
from bayesgmm.bayes.model.density import MixtureDensity
from bayesgmm.bayes.modes.empty_component import log_evidence_with_empty_component
from bayesgmm.bayes.modes.find import find_modes
from bayesgmm.mixture.covariance import FULL

MODEL = Model(stats.lognorm(s=0.7, scale=1.5), 0.5, 3.0, 1.3)


def of_two_components(n):
    """Laplace's log evidence of the allocations of n rows to one of two components, and the exact one."""
    x = np.sort(np.random.default_rng(n).normal(1.0, 2.0, n))
    prior = bg.Prior(MODEL.location, MODEL.scale, bg.priors.LogNormal(1.5, 0.7), MODEL.a)
    density = MixtureDensity.of(prepared(x), 2, FULL, prior)
    start = density.unconstrain(bg.fit_em(x, 2, rng=1).parameters)
    modes = find_modes(density, [[start]], np.random.default_rng(1))
    log_prior = gammaln(MODEL.a + n) - gammaln(MODEL.a) + gammaln(2 * MODEL.a) - gammaln(2 * MODEL.a + n)
    exact = np.log(2) + log_prior + side(x, MODEL, np.zeros(1))[0]
    return log_evidence_with_empty_component(density, modes[0], np.random.default_rng(1)), exact


@pytest.mark.filterwarnings("ignore:This maximum may be spurious:bayesgmm.errors.BayesgmmWarning")
@pytest.mark.parametrize(("n", "error"), [(10, 0.1), (100, 0.01)])
def test_the_evidence_is_the_exact_sum_over_allocations_but_for_laplace(n, error):
    """Laplace's formula is off by about 1 / n. Without the allocations' ratio it would be off by log n and more."""
    found, exact = of_two_components(n)
    assert found == pytest.approx(exact, abs=error)


def test_iris_with_three_components_is_not_comparable_whether_or_not_chains_emptied_one():
    """Two components do nearly as well; chains from EM's fit leave it in some seeds only."""
    analysis = bg.analyze(iris(), 3, rng=1, progress=False)
    assert 0.2 < analysis.posterior.attrs["empty_component_share"] < 0.5
    assert "empty component" in {problem.kind for problem in analysis.diagnosis.problems}
    assert analysis.comparison.verdict == "not comparable"


def test_components_that_the_data_need_are_not_empty(faithful_posterior):
    assert faithful_posterior.attrs["empty_component_share"] < 1e-20
    assert bg.diagnose(faithful_posterior).ok


def test_one_component_cannot_be_empty():
    assert bg.sample_posterior(np.arange(20.0), 1, draws=20, rng=1, progress=False).attrs["empty_component_share"] == 0
