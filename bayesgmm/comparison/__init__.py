"""An EM fit beside a posterior: table, verdict with its reasons, densities and partitions.

It sees results, and not how they were made.
"""
