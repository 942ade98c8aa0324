"""An EM fit beside a posterior: the table, the verdict with its reasons, densities and partitions.

The modules here read results; they do not know how EM or the sampler made them.
"""
