"""The prompt of `sql`: history over sessions, and completion of tables, columns and macros by the tab key."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from zoospectra.warehouse.query import query

NAMES = """SELECT DISTINCT name FROM (
    SELECT table_name AS name FROM duckdb_columns() WHERE NOT internal
    UNION ALL SELECT column_name FROM duckdb_columns() WHERE NOT internal
    UNION ALL SELECT function_name || '(' FROM duckdb_functions() WHERE NOT internal
) ORDER BY name"""
"""Everything of a warehouse that a query may name."""

LENGTH = 2000
"""Queries that the history keeps."""


def completer(names: Sequence[str]) -> Callable[[str, int], str | None]:
    """What readline asks for: the nth name that begins with a text, capitals aside; None after the last."""

    def complete(text: str, number: int) -> str | None:
        matching = [name for name in names if name.lower().startswith(text.lower())]
        return matching[number] if number < len(matching) else None

    return complete


def prepare_prompt(warehouse: Path) -> None:
    """Give `input` history and completion, where Python has readline; ValueError without a warehouse."""
    try:
        import readline
    except ImportError:  # pragma: no cover - Windows
        return
    readline.set_completer(completer(query(warehouse, NAMES)["name"].to_pylist()))
    readline.set_completer_delims(" \t\n,;()=<>+-*/'\"")
    readline.parse_and_bind("tab: complete")
    history = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "zoospectra" / "sql_history"
    with suppress(OSError):
        history.parent.mkdir(parents=True, exist_ok=True)
        readline.read_history_file(history)
    readline.set_history_length(LENGTH)
    atexit.register(_keep, history)


def _keep(history: Path) -> None:
    import readline

    with suppress(OSError):
        readline.write_history_file(history)
