"""A result in the wrong argument is refused with what was expected, what came, and what to pass instead."""

import pytest
from helpers.figures import case

import bayesgmm as bg

EM, POSTERIOR = case(2, 2, N=40)
DIAGNOSIS = bg.diagnose(POSTERIOR)
COMPARISON = bg.compare(EM, POSTERIOR, diagnosis=DIAGNOSIS)
ANALYSIS = bg.Analysis(EM, POSTERIOR, DIAGNOSIS, COMPARISON)
X = EM.rows.values

WRONG = {
    "a fit for its parameters": (lambda: bg.align(POSTERIOR, EM), "received EMFit. Pass em.parameters"),
    "nothing for parameters": (lambda: bg.align(POSTERIOR, None), "reference must be a MixtureParameters"),
    "parameters for a fit": (lambda: bg.compare(EM.parameters, POSTERIOR), "Pass the fit itself, not its parameters"),
    "an analysis for a posterior": (lambda: bg.diagnose(ANALYSIS), "received Analysis. Pass analysis.posterior"),
    "an analysis for a fit": (lambda: bg.density_distances(ANALYSIS, POSTERIOR), "Pass analysis.em"),
    "an analysis for a comparison": (lambda: bg.plots.plot_comparison(ANALYSIS), "Pass analysis.comparison"),
    "a posterior for a fit": (lambda: bg.row_uncertainty(POSTERIOR, EM), "This is a posterior"),
    "a fit for a posterior": (lambda: bg.predict(EM, X), "Sample one with sample_posterior"),
    "rows for a posterior": (lambda: bg.loo(X), "received ndarray. Pass sample_posterior(X, n_components)"),
    "rows for a fit": (lambda: bg.plots.plot_fit(X, POSTERIOR), "received ndarray. Pass fit_em(X, n_components)"),
    "a folder for a posterior": (lambda: bg.label_report("folder"), "read by Analysis.load(folder)"),
    "a group for a posterior": (lambda: bg.loo(POSTERIOR["posterior"]), "pass the tree that holds it"),
    "a data set": (lambda: bg.loo(POSTERIOR["posterior"].to_dataset()), "Pass the whole tree"),
    "an estimator for a fit": (lambda: bg.plots.plot_convergence(bg.GaussianMixture(2)), "Pass estimator.em_"),
    "True for a diagnosis": (lambda: bg.compare(EM, POSTERIOR, diagnosis=True), "diagnosis must be a Diagnosis"),
    "a fit for a path": (lambda: bg.plots.plot_iterations(EM), "make them with em_path"),
    "a fit for a start": (lambda: bg.point_partition(POSTERIOR, start=EM, rng=1), "start must be a MixtureParameters"),
}


@pytest.mark.parametrize("slip", WRONG)
def test_the_refusal_says_what_to_pass(slip):
    call, remedy = WRONG[slip]
    with pytest.raises(bg.errors.InputError) as caught:
        call()
    assert remedy in str(caught.value)
    assert "received" in str(caught.value) or "pass the tree" in remedy
