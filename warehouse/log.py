"""The log of a run: rows of many models gathered in memory, and written as one part a kind every few seconds.

A kill loses what the last seconds brought, and nothing of it by half: what says that work is done (its metrics, the
model's listing) is written after all that belongs to it. Not covered: reading parts (rows.py), merging them (merge.py).
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from zoospectra.warehouse import clock
from zoospectra.warehouse.allocator import give_back
from zoospectra.warehouse.conform import conform
from zoospectra.warehouse.parts import place, stamped

BYTES = 32 * 2**20
"""Rows that are written at once however little time has passed, bytes in memory."""
TABLE = 4096
"""Bytes that an Arrow table takes beside its values."""
LAST = ("layer_metrics", "indexed")
"""Kinds whose rows say that a piece of work is done."""


class Log:
    """One writer's log, for any threads. What a write in the background raises is raised by the next call."""

    def __init__(self, directory: Path, seconds: float, size: int = BYTES) -> None:
        """`seconds`: how long a row waits at most; `size`: bytes in memory that are written at once."""
        self._directory = directory
        self._folder = directory.resolve() / "parts" / "log"
        self._seconds = seconds
        self._size = size
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._error: Exception | None = None
        self._waiting: dict[tuple[str, str], pa.Table] = {}
        self._bytes = 0

    def put(self, key: str, tables: Mapping[str, pa.Table]) -> None:
        """Add tables by kind, on disk together; the same key replaces what it brought and is not written yet.

        Raises ValueError as `conform` does, and OSError when the disk refuses.
        """
        conformed = {kind: conform(kind, table) for kind, table in tables.items()}
        with self._lock:
            self._raise()
            for kind, table in conformed.items():
                self._waiting[kind, key] = table
                self._bytes += table.nbytes + TABLE
            if self._bytes >= self._size:
                self._flush()
            elif self._timer is None:
                self._timer = threading.Timer(self._seconds, self._flush_late)
                self._timer.daemon = True
                self._timer.start()

    def flush(self, least: int = 0) -> None:
        """Write what waits, if it has `least` bytes; raises OSError when the disk refuses, and the rows wait on."""
        with self._lock:
            self._raise()
            if self._bytes >= least:
                self._flush()

    def _raise(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _flush_late(self) -> None:
        with self._lock:
            try:
                self._flush()
            except OSError as error:
                self._error = error

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting:
            return
        now = clock.now(self._directory)
        groups: dict[str, dict[tuple[tuple[str, pa.DataType], ...], list[pa.Table]]] = {}
        for (kind, _), table in self._waiting.items():
            columns = tuple((column.name, column.type) for column in table.schema)
            groups.setdefault(kind, {}).setdefault(columns, []).append(table)
        name = f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"
        for kind in sorted(groups, key=lambda kind: (kind in LAST, kind)):
            for number, tables in enumerate(groups[kind].values()):
                rows = stamped(pa.concat_tables(tables), now)
                place(self._folder / f"{kind}-{name}-{number}.parquet", kind, rows, checked=True, fast=True)
        self._waiting.clear()
        self._bytes = 0
        give_back()
