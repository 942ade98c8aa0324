"""Point estimates: maximum likelihood by EM, and its standard errors.

It knows nothing of `bayes` and `posterior`.
"""
