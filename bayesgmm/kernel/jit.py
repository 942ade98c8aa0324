"""How functions are compiled that only compiled code calls."""

from functools import partial

from numba import njit

# They have no way in from Python, which would take as long to compile as they do themselves. A call from Python
# crashes the process; `py_func` of each runs in Python.
inner = partial(njit, nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


# Sums may be reassociated, which is what lets them use SIMD; NaN and infinity stay honest.
SUMS = {"reassoc", "contract", "nsz"}
