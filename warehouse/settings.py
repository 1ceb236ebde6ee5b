"""Settings of the warehouse, the schema of conf/warehouse/*.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WarehouseSettings:
    """Where results are kept; raises ValueError, in one line, on a value that cannot be."""

    dir: str = "data"
    """Folder of warehouse.duckdb, parts/ and cache/."""
    keep: int = 3
    """Generations kept, at least 1; one that is younger than a day or that a reader has open stays in any case."""
    log_seconds: float = 5.0
    """How long a finished result waits at most before it is on disk, seconds: what a kill loses."""

    def __post_init__(self) -> None:
        if not self.dir:
            msg = "dir='': expected a folder"
            raise ValueError(msg)
        if Path(self.dir).exists() and not Path(self.dir).is_dir():
            msg = f"dir={self.dir}: expected a folder, this is a file"
            raise ValueError(msg)
        check_keep(self.keep)
        if not 0 < self.log_seconds <= 3600:
            msg = f"log_seconds={self.log_seconds:g}: expected more than 0 and at most 3600"
            raise ValueError(msg)


def check_keep(keep: int) -> None:
    """Raise ValueError unless `keep`, a number of generations, is at least 1."""
    if keep < 1:
        msg = f"keep={keep}: expected at least 1 generation"
        raise ValueError(msg)
