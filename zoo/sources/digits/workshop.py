"""Makes the models that are missing: one process a core, spawned, each file whole or absent whatever happens.

`make_model` is the unit of work, picklable, and does nothing when its file is there: any other executor may run it.
A script without an `if __name__ == "__main__":` guard cannot spawn; `workers=0` trains in the calling process.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from zoospectra.zoo.sources.digits.population import VERSION, Recipe, TrainingSettings
from zoospectra.zoo.sources.digits.weights import PART, SUFFIX, read_metadata, write_weights

Progress = Callable[[int, int, str], None]
"""Called after every finished model with: models there now, models in all, name of the model."""

MOST_WORKERS = 16
"""A worker holds about 0.3 GB, and the whole population is a minute of work."""
STALE_SECONDS = 3600
"""No model takes longer; an unfinished file older than this belongs to a process that was killed."""
SAFE_PATH = "PYTHONSAFEPATH"
"""A process is spawned as `python -c`, which imports from the current folder until it has its parent's path."""


def weights_path(folder: Path, recipe: Recipe) -> Path:
    """File of one model."""
    return folder / (recipe.name + SUFFIX)


def make_model(folder: Path, recipe: Recipe, settings: TrainingSettings) -> str:
    """Train one model and store it, unless its file is there and whole; returns its name."""
    path = weights_path(folder, recipe)
    if read_metadata(path) is not None:
        return recipe.name
    import torch

    from zoospectra.zoo.sources.digits.training import train

    trained = train(recipe, settings)
    facts = {"format": "pt", "version": VERSION, "torch": torch.__version__, "name": recipe.name}
    facts |= asdict(recipe) | asdict(settings) | asdict(trained.scores)
    write_weights(path, trained.tensors, {key: str(value) for key, value in facts.items()})
    return recipe.name


def make_missing(
    folder: Path,
    recipes: Iterable[Recipe],
    settings: TrainingSettings,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Train every recipe whose file is missing or not whole.

    workers: processes; None is one a core, at most MOST_WORKERS; 0 trains in this process.
    Raises RuntimeError when a worker died; finished models stay and a rerun makes the rest.
    """
    recipes = tuple(recipes)
    missing = [recipe for recipe in recipes if read_metadata(weights_path(folder, recipe)) is None]
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    _remove_stale(folder)
    slots = min(len(missing), min(_cores(), MOST_WORKERS) if workers is None else workers)
    done = len(recipes) - len(missing)
    for name in _spawned(folder, missing, settings, slots) if slots else _inline(folder, missing, settings):
        done += 1
        if progress is not None:
            progress(done, len(recipes), name)


def _inline(folder: Path, missing: list[Recipe], settings: TrainingSettings) -> Iterable[str]:
    for recipe in missing:
        yield make_model(folder, recipe, settings)


def _spawned(folder: Path, missing: list[Recipe], settings: TrainingSettings, slots: int) -> Iterable[str]:
    """Names in order of completion; never more submitted than there are workers: an interrupted crawl ends soon."""
    context = multiprocessing.get_context("spawn")  # a fork would copy the locks of threads that torch or Ray hold
    try:
        pool = ProcessPoolExecutor(slots, mp_context=context, initializer=_tie_to_parent)
    except OSError:  # their locks lie in /dev/shm, which is full, read-only or not there
        yield from _inline(folder, missing, settings)
        return
    queue = iter(sorted(missing, key=_longest_first))
    running: set[Future[str]] = set()
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        while True:
            running |= {
                pool.submit(make_model, folder, recipe, settings) for recipe in islice(queue, slots - len(running))
            }
            if not running:
                return
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    except BrokenProcessPool as error:
        msg = (
            f"a process that trained digits models died (out of memory, killed, or started from a script without an "
            f'`if __name__ == "__main__":` guard); finished models are kept in {folder}: run again, with fewer workers '
            f"or with workers=0 to train in this process"
        )
        raise RuntimeError(msg) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        if before is None:
            del os.environ[SAFE_PATH]


def _longest_first(recipe: Recipe) -> tuple[bool, int, float]:
    """Order of submission: the longest models first, so that no core idles at the end."""
    return recipe.family != "conv", -recipe.depth * recipe.width**2, -recipe.epochs / recipe.batch_size


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _tie_to_parent() -> None:
    """Start of a worker: Ctrl-C ends it silently, and it never outlives a parent that was killed."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _remove_stale(folder: Path) -> None:
    for part in folder.glob(f".*{PART}"):
        if time.time() - part.stat().st_mtime > STALE_SECONDS:
            part.unlink(missing_ok=True)
