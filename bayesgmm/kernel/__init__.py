"""One compiled pass over the rows of a mixture: densities, responsibilities and sufficient statistics.

This package knows arrays only. Of bayesgmm it imports nothing but `types` and `parallel`.
"""
