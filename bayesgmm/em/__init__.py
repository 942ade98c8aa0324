"""Point estimates: maximum likelihood by EM, and its standard errors.

Nothing here imports from `bayes` or `posterior`.
"""
