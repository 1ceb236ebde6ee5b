"""Which files are read at all: a pipe or a socket blocks whoever opens it, and a device may never end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def may_be_file(path: str | Path) -> bool:
    """Whether a path is a plain file, or a name behind which one may be: a link to what is gone, a blocked way."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return os.path.islink(path)
    except OSError:
        return True
    except ValueError:
        return False


def plain_file(path: str | Path) -> os.stat_result:
    """Status of a plain file, links followed; OSError with a number of trouble.FACTS for anything else."""
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.ENODEV, "no plain file", str(path))
    return status
