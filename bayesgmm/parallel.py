"""The package's only thread pool, and the threads of BLAS."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

from numba import config
from threadpoolctl import threadpool_limits

from bayesgmm.interrupts import deferred_interrupts, take_interrupts

# Multiplications in one call below which waking threads takes longer than the work itself.
_WORTH_THREADS = 2_000_000


def on_threads[S, T](function: Callable[[S], T], items: Sequence[S], work: int) -> Iterator[T]:
    """Yield function(item) of every item, in order; on all cores if `work` multiplications justify threads."""
    if len(items) == 1 or work < _WORTH_THREADS or config.NUMBA_NUM_THREADS == 1:
        for item in items:
            with deferred_interrupts():  # in other threads Ctrl-C cannot come while compiled code is called
                result = function(item)
            take_interrupts()
            yield result
    else:
        for result in _pool(config.NUMBA_NUM_THREADS).map(function, items):
            take_interrupts()
            yield result


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let BLAS use one thread, so that sums have the same digits on any number of cores."""
    with deferred_interrupts():  # the search for the libraries leaves a file open when it is interrupted
        limits = threadpool_limits(limits=1, user_api="blas")
    try:
        yield
    finally:
        limits.restore_original_limits()


@cache
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads, thread_name_prefix="bayesgmm")


# A forked child has none of its parent's threads, so it makes a pool of its own.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)
