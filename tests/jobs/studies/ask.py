"""A study asked for by the words of the command, as a function."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zoospectra.jobs.call import call
from zoospectra.jobs.verbs.study import Done


def study(name: str, warehouse: Path, options: Mapping[str, Any] | None = None) -> Done:
    plain = ["figures=none", f"warehouse.dir={warehouse}"]  # their own tests draw: tests/jobs/figures
    done: Done = call("study", f"study={name}", *words("study", options or {}), *plain)
    return done


def words(prefix: str, options: Mapping[str, Any]) -> Iterator[str]:
    for key, value in options.items():
        if isinstance(value, Mapping):
            yield from words(f"{prefix}.{key}", value)
        else:
            yield f"{prefix}.{key}={text(value)}"


def text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(text(item) for item in value) + "]"
    return "null" if value is None else str(value)
