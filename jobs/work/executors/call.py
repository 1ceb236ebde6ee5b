"""Runs one task inside a worker: threads stated, and a raise turned into a record."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from functools import cache

from threadpoolctl import ThreadpoolController

from zoospectra.jobs.work.executors.task import Outcome, Task
from zoospectra.zoo.checkpoint.trouble import CheckpointError, Reason, is_access_failure


@cache
def _pools() -> ThreadpoolController:
    """The BLAS and OpenMP pools of this process; found once, since looking costs milliseconds.

    All three libraries are loaded first, for a pool that comes later keeps the number of its own environment: scipy's
    OpenBLAS, first used by a kernel, took Ray's OMP_NUM_THREADS: a task tried again on all CPUs had other last bits.
    """
    import numpy as np  # noqa: F401
    import scipy.linalg  # noqa: F401
    import torch  # noqa: F401

    return ThreadpoolController()


def set_threads(threads: int) -> None:
    """State the number of BLAS threads: workers are reused, so an earlier task's setting would leak into this one."""
    import torch

    _pools().limit(limits=threads)
    torch.set_num_threads(threads)


def threads_now() -> Callable[[], None]:
    """What puts the present numbers of threads back: a library's caller keeps its own."""
    import torch

    torch_threads = torch.get_num_threads()
    pools = [(pool, pool.num_threads) for pool in _pools().lib_controllers]

    def restore() -> None:
        torch.set_num_threads(torch_threads)
        for pool, threads in pools:
            pool.set_num_threads(threads)

    return restore


def call(task: Task) -> Outcome:
    """Run one task; the only place where any exception becomes data, so that one bad tensor cannot end a scan."""
    start = time.perf_counter()
    try:
        set_threads(task.cpus)
        value = task.function(task.argument)
    except Exception as error:  # noqa: BLE001 - see docstring
        return Outcome(task, error=_words(error), reason=_reason(error), seconds=time.perf_counter() - start)
    return Outcome(task, value=value, seconds=time.perf_counter() - start)


def _words(error: Exception) -> str:
    """Type, message and place; a checkpoint's trouble speaks for itself."""
    if isinstance(error, CheckpointError):
        return error.detail
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({last.filename.rsplit('/', 1)[-1]}:{last.lineno})"


def _reason(error: Exception) -> Reason:
    """What an exception says about a task."""
    if isinstance(error, CheckpointError):
        return error.reason
    if isinstance(error, MemoryError):
        return Reason.OUT_OF_MEMORY
    return Reason.INACCESSIBLE if is_access_failure(error) else Reason.ERROR
