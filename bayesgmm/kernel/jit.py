"""Decorators for helpers that are only called from other compiled code, and the package's fast-math flags."""

from functools import partial

from numba import njit

# No Python entry point is generated: it would double the compile time. Calling one of these functions from Python
# crashes the process; use `.py_func` there.
inner = partial(njit, nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)

# Numba copies these functions into their callers before it compiles them: they are never compiled by themselves, and
# arrays that they pass on need no reference counts.
inlined = partial(njit, error_model="numpy", inline="always")

# Fast-math flags for loops that sum: reassociation lets LLVM use SIMD; NaN and infinity keep their meaning.
SUMS = {"reassoc", "contract", "nsz"}
