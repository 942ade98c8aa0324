"""Refusals of results that were handed to the wrong argument: what was expected, what came, and what to pass instead.

Results are recognised by the names of their classes, so that this module imports none of them.
"""

from bayesgmm.errors import InputError

_SAVED = "An analysis that was saved is read by Analysis.load(folder)."
_ROWS = ("DataFrame", "Series", "ndarray", "list", "tuple")
_TEXTS = ("str", "PosixPath", "WindowsPath", "Path")

# How each kind of result is made.
_SOURCES = {
    "EMFit": "as fit_em(X, n_components) returns it",
    "EMPath": "as em_path(X, n_components) returns it",
    "MixtureParameters": "such as fit_em(X, n_components).parameters",
    "DataTree": "with a group 'posterior', as sample_posterior and align return it",
    "Comparison": "as compare(em, posterior) returns it",
    "Diagnosis": "as diagnose(posterior) returns it",
    "Partition": "as point_partition(posterior) returns it",
}
# (expected, received): what to pass instead.
_REMEDIES = {
    ("EMFit", "Analysis"): "Pass analysis.em.",
    ("EMFit", "MixtureParameters"): "Pass the fit itself, not its parameters.",
    ("EMFit", "DataTree"): "This is a posterior; the fit is another argument.",
    ("EMFit", "GaussianMixture"): "Pass estimator.em_ of a fitted bayesgmm.GaussianMixture.",
    ("EMFit", "BayesianGaussianMixture"): "Pass estimator.em_ of a fitted bayesgmm.BayesianGaussianMixture.",
    ("EMFit", "EMPath"): "A path is for plot_iterations; fit with fit_em.",
    ("EMPath", "EMFit"): "A fit keeps no iterations; make them with em_path(X, n_components).",
    ("MixtureParameters", "EMFit"): "Pass em.parameters.",
    ("MixtureParameters", "Optimum"): "Pass optimum.parameters.",
    ("MixtureParameters", "Analysis"): "Pass analysis.em.parameters.",
    ("MixtureParameters", "GaussianMixture"): "Pass estimator.parameters_ of a fitted bayesgmm.GaussianMixture.",
    ("MixtureParameters", "BayesianGaussianMixture"): "Pass estimator.parameters_.",
    ("MixtureParameters", "DataTree"): "Draws are no single mixture; pass the parameters of a fit.",
    ("DataTree", "Analysis"): "Pass analysis.posterior.",
    ("DataTree", "EMFit"): "Sample one with sample_posterior(X, n_components, start=em.parameters).",
    ("DataTree", "MixtureParameters"): "Sample one with sample_posterior(X, n_components, start=parameters).",
    ("DataTree", "Diagnosis"): "Pass the posterior that was diagnosed.",
    ("DataTree", "Comparison"): "Pass the posterior that was compared.",
    ("DataTree", "BayesianGaussianMixture"): "Pass estimator.posterior_ of a fitted estimator.",
    ("DataTree", "GaussianMixture"): "It has no posterior; sample one with sample_posterior(X, n_components).",
    ("DataTree", "Model"): "Sample it with sample_model(model).",
    ("DataTree", "Dataset"): "Pass the whole tree and not one of its groups, or arviz.extract of it.",
    ("DataTree", "DataArray"): "Pass the whole tree and not one of its variables.",
    ("DataTree", "InferenceData"): "Convert it with its method to_datatree() (ArviZ 1).",
    ("Comparison", "Analysis"): "Pass analysis.comparison.",
    ("Comparison", "EMFit"): "Pass compare(em, align(posterior, em.parameters)).",
    ("Diagnosis", "Analysis"): "Pass analysis.diagnosis.",
    ("Diagnosis", "DataTree"): "Pass diagnose(posterior), or leave it out.",
    ("Partition", "CoClustering"): "Pass point_partition(posterior), which contains it.",
    ("Partition", "PartitionAgreement"): "Pass its vi_partition or binder_partition.",
}


def check_result[T](value: object, expected: type[T], name: str) -> T:
    """Return the value if it is of this class; raise InputError, with what to pass instead, if it is not."""
    if isinstance(value, expected):
        return value
    raise wrong_result(value, expected.__name__, name)


def wrong_result(value: object, expected: str, name: str) -> InputError:
    """The refusal of a value for an argument `name` that takes results of the class called `expected`."""
    article = "an" if expected[0] in "AEIO" else "a"
    return InputError(
        f"{name} must be {article} {expected}, {_SOURCES[expected]}; received {_kind(value)}. "
        f"{_remedy(value, expected)}"
    )


def _kind(value: object) -> str:
    if value is None:
        return "None"
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _remedy(value: object, expected: str) -> str:
    for kind in type(value).__mro__:
        if kind.__name__ in _TEXTS:
            return _SAVED
        if (remedy := _REMEDIES.get((expected, kind.__name__))) is not None:
            return remedy
        if kind.__name__ in _ROWS and expected in ("EMFit", "DataTree"):
            return f"Pass {'fit_em' if expected == 'EMFit' else 'sample_posterior'}(X, n_components)."
    return "Check the order of the arguments."
