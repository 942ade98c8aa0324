"""Making a posterior: the model, its modes, and draws from it.

It knows nothing of `em`, and of `posterior`, which reads the draws.
"""

from bayesgmm.compile_cache import ensure_writable

ensure_writable()
