"""Questions of a run to a generation: DuckDB keeps few of the blocks that it reads, and takes more where it must."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import duckdb
import pyarrow as pa

from zoospectra.warehouse.arrow import registered
from zoospectra.warehouse.connect import connect, is_locked, newest, no_memory

MEMORY, ENOUGH = "64MB", "4GB"
"""What DuckDB may take for a question, and what it may where that is not enough. By default it would keep what it has
read until most of the machine's memory is full."""

Result = TypeVar("Result")


class Reader:
    """One generation, read with little memory; close it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        self._connection = connect(self.path, read_only=True)
        self._free = not is_locked(self._connection)  # else it is a person's too, with a limit of its own
        self._allow(MEMORY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the generation."""
        self._connection.close()

    def forget(self) -> None:
        """Give back what the questions so far have read."""
        self._connection.close()
        self._open()

    def rows(
        self, sql: str, values: object = None, tables: Mapping[str, pa.Table] | None = None
    ) -> list[tuple[Any, ...]]:
        """Rows of a statement that sees these tables; values: its parameters."""
        return self._with_enough(lambda: self._connection.execute(sql, values).fetchall(), tables or {})

    def table(self, sql: str, values: object = None, tables: Mapping[str, pa.Table] | None = None) -> pa.Table:
        """The same as an Arrow table."""
        return self._with_enough(lambda: self._connection.sql(sql, params=values).to_arrow_table(), tables or {})

    def batches(self, sql: str, size: int) -> Iterator[pa.RecordBatch]:
        """The same as batches of at most `size` rows."""
        yield from self._connection.sql(sql).to_arrow_reader(size)

    def _with_enough(self, ask: Callable[[], Result], tables: Mapping[str, pa.Table]) -> Result:
        with registered(self._connection, **tables):
            try:
                return ask()
            except duckdb.OutOfMemoryException:
                if not self._free:
                    raise
            self._allow(ENOUGH)
            try:
                return ask()
            except duckdb.OutOfMemoryException as error:
                raise no_memory(error) from error
            finally:
                self._allow(MEMORY)

    def _allow(self, memory: str) -> None:
        if self._free:
            self._connection.execute(f"SET memory_limit = '{memory}'").fetchall()


def read_newest(directory: Path) -> Reader:
    """The newest generation; raises ValueError when there is none."""
    return Reader(newest(directory))
