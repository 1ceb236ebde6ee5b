"""A snapshot: one version of one package's catalog as a gzipped CSV, and how several are read side by side.

The file opens with '# key: value' lines (zoo, package, version, released, url, licence) and goes on as a CSV with one
row a model. `metrics` is JSON, [[dataset, metric, text, value, higher_is_better, source], ...]; `extra` is a JSON
object. Bytes depend on the content alone, so that an unchanged catalog makes no new file.

Not covered: where the rows come from, which is the packages' own modules beside this one.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoospectra.zoo.model import Model, ReportedMetric

FOLDER = Path(__file__).resolve().parent / "data"
"""Where the snapshots lie."""

SUFFIX = ".csv.gz"
"""How a snapshot's name ends; it begins with '<zoo>-<version>'."""

TEXTS = ("name", "revision", "series", "dataset", "task", "weights_url", "weights_sha256", "licence", "note")
"""Columns that are plain text; an empty cell is None, but in name and revision."""

HEADER = ("zoo", "package", "version", "released", "url", "licence")
"""Keys of the lines above the table."""

MOST_BYTES = 1 << 28
"""A snapshot that inflates beyond this is not one of ours: the largest so far takes 1 MB."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of one catalog."""

    zoo: str
    """Name of the zoo, the first part of every model_id."""
    package: str
    """Name of the package that was read."""
    version: str
    """Its version."""
    released: str | None
    """ISO date of that version, when known: the date of everything it reports."""
    url: str
    """Where the package lives."""
    licence: str
    """Licence of the catalog itself."""
    models: tuple[Model, ...]
    """Models in the package's order."""


def model_id(zoo: str, name: str, revision: str) -> str:
    """Stable name of a catalog's model: zoo/name/revision, or zoo/name when the name ends with the revision."""
    return f"{zoo}/{name}" if name.endswith(f".{revision}") else f"{zoo}/{name}/{revision}"


def write(snapshot: Snapshot, folder: Path = FOLDER) -> Path:
    """Write a snapshot into a folder; returns its path. The same content always gives the same bytes."""
    text = io.StringIO(newline="")
    for key in HEADER:
        text.write(f"# {key}: {getattr(snapshot, key) or ''}\n")
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*TEXTS, "metrics", "extra"])
    for model in snapshot.models:
        cells = [getattr(model, column) or "" for column in TEXTS]
        metrics = [
            [metric.dataset, metric.metric, metric.text, metric.value, metric.higher_is_better, metric.source]
            for metric in model.metrics
        ]
        table.writerow([*cells, _json(metrics), _json(dict(model.extra))])
    path = folder / f"{snapshot.zoo}-{snapshot.version}{SUFFIX}"
    path.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    return path


def read(path: Path) -> Snapshot:
    """Read a snapshot; ValueError says what is wrong with the file."""
    try:
        with gzip.open(path) as file:
            text = file.read(MOST_BYTES + 1).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        msg = f"{path} is no snapshot of a catalog: {error}; make it again, see snapshots/make.py"
        raise ValueError(msg) from error
    if len(text) > MOST_BYTES:
        msg = f"{path} inflates beyond {MOST_BYTES} bytes; no catalog is that large"
        raise ValueError(msg)
    lines = io.StringIO(text, newline="")
    head = dict(_head(path, lines.readline()) for _ in HEADER)
    if tuple(head) != HEADER:
        msg = f"{path}: expected the lines {', '.join(HEADER)} above the table, got {', '.join(head)}"
        raise ValueError(msg)
    rows = csv.DictReader(lines)
    try:
        models = tuple(_model(head["zoo"], head["released"] or None, row) for row in rows)
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{path}, line {rows.line_num + len(HEADER)}: not a row of a snapshot ({error!r})"
        raise ValueError(msg) from error
    released = head["released"] or None
    return Snapshot(head["zoo"], head["package"], head["version"], released, head["url"], head["licence"], models)


def versions(zoo: str, folder: Path = FOLDER) -> tuple[str, ...]:
    """Versions of a zoo's catalog that are at hand, oldest first."""
    named = re.compile(rf"{re.escape(zoo)}-(\d[^/]*){re.escape(SUFFIX)}")
    names = [match[1] for path in folder.glob(f"{zoo}-*{SUFFIX}") if (match := named.fullmatch(path.name))]
    return tuple(sorted(names, key=_order))


def load(zoo: str, wanted: Sequence[str] = (), folder: Path = FOLDER) -> tuple[Model, ...]:
    """Models of a zoo's snapshots: of the newest one, or of all that are wanted, merged.

    ValueError: the zoo has no snapshot, or not the version that is wanted; the known ones are listed.
    """
    known = versions(zoo, folder)
    missing = [version for version in wanted if version not in known]
    if missing or not known:
        msg = f"no snapshot of {zoo} {', '.join(missing)} in {folder}; known: {', '.join(known) or 'none'}"
        raise ValueError(f"{msg}; make one with python -m zoospectra.zoo.sources.packages.snapshots.make {zoo}")
    chosen = sorted(set(wanted), key=_order) or known[-1:]
    return merge([read(folder / f"{zoo}-{version}{SUFFIX}").models for version in chosen])


def merge(catalogs: Sequence[Sequence[Model]]) -> tuple[Model, ...]:
    """Catalogs side by side, oldest first: the newest words about a model, every number ever reported about it.

    Equal numbers of different sources stay apart: each carries its source and date.
    """
    merged: dict[str, Model] = {}
    for catalog in catalogs:
        for model in catalog:
            older = merged.get(model.model_id)
            if older is None:
                merged[model.model_id] = model
                continue
            numbers = tuple(dict.fromkeys([*older.metrics, *model.metrics]))
            merged[model.model_id] = replace(model, metrics=numbers, extra={**older.extra, **model.extra})
    return tuple(merged.values())


def _json(value: object) -> str:
    """JSON text; ValueError when a number in it is NaN or infinite."""
    return json.dumps(value, sort_keys=True, allow_nan=False)


def _order(version: str) -> list[tuple[int, int, str]]:
    """Sort key that puts 0.9 before 0.28 and 0.28rc1 before 0.28: words come before the end, the end before numbers."""
    parts = re.findall(r"\d+|[a-z]+", version.lower())
    return [(2, int(part), "") if part.isdigit() else (0, 0, part) for part in parts] + [(1, 0, "")]


def _head(path: Path, line: str) -> tuple[str, str]:
    """One '# key: value' line."""
    match = re.fullmatch(r"# (\w+): ?(.*)\n", line)
    if match is None:
        msg = f"{path}: expected '# key: value' above the table, got {line[:80]!r}; not a snapshot of a catalog"
        raise ValueError(msg)
    return match[1], match[2]


def _model(zoo: str, released: str | None, row: dict[str, str]) -> Model:
    """One row."""
    texts: dict[str, Any] = {column: row[column] or None for column in TEXTS if column not in ("name", "revision")}
    metrics = tuple(
        ReportedMetric(dataset, metric, float(value), bool(higher), source, released, text)
        for dataset, metric, text, value, higher, source in json.loads(row["metrics"])
    )
    identity = model_id(zoo, row["name"], row["revision"])
    extra = json.loads(row["extra"])
    return Model(identity, zoo, row["name"], row["revision"], "", **texts, metrics=metrics, extra=extra)
