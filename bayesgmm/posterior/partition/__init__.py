"""Which rows belong together, whatever the labels: co-clustering and the partition of least expected loss.

It needs only the responsibilities of the rows under each draw.
"""
