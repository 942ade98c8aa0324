"""The package's one thread pool."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from numba import config

# Fewer multiplications than this in one pass are done sooner than a thread is woken.
_WORTH_THREADS = 2_000_000


def on_threads[S, T](function: Callable[[S], T], items: Sequence[S], work: int) -> Iterator[T]:
    """function(item) of each item, in order, on all cores where `work` multiplications are worth them."""
    if len(items) == 1 or work < _WORTH_THREADS or config.NUMBA_NUM_THREADS == 1:
        yield from map(function, items)
    else:
        yield from _pool(config.NUMBA_NUM_THREADS).map(function, items)


@cache
def _pool(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads, thread_name_prefix="bayesgmm")


# A forked child has none of its parent's threads: it makes its own pool.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)
