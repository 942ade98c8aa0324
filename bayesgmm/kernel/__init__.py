"""One compiled pass over the rows of a mixture: densities, responsibilities and sufficient statistics.

This package knows arrays only. Of bayesgmm it imports nothing but the lowest floor, `parallel` and `compile_cache`.
"""

from bayesgmm.compile_cache import ensure_writable

ensure_writable()
