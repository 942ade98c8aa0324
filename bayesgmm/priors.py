"""Families of priors for the standard deviations of a mixture, in the units of the data.

A `bayesgmm.Prior` takes one of them as its argument `std`.
"""

from bayesgmm.bayes.model.std_priors import Exponential, Fixed, Gamma, HalfNormal, InverseGamma, LogNormal, Uniform

__all__ = ["LogNormal", "HalfNormal", "Gamma", "InverseGamma", "Uniform", "Exponential", "Fixed"]
