"""The package's only thread pool."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from numba import config

# Multiplications in one call below which waking threads takes longer than the work itself.
_WORTH_THREADS = 2_000_000


def on_threads[S, T](function: Callable[[S], T], items: Sequence[S], work: int) -> Iterator[T]:
    """Yield function(item) of every item, in order; on all cores if `work` multiplications justify threads."""
    if len(items) == 1 or work < _WORTH_THREADS or config.NUMBA_NUM_THREADS == 1:
        yield from map(function, items)
    else:
        yield from _pool(config.NUMBA_NUM_THREADS).map(function, items)


@cache
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads, thread_name_prefix="bayesgmm")


# A forked child has none of its parent's threads, so it makes a pool of its own.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)
