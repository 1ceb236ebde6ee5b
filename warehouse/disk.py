"""A disk that refuses: the error names the place that was written, which neither a write nor Arrow says.

Not covered: the words for the user (jobs.exit), and DuckDB's errors (connect.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written(place: Path | str) -> Iterator[None]:
    """An OSError of the system inside the block that names no file names `place`, in the system's own words."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(place)) from error
