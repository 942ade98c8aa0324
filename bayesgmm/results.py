"""The classes of the values that bayesgmm's functions return.

They are not called: use them in annotations and `isinstance`, and to look up their attributes. `Analysis` and
`MixtureParameters`, which have constructors of their own, are in `bayesgmm` itself.
"""

from bayesgmm.comparison.compare import Comparison
from bayesgmm.comparison.densities import DensityDistances, Distance
from bayesgmm.comparison.partitions import PartitionAgreement
from bayesgmm.datasets import Simulation
from bayesgmm.em.path import EMPath
from bayesgmm.em.result import EMFit
from bayesgmm.em.runs import FitProblem, Optimum, Restart, Status
from bayesgmm.em.uncertainty.standard_errors import StandardErrors
from bayesgmm.posterior.diagnosis.diagnose import Diagnosis
from bayesgmm.posterior.diagnosis.problems import Problem
from bayesgmm.posterior.labels.report import LabelReport
from bayesgmm.posterior.partition.partition import Bound, CoClustering, CredibleBall, Partition
from bayesgmm.posterior.prediction.loo import LOO
from bayesgmm.posterior.prediction.predict import Prediction, PredictiveDensity

__all__ = [
    "EMFit",
    "Status",
    "Restart",
    "Optimum",
    "FitProblem",
    "StandardErrors",
    "EMPath",
    "Diagnosis",
    "Problem",
    "LabelReport",
    "LOO",
    "Comparison",
    "DensityDistances",
    "Distance",
    "PartitionAgreement",
    "Prediction",
    "PredictiveDensity",
    "CoClustering",
    "Partition",
    "CredibleBall",
    "Bound",
    "Simulation",
]
