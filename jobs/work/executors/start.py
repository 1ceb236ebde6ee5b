"""What Ray needs to start or join: a folder with nothing in it, and nobody who reads its own lines."""

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
