"""Whether draws can be trusted: convergence, problems in words, and sensitivity to the prior.

It uses the other folders of `posterior`, and none of them imports it.
"""
