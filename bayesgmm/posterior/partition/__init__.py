"""Which rows belong together, whatever the labels: co-clustering and the partition of least expected loss.

It needs only the responsibilities of the rows under each draw.
"""

from bayesgmm.compile_cache import ensure_writable

ensure_writable()
