"""One compiled pass over the rows of a mixture: densities, responsibilities and sufficient statistics.

It knows arrays only, and imports nothing of this package but `types` and `parallel`.
"""

from bayesgmm.compile_cache import ensure_writable

ensure_writable()
