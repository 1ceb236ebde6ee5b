"""A made-up warehouse with every awkward row, in memory: several parts of one thing, revisions, doubles, gaps, ties."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from zoospectra.warehouse.build import without_blanks
from zoospectra.warehouse.connect import connect
from zoospectra.warehouse.definitions import definitions
from zoospectra.warehouse.schema import PARTS, WRITTEN

Row = dict[str, Any]
KINDS = ("dense", "conv2d", "embedding", "dense_part", "depthwise", None)
PROFILES = {"weightwatcher": None, "kept": "", "filtered": "depthwise", "narrow": "conv2d, degenerate_tail"}
"""Profile -> what it leaves out of its means."""
PROFILES |= {"published/weightwatcher-0.2": None}


def day(number: float) -> datetime.datetime:
    return datetime.datetime(2026, 11, 1) + datetime.timedelta(days=number)


@contextmanager
def warehouse(tables: Mapping[str, Sequence[Row]]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The tables, views and macros of a generation made of these rows of parts, with `written` and `filename`."""
    with connect() as connection:
        for kind, schema in PARTS.items():
            fields = [field.with_nullable(True) for field in schema]
            whole = pa.schema([*fields, WRITTEN, pa.field("filename", pa.string())])
            rows = [{"written": day(0), "filename": "f", **row} for row in tables.get(kind, ())]
            connection.register("rows", pa.Table.from_pylist(rows, whole))
            connection.execute(f"CREATE TEMP TABLE raw_{kind} AS SELECT * FROM rows").fetchall()
            connection.unregister("rows")
        connection.execute("CREATE TEMP VIEW raw_generation AS SELECT '' AS made_of, '' AS definitions").fetchall()
        for one in definitions():
            sql = one.sql.replace("read_parquet({spectra_files}, filename = true)", "raw_spectra")
            connection.execute(one.create(without_blanks(connection, sql))).fetchall()
        yield connection


def answer(connection: duckdb.DuckDBPyConnection, sql: str, **values: Any) -> list[Row]:
    return list(connection.sql(sql, params=values or None).to_arrow_table().to_pylist())


def world(seed: int) -> dict[str, list[Row]]:
    """Rows of parts by kind: two zoos of six models, their catalogs over a week, and what scans left."""
    rng = np.random.default_rng(seed)
    tables: dict[str, list[Row]] = {kind: [] for kind in PARTS}
    _catalogs(rng, tables)
    _layers(rng, tables)
    _metrics(rng, tables)
    return tables


def _some(rng: np.random.Generator, *values: Any) -> Any:
    return values[int(rng.integers(len(values)))]


def _catalogs(rng: np.random.Generator, tables: dict[str, list[Row]]) -> None:
    """Snapshots p1, p2, q1 seen by runs, and q2, whose run was killed before it could record itself."""
    for run, snapshot, began, ended in (
        ("r1", "p1", 1, 1.1), ("r2", "p1", 2, 2.1), ("r3", "p2", 4, None), ("r4", "q1", 3, 3.1), ("r5", None, 6, 6.1)
    ):  # fmt: skip
        times = {"started": day(began), "finished": None if ended is None else day(ended)}
        row = {"run_id": run, "snapshot": snapshot, "verb": "scan", "exit_status": 0, **times}
        tables["runs"] += [row | {"written": day(9)}, row | {"exit_status": 1, "written": day(8), "filename": "a"}]
    for number, snapshot in enumerate(("p1", "p2", "q1", "q2")):
        for i in range(6):
            model = f"{snapshot[0]}/m{i}"
            if rng.random() < 0.2:
                continue
            base = {"snapshot": snapshot, "model_id": model, "revision": _some(rng, "a", "b")}
            base["written"] = day(number + 0.25 * rng.random()) if snapshot != "q2" else day(5 + 0.1 * i)
            words = {"zoo": snapshot[0], "name": f"m{i} of {snapshot}", "task": "t"}
            words |= {"series": _some(rng, "x", "y", None), "dataset": _some(rng, "d", "e", None)}
            tables["models"].append(base | words)
            for _ in range(4):
                value = {
                    "metric": _some(rng, "acc", "err"),
                    "value": float(rng.integers(5)),
                    "source": _some(rng, "s", "t"),
                }
                value |= {"source_date": _some(rng, "2025", "2026", None), "dataset": _some(rng, "d", "e", None)}
                tables["reported_metrics"].append(base | value | {"higher_is_better": True})


def _layers(rng: np.random.Generator, tables: dict[str, list[Row]]) -> None:
    """Layers of every listed revision and of two that no catalog knows; some listed twice, the newest part short."""
    listed = {(row["model_id"], row["revision"]) for row in tables["models"]}
    for model, revision in sorted(listed | {("p/m0", "c"), ("q/m9", "a")}):
        base = {"model_id": model, "revision": revision}
        for part in range(int(rng.integers(1, 3))):
            count = int(rng.integers(1, 6))
            for i in range(count):
                row = base | {"layer_id": i, "longname": f"l{i}", "tensor": f"t{i // 2}", "group": None}
                row |= {"layer_type": _some(rng, *KINDS), "params": int(rng.integers(1, 9)), "N": 8, "M": 4, "rf": 1}
                row |= {"content_hash": f"h{rng.integers(14)}", "written": day(part), "filename": f"{part}"}
                tables["layers"].append(row)
            tables["indexed"].append(base | {"listed_layers": count, "listed_skips": part, "written": day(part)})
            for i in range(int(rng.integers(0, 3))):
                row = base | {"tensor": f"s{i}", "reason": "vector", "detail": f"part {part}", "failed": i == 1}
                tables["skipped"].append(row | {"written": day(part), "filename": f"{part}"})


def _metrics(rng: np.random.Generator, tables: dict[str, list[Row]]) -> None:
    """Results of every content: by two versions of the code, with and without an outcome, a fit, a narrow tail."""
    for content in [f"h{i}" for i in range(14)]:
        for version in ("1", "2"):
            when = {"written": day(_some(rng, 1, 2)), "code_version": version, "content_hash": content}
            sketch = [float(v) for v in rng.normal(size=4)]
            tables["sketches"].append(
                when | {"sketch": sketch, "elements": int(_some(rng, 32, 64)), "filename": version}
            )
            for profile, left_out in PROFILES.items():
                base = when | {
                    "profile": profile,
                    "profile_key": f"k-{profile}",
                    "left_out": left_out,
                    "unfold": "slices",
                }
                tables["layer_metrics"].append(base | _numbers(rng) | {"filename": version})
                if profile not in ("weightwatcher", "kept"):
                    slices = [base | _numbers(rng) | {"slice_id": i, "filename": version} for i in range(2)]
                    tables["slice_metrics"] += slices


def _numbers(rng: np.random.Generator) -> Row:
    alpha = None if rng.random() < 0.25 else round(float(rng.uniform(1.5, 8)), 1)
    outcome = "fit" if alpha is not None else _some(rng, "failed", "filtered")
    row = {"alpha": alpha, "outcome": _some(rng, outcome, outcome, None), "N": 8, "M": 4, "num_evals": 4}
    if row["outcome"] == "filtered":
        row["filtered_by"] = _some(rng, "min_M", "min_evals")
    norms = ("log_norm", "log_spectral_norm", "alpha_weighted", "log_alpha_norm")
    row |= {name: None if rng.random() < 0.1 else float(rng.normal(2, 1)) for name in norms}
    return row | {"degenerate_tail": _some(rng, True, False, None)}
