"""What Ray needs to start or join: a folder with nothing in it, silence, and words for its errors."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from zoospectra.jobs.exit import PROCESS, JobError


def empty_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder with nothing in it; JobError where no temporary folder can be written."""
    try:
        return tempfile.TemporaryDirectory(prefix="zoospectra-")
    except OSError as error:
        words = f"{error.filename or 'TMPDIR'}: {error.strerror}"
        raise JobError(f"{words}; free some there, set TMPDIR to another folder, or use cluster=inline") from error


@contextmanager
def unheard() -> Iterator[None]:
    """What compiled code writes on stderr goes nowhere, in the command's own process: our line says it.

    Ray writes a warning for every try to reach a cluster, and no setting of it does without a line of its own.
    """
    if not PROCESS.own:
        yield
        return
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


def advice(error: BaseException, address: str | None) -> str:
    """What to do about a Ray that does not start or answer."""
    text = f"{type(error).__name__} {error}".lower()
    if "auth" in text or "token" in text or isinstance(error, ConnectionError):  # something listened there
        token = "give the cluster's token in RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH with RAY_AUTH_MODE=token"
        return f"it answers, but not to this driver, or too late: {token}, and use its version of Ray"
    if address is None:
        return "free disk and memory of this machine, or use cluster=inline"
    return "see whether it is whole, and whether cluster.address=HOST:6379 is its head"


def first(error: BaseException) -> str:
    """The first line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
