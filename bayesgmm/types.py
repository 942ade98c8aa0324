"""Types that several modules use in their signatures."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

type FloatArray = NDArray[np.float64]
type IntArray = NDArray[np.intp]
type BoolArray = NDArray[np.bool_]
# Rows are float64 or float32; the kernel is compiled for each.
type RowArray = NDArray[Any]

# The argument `rng`: a seed, a generator, or None for a seed from the operating system.
type Seed = int | np.random.Generator | None
type CovarianceName = Literal["full", "tied", "diag", "spherical"]
# "auto" lets `sample_posterior` choose the sampler.
type SamplerName = Literal["auto", "independent", "nuts", "gibbs"]
type StandardErrorMethod = Literal["information", "sandwich", "bootstrap", "weighted", "parametric", "jackknife"]
