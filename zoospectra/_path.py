"""Where modules are looked for while a public function runs: what is installed comes before the user's files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def installed_first() -> Iterator[None]:
    """While it lasts, the current folder and the script's come last, unless PYTHONPATH names them.

    Python puts them first, so that a user's own numpy.py would be imported by us, and by every process we start. They
    stay on the path: a process that trains a digits model runs the user's script again, with what that imports.
    """
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    users = {"", os.getcwd(), os.path.dirname(os.path.realpath(script)) if script else ""}
    users -= {os.path.abspath(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry}
    moved = [entry for entry in sys.path if entry in users]
    if sys.path[len(sys.path) - len(moved) :] == moved:
        yield
        return
    sys.path[:] = [entry for entry in sys.path if entry not in users] + moved
    try:
        yield
    finally:
        sys.path[:] = moved + [entry for entry in sys.path if entry not in users]
