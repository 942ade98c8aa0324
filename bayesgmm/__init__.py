"""bayesgmm: Gaussian mixtures fitted by EM and by a posterior, and how far the two agree.

Names are loaded when they are first used, so that `import bayesgmm` and an EM fit wait for no sampler.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bayesgmm.caches import ensure_writable

if TYPE_CHECKING:
    from bayesgmm import datasets as datasets
    from bayesgmm import plots as plots
    from bayesgmm.analysis import Analysis as Analysis
    from bayesgmm.analysis import analyze as analyze
    from bayesgmm.analysis import load as load
    from bayesgmm.assignments import PartitionAgreement as PartitionAgreement
    from bayesgmm.assignments import partition_agreement as partition_agreement
    from bayesgmm.assignments import row_uncertainty as row_uncertainty
    from bayesgmm.bayes.criticism import add_posterior_predictive as add_posterior_predictive
    from bayesgmm.bayes.criticism import predictive_check as predictive_check
    from bayesgmm.bayes.diagnose import Diagnosis as Diagnosis
    from bayesgmm.bayes.diagnose import diagnose as diagnose
    from bayesgmm.bayes.label_report import LabelReport as LabelReport
    from bayesgmm.bayes.label_report import label_report as label_report
    from bayesgmm.bayes.labels import align as align
    from bayesgmm.bayes.loo import LOO as LOO
    from bayesgmm.bayes.loo import add_log_likelihood as add_log_likelihood
    from bayesgmm.bayes.loo import loo as loo
    from bayesgmm.bayes.model import build_model as build_model
    from bayesgmm.bayes.partition import Bound as Bound
    from bayesgmm.bayes.partition import CoClustering as CoClustering
    from bayesgmm.bayes.partition import CredibleBall as CredibleBall
    from bayesgmm.bayes.partition import Partition as Partition
    from bayesgmm.bayes.partition import co_clustering as co_clustering
    from bayesgmm.bayes.partition import point_partition as point_partition
    from bayesgmm.bayes.predict import Prediction as Prediction
    from bayesgmm.bayes.predict import PredictiveDensity as PredictiveDensity
    from bayesgmm.bayes.predict import predict as predict
    from bayesgmm.bayes.predict import predict_density as predict_density
    from bayesgmm.bayes.prior import Prior as Prior
    from bayesgmm.bayes.sample import sample_posterior as sample_posterior
    from bayesgmm.bayes.std_priors import Exponential as Exponential
    from bayesgmm.bayes.std_priors import Fixed as Fixed
    from bayesgmm.bayes.std_priors import Gamma as Gamma
    from bayesgmm.bayes.std_priors import HalfNormal as HalfNormal
    from bayesgmm.bayes.std_priors import InverseGamma as InverseGamma
    from bayesgmm.bayes.std_priors import LogNormal as LogNormal
    from bayesgmm.bayes.std_priors import Uniform as Uniform
    from bayesgmm.bayes.subsets import conditional as conditional
    from bayesgmm.bayes.subsets import marginal as marginal
    from bayesgmm.comparison import Comparison as Comparison
    from bayesgmm.comparison import compare as compare
    from bayesgmm.densities import DensityDistances as DensityDistances
    from bayesgmm.densities import Distance as Distance
    from bayesgmm.densities import density_difference as density_difference
    from bayesgmm.densities import density_distances as density_distances
    from bayesgmm.em.fit import fit_em as fit_em
    from bayesgmm.em.path import EMPath as EMPath
    from bayesgmm.em.path import em_path as em_path
    from bayesgmm.em.result import EMFit as EMFit
    from bayesgmm.em.runs import Status as Status
    from bayesgmm.em.standard_errors import StandardErrors as StandardErrors
    from bayesgmm.estimators.bayesian_gaussian_mixture import BayesianGaussianMixture as BayesianGaussianMixture
    from bayesgmm.estimators.gaussian_mixture import GaussianMixture as GaussianMixture
    from bayesgmm.exceptions import BayesgmmError as BayesgmmError
    from bayesgmm.exceptions import BayesgmmWarning as BayesgmmWarning
    from bayesgmm.exceptions import FitError as FitError
    from bayesgmm.exceptions import InputError as InputError
    from bayesgmm.exceptions import SamplingError as SamplingError
    from bayesgmm.io import read_table as read_table
    from bayesgmm.mixture.parameters import MixtureParameters as MixtureParameters
    from bayesgmm.thresholds import Thresholds as Thresholds

# Where each public name lives; "" for a module that is itself the name.
_HOMES = {
    "datasets": "",
    "plots": "",
    "Analysis": "analysis",
    "analyze": "analysis",
    "load": "analysis",
    "add_posterior_predictive": "bayes.criticism",
    "predictive_check": "bayes.criticism",
    "PartitionAgreement": "assignments",
    "partition_agreement": "assignments",
    "row_uncertainty": "assignments",
    "Diagnosis": "bayes.diagnose",
    "diagnose": "bayes.diagnose",
    "LabelReport": "bayes.label_report",
    "label_report": "bayes.label_report",
    "align": "bayes.labels",
    "LOO": "bayes.loo",
    "add_log_likelihood": "bayes.loo",
    "loo": "bayes.loo",
    "build_model": "bayes.model",
    "Prediction": "bayes.predict",
    "PredictiveDensity": "bayes.predict",
    "predict": "bayes.predict",
    "predict_density": "bayes.predict",
    "Bound": "bayes.partition",
    "CoClustering": "bayes.partition",
    "CredibleBall": "bayes.partition",
    "Partition": "bayes.partition",
    "co_clustering": "bayes.partition",
    "point_partition": "bayes.partition",
    "Exponential": "bayes.std_priors",
    "Fixed": "bayes.std_priors",
    "Gamma": "bayes.std_priors",
    "HalfNormal": "bayes.std_priors",
    "InverseGamma": "bayes.std_priors",
    "LogNormal": "bayes.std_priors",
    "Prior": "bayes.prior",
    "Uniform": "bayes.std_priors",
    "sample_posterior": "bayes.sample",
    "conditional": "bayes.subsets",
    "marginal": "bayes.subsets",
    "Comparison": "comparison",
    "compare": "comparison",
    "DensityDistances": "densities",
    "Distance": "densities",
    "density_difference": "densities",
    "density_distances": "densities",
    "fit_em": "em.fit",
    "EMPath": "em.path",
    "em_path": "em.path",
    "EMFit": "em.result",
    "Status": "em.runs",
    "StandardErrors": "em.standard_errors",
    "BayesianGaussianMixture": "estimators.bayesian_gaussian_mixture",
    "GaussianMixture": "estimators.gaussian_mixture",
    "BayesgmmError": "exceptions",
    "BayesgmmWarning": "exceptions",
    "FitError": "exceptions",
    "InputError": "exceptions",
    "SamplingError": "exceptions",
    "read_table": "io",
    "MixtureParameters": "mixture.parameters",
    "Thresholds": "thresholds",
}

__all__ = [*_HOMES]

ensure_writable()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bayesgmm' has no attribute {name!r}")
    home = _HOMES[name]
    value = getattr(import_module(f"bayesgmm.{home}"), name) if home else import_module(f"bayesgmm.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
