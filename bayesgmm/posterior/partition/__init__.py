"""Which rows belong together, whatever the labels: co-clustering and the partition of least expected loss.

It needs each draw's allocation of rows only.
"""
