"""The numerical settings under which draws are made."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from bayesgmm.parallel import one_blas_thread


@contextmanager
def reproducible() -> Iterator[None]:
    """Products of matrices that do not depend on the number of cores, and no warning where draws overflow.

    Draws that overflow are no mixtures; `Target.read` refuses them.
    """
    with one_blas_thread(), np.errstate(over="ignore", invalid="ignore"):
        yield
