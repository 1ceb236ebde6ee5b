"""A function on many layers at once: a thread a core, one BLAS thread in each, for numbers that no machine changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

MOST = 4
"""Threads: what they do is bound by memory."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def on_every_core(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Results in the order of the items; the first exception is raised."""
    import scipy.linalg  # noqa: F401 - a BLAS that is loaded later would keep its own number of threads

    with threadpool_limits(limits=1), ThreadPoolExecutor(min(MOST, os.cpu_count() or 1)) as pool:
        return list(pool.map(function, items))
