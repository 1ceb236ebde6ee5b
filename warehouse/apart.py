"""Builds and merges of a large warehouse in a process of their own: the memory that they take goes with it.

A build of 100,000 models takes 150 MB beside what its process holds, and not all of it is given back afterwards. A
small warehouse is built here: a process takes 0.4 s to start. Killed, this process leaves the other one to its end.
Not covered: what a build or a merge does (build.py, merge.py).
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zoospectra.warehouse import build, merge
from zoospectra.warehouse.build import Built
from zoospectra.warehouse.connect import disk_errors, generations

LARGE = 16 * 2**20
"""Bytes of a generation from which the next one is built apart: 10,000 tiny models."""

MODELS = 5000
"""Models of a run from which its generations are, whatever was there before."""


def refresh(directory: Path, keep: int, models: int = 0) -> Built:
    """`build.refresh`, apart where the warehouse is large or the run has many models."""
    return _built("refresh", directory, keep, models)


def publish_results(directory: Path, keep: int, models: int = 0) -> Built:
    """`build.publish_results`, likewise."""
    return _built("publish_results", directory, keep, models)


def merge_parts(directory: Path, models: int = 0) -> None:
    """`merge.merge`, likewise."""
    if _is_large(directory, models):
        _apart("merge", str(directory))
    else:
        merge.merge(directory)


def _is_large(directory: Path, models: int) -> bool:
    present = generations(directory)
    return bool(sys.executable) and (models >= MODELS or (bool(present) and present[-1][1].stat().st_size >= LARGE))


def _built(verb: str, directory: Path, keep: int, models: int) -> Built:
    if not _is_large(directory, models):
        built: Built = getattr(build, verb)(directory, keep=keep)
        return built
    answered = _apart(verb, str(directory), keep)
    return Built(**answered | {"path": Path(answered["path"]), "broken": tuple(map(Path, answered["broken"]))})


def _apart(verb: str, *words: str | int) -> dict[str, Any]:
    """Result of a verb in a new process; OSError and ValueError are raised here as they were there."""
    # A process with a file: one of -c is a person's session to DuckDB, which then draws its progress on stdout.
    command = [sys.executable, "-P", "-m", __spec__.name, json.dumps([verb, words])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False)
    if ended.returncode != 0:
        msg = f"the process that works on {words[0]} ended with status {ended.returncode}"
        raise RuntimeError(msg)
    result: dict[str, Any] = json.loads(ended.stdout)
    if "errno" in result:
        raise OSError(result["errno"], os.strerror(result["errno"]), result["filename"])
    if "refused" in result:
        raise ValueError(result["refused"])
    return result


def answer(verb: str, words: list[Any]) -> None:
    """The other side: run a verb and say on stdout what it returns or raises."""
    directory, *keep = words
    result: dict[str, Any]
    try:
        if verb == "merge":
            result = {"merged": merge.merge(Path(directory))}
        else:
            with disk_errors(Path(directory)):
                result = asdict(getattr(build, verb)(Path(directory), *keep))
    except OSError as error:
        result = {"errno": error.errno or errno.EIO, "filename": str(error.filename or directory)}
    except ValueError as error:
        result = {"refused": str(error)}
    print(json.dumps(result, default=str))


if __name__ == "__main__":
    try:
        answer(*json.loads(sys.argv[1]))
    except KeyboardInterrupt:  # its own process says so, for both
        sys.exit(130)
