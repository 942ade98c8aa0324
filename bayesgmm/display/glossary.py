"""The words of the command's output, explained for a reader who has not met them."""

from collections.abc import Mapping

GLOSSARY: Mapping[str, str] = {
    "component": "one of the Gaussian groups that the mixture consists of, numbered from 0",
    "weight": "the share of the rows that a component is expected to hold; the weights add up to 1",
    "EM": "the algorithm that looks for the parameters with the highest likelihood, from many starts",
    "log-likelihood": "how well a mixture fits the rows: higher is better, and only differences have a meaning",
    "maximum": "parameters that no small change improves; of several maxima EM's fit is the highest",
    "collapsed": "of a start: a component shrank onto a few rows, where the likelihood has no bound; it is left out",
    "AIC, BIC, ICL": "log-likelihood with a penalty for free parameters, to compare models: lower is better",
    "se": "standard error of an EM estimate, from the curvature of the log-likelihood",
    "posterior": "how probable each value of the parameters is, given the rows and the prior",
    "prior": "what was assumed about the parameters before the rows were seen",
    "chain, draw": "the posterior is known from draws; a chain is one sequence of them, and the chains must agree",
    "tuning": "the first part of each chain, in which the sampler adapts; it is not kept",
    "sd": "standard deviation: of a component's rows, or of the posterior of a number",
    "interval": "equal-tailed: a number lies below it and above it with equal posterior probability",
    "z": "distance of EM's estimate from the posterior mean, in posterior standard deviations",
    "R-hat": "compares the chains with each other; 1 if they agree, and above 1.01 they do not",
    "ESS": "effective sample size: how many independent draws would give averages of the same precision",
    "divergences, E-BFMI": "signs that the sampler NUTS may have missed a part of the posterior",
    "label": "the number of a component; it is arbitrary, so the components of each draw are matched to those of EM",
    "row": "in labels.csv the number of the row in the file: the first one below the names is row 1",
    "em, mean": "in labels.csv the probability of the row's label under EM, and its average over the posterior",
    "p_wrong": "in labels.csv the probability that another component than the label holds the row, 1 - mean",
    "disagreement": "in labels.csv the share of the other rows that EM joins to the row, or not, unlike the posterior",
    "clear labels": "of a draw: its components match those of EM one to one",
    "mode": "a part of the posterior around a maximum of its own, such as another way to divide the rows",
    "label-free quantities": "numbers that stay the same if components change their labels, such as a row's density",
    "Hellinger distance": "between two densities: 0 if they are equal, 1 if they have nothing in common",
    "adjusted Rand index": "of two ways to divide the rows: 1 if they are equal, about 0 if they are unrelated",
}
