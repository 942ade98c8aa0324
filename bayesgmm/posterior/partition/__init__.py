"""Which rows belong together, whatever the labels: co-clustering and the partition of least expected loss.

It needs each draw's allocation of rows only.
"""

from bayesgmm.compile_cache import ensure_writable

ensure_writable()
