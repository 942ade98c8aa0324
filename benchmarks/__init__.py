"""bayesgmm beside its peers: the same data, the same start, in turn, in one run."""
