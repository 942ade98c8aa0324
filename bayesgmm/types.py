"""Types that more than one module names."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

type FloatArray = NDArray[np.float64]
type IntArray = NDArray[np.intp]
type BoolArray = NDArray[np.bool_]
# Rows are float64 or float32; the kernel has a binary for each.
type RowArray = NDArray[Any]

# What `rng` may be: a seed, a generator, or None for a seed from the operating system.
type Seed = int | np.random.Generator | None
type CovarianceName = Literal["full", "tied", "diag", "spherical"]
# "auto" lets `sample_posterior` choose the sampler.
type SamplerName = Literal["auto", "independent", "nuts", "gibbs"]
