"""What Ray needs to start or join: a folder with nothing in it, silence, and words for its errors."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from zoospectra.jobs.exit import KEPT, PROCESS, Exit, JobError, end_process


def empty_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder with nothing in it; JobError where no temporary folder can be written."""
    try:
        return tempfile.TemporaryDirectory(prefix="zoospectra-")
    except OSError as error:
        words = f"{error.filename or 'TMPDIR'}: {error.strerror}"
        raise JobError(f"{words}; free some there, set TMPDIR to another folder, or use cluster=inline") from error


JOIN_SECONDS = 180.0
"""Seconds that joining a cluster may take: Ray has waits of its own without an end."""


@contextmanager
def joining(address: str) -> Iterator[None]:
    """What compiled code writes on stderr goes nowhere, in the command's own process, and it ends after JOIN_SECONDS.

    Ray writes a warning for every try to reach a cluster, and no setting of it does without a line of its own: our line
    says it.
    """
    if not PROCESS.own:
        yield
        return
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)

    def end() -> None:
        os.dup2(kept, 2)
        words = f"zoospectra: cluster.address={address}: what listens there has not let this driver in"
        advice = "is it the head of a Ray cluster of this version?"
        end_process(f"{words} after {JOIN_SECONDS:.0f} s; {advice} {KEPT.capitalize()}", Exit.BROKE)

    clock = threading.Timer(JOIN_SECONDS, end)
    clock.daemon = True
    clock.start()
    try:
        yield
    finally:
        clock.cancel()
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def own_signals() -> Iterator[None]:
    """What the process does when it is asked to end stays as it is: Ray puts its own in place, with no word of it."""
    before = signal.getsignal(signal.SIGTERM)
    asked = False
    try:
        yield
    except SystemExit as error:  # Ray's own, which says nothing and which nobody would tell from a good end
        asked = error.code == signal.SIGTERM
        if not asked:
            raise
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGTERM, before)
    if asked:
        signal.raise_signal(signal.SIGTERM)


def advice(error: BaseException, address: str | None) -> str:
    """What to do about a Ray that does not start or answer."""
    text = f"{type(error).__name__} {error}".lower()
    if "auth" in text or "token" in text or isinstance(error, ConnectionError):  # something listened there
        token = "give the cluster's token in RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH with RAY_AUTH_MODE=token"
        return f"it answers, but not to this driver, or too late: {token}, and use its version of Ray"
    if "version mismatch" in text:
        return "use its versions of Ray and Python"
    if address is None:
        return "free disk and memory of this machine, or use cluster=inline"
    return "see whether it is whole, and whether cluster.address=HOST:6379 is its head"


def first(error: BaseException) -> str:
    """The first line of an error that says something, with what follows where that only begins."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return (" ".join(lines) if lines[0].endswith(":") else lines[0])[:300]
