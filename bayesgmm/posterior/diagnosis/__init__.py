"""Whether draws can be trusted: convergence, problems in words, and sensitivity to the prior.

It stands above the other rooms of `posterior`, and none of them imports it.
"""
