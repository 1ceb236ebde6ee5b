"""Settings of the warehouse, the schema of conf/warehouse/*.yaml."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WarehouseSettings:
    """Where results are kept; raises ValueError, in one line, on a value that cannot be."""

    dir: str = "data"
    """Folder of warehouse.duckdb, parts/ and cache/."""
    keep: int = 3
    """Generations kept, at least 1."""

    def __post_init__(self) -> None:
        if not self.dir:
            msg = "dir='': expected a folder"
            raise ValueError(msg)
        check_keep(self.keep)


def check_keep(keep: int) -> None:
    """Raise ValueError unless `keep`, a number of generations, is at least 1."""
    if keep < 1:
        msg = f"keep={keep}: expected at least 1 generation"
        raise ValueError(msg)
