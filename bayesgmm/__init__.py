"""bayesgmm: Gaussian mixtures fitted by EM and by a posterior, and how far the two agree.

Each public name is loaded when it is first used, so that an EM fit does not wait for a sampler to be imported. The
names are listed once, in the stub `__init__.pyi`, which type checkers read too.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
