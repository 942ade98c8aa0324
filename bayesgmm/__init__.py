"""bayesgmm: Gaussian mixtures fitted by EM and by a posterior, and how far the two agree.

Names are loaded when they are first used, so that `import bayesgmm` and an EM fit wait for no sampler.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bayesgmm.compile_cache import ensure_writable

if TYPE_CHECKING:
    from bayesgmm.analysis import Analysis as Analysis
    from bayesgmm.analysis import analyze as analyze
    from bayesgmm.analysis import load as load
    from bayesgmm.bayes.model.prior import Prior as Prior
    from bayesgmm.bayes.pymc.model import build_model as build_model
    from bayesgmm.bayes.model.std_priors import Exponential as Exponential
    from bayesgmm.bayes.model.std_priors import Fixed as Fixed
    from bayesgmm.bayes.model.std_priors import Gamma as Gamma
    from bayesgmm.bayes.model.std_priors import HalfNormal as HalfNormal
    from bayesgmm.bayes.model.std_priors import InverseGamma as InverseGamma
    from bayesgmm.bayes.model.std_priors import LogNormal as LogNormal
    from bayesgmm.bayes.model.std_priors import Uniform as Uniform
    from bayesgmm.bayes.sampling.sample import sample_posterior as sample_posterior
    from bayesgmm.comparison.compare import Comparison as Comparison
    from bayesgmm.comparison.compare import compare as compare
    from bayesgmm.comparison.densities import DensityDistances as DensityDistances
    from bayesgmm.comparison.densities import Distance as Distance
    from bayesgmm.comparison.densities import density_difference as density_difference
    from bayesgmm.comparison.densities import density_distances as density_distances
    from bayesgmm.comparison.partitions import PartitionAgreement as PartitionAgreement
    from bayesgmm.comparison.partitions import partition_agreement as partition_agreement
    from bayesgmm.comparison.partitions import row_uncertainty as row_uncertainty
    from bayesgmm.em.fit import fit_em as fit_em
    from bayesgmm.em.path import EMPath as EMPath
    from bayesgmm.em.path import em_path as em_path
    from bayesgmm.em.result import EMFit as EMFit
    from bayesgmm.em.runs import Status as Status
    from bayesgmm.em.uncertainty.standard_errors import StandardErrors as StandardErrors
    from bayesgmm.estimators.bayesian_gaussian_mixture import BayesianGaussianMixture as BayesianGaussianMixture
    from bayesgmm.estimators.gaussian_mixture import GaussianMixture as GaussianMixture
    from bayesgmm.exceptions import BayesgmmError as BayesgmmError
    from bayesgmm.exceptions import BayesgmmWarning as BayesgmmWarning
    from bayesgmm.exceptions import FitError as FitError
    from bayesgmm.exceptions import InputError as InputError
    from bayesgmm.exceptions import SamplingError as SamplingError
    from bayesgmm.files import read_table as read_table
    from bayesgmm.mixture.parameters import MixtureParameters as MixtureParameters
    from bayesgmm.posterior.diagnosis.diagnose import Diagnosis as Diagnosis
    from bayesgmm.posterior.diagnosis.diagnose import diagnose as diagnose
    from bayesgmm.posterior.labels.align import align as align
    from bayesgmm.posterior.labels.report import LabelReport as LabelReport
    from bayesgmm.posterior.labels.report import label_report as label_report
    from bayesgmm.posterior.partition.partition import Bound as Bound
    from bayesgmm.posterior.partition.partition import CoClustering as CoClustering
    from bayesgmm.posterior.partition.partition import CredibleBall as CredibleBall
    from bayesgmm.posterior.partition.partition import Partition as Partition
    from bayesgmm.posterior.partition.partition import co_clustering as co_clustering
    from bayesgmm.posterior.partition.partition import point_partition as point_partition
    from bayesgmm.posterior.prediction.loo import LOO as LOO
    from bayesgmm.posterior.prediction.loo import add_log_likelihood as add_log_likelihood
    from bayesgmm.posterior.prediction.loo import loo as loo
    from bayesgmm.posterior.prediction.predict import Prediction as Prediction
    from bayesgmm.posterior.prediction.predict import PredictiveDensity as PredictiveDensity
    from bayesgmm.posterior.prediction.predict import predict as predict
    from bayesgmm.posterior.prediction.predict import predict_density as predict_density
    from bayesgmm.posterior.prediction.predictive_check import add_posterior_predictive as add_posterior_predictive
    from bayesgmm.posterior.prediction.predictive_check import predictive_check as predictive_check
    from bayesgmm.posterior.prediction.subsets import conditional as conditional
    from bayesgmm.posterior.prediction.subsets import marginal as marginal
    from bayesgmm.thresholds import Thresholds as Thresholds

# Where each public name lives; "" for a module that is itself the name.
_HOMES = {
    "datasets": "",
    "plots": "",
    "Analysis": "analysis",
    "analyze": "analysis",
    "load": "analysis",
    "add_posterior_predictive": "posterior.prediction.predictive_check",
    "predictive_check": "posterior.prediction.predictive_check",
    "PartitionAgreement": "comparison.partitions",
    "partition_agreement": "comparison.partitions",
    "row_uncertainty": "comparison.partitions",
    "Diagnosis": "posterior.diagnosis.diagnose",
    "diagnose": "posterior.diagnosis.diagnose",
    "LabelReport": "posterior.labels.report",
    "label_report": "posterior.labels.report",
    "align": "posterior.labels.align",
    "LOO": "posterior.prediction.loo",
    "add_log_likelihood": "posterior.prediction.loo",
    "loo": "posterior.prediction.loo",
    "build_model": "bayes.pymc.model",
    "Prediction": "posterior.prediction.predict",
    "PredictiveDensity": "posterior.prediction.predict",
    "predict": "posterior.prediction.predict",
    "predict_density": "posterior.prediction.predict",
    "Bound": "posterior.partition.partition",
    "CoClustering": "posterior.partition.partition",
    "CredibleBall": "posterior.partition.partition",
    "Partition": "posterior.partition.partition",
    "co_clustering": "posterior.partition.partition",
    "point_partition": "posterior.partition.partition",
    "Exponential": "bayes.model.std_priors",
    "Fixed": "bayes.model.std_priors",
    "Gamma": "bayes.model.std_priors",
    "HalfNormal": "bayes.model.std_priors",
    "InverseGamma": "bayes.model.std_priors",
    "LogNormal": "bayes.model.std_priors",
    "Prior": "bayes.model.prior",
    "Uniform": "bayes.model.std_priors",
    "sample_posterior": "bayes.sampling.sample",
    "conditional": "posterior.prediction.subsets",
    "marginal": "posterior.prediction.subsets",
    "Comparison": "comparison.compare",
    "compare": "comparison.compare",
    "DensityDistances": "comparison.densities",
    "Distance": "comparison.densities",
    "density_difference": "comparison.densities",
    "density_distances": "comparison.densities",
    "fit_em": "em.fit",
    "EMPath": "em.path",
    "em_path": "em.path",
    "EMFit": "em.result",
    "Status": "em.runs",
    "StandardErrors": "em.uncertainty.standard_errors",
    "BayesianGaussianMixture": "estimators.bayesian_gaussian_mixture",
    "GaussianMixture": "estimators.gaussian_mixture",
    "BayesgmmError": "exceptions",
    "BayesgmmWarning": "exceptions",
    "FitError": "exceptions",
    "InputError": "exceptions",
    "SamplingError": "exceptions",
    "read_table": "files",
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
