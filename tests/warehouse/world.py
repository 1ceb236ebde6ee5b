"""A made-up warehouse with every awkward row, in memory: several parts of one thing, revisions, doubles, gaps, ties.

Every order that a statement may rely on (the newest part, the latest revision, the newest source) is decided by each of
its keys somewhere. Not covered: NaN, which no table may hold.
"""

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
from zoospectra.warehouse.schema import PARTS, REAL, WRITTEN

Row = dict[str, Any]


class Parts(dict[str, list[Row]]):
    """Rows of parts by kind; two are equal when they are one, so that what is made of them can be kept."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


KINDS = ("dense", "dense", "conv2d", "embedding", "dense_part", "depthwise", None)
PRINTED = "published/weightwatcher-0.2"
PROFILES = {"weightwatcher": None, "kept": "", "filtered": "depthwise", "narrow": "conv2d, degenerate_tail"}
"""Profile -> what it leaves out of its means."""
PROFILES |= {PRINTED: None}
NORMS = (1.0, 1.0, 1 + 0.9e-5, 1 - 0.9e-5, 1 + 1.3e-5, 1 - 1.3e-5, None)
"""Published norms: equal, and on both sides of the bound of doubles."""
ALPHAS = (0.0, 0.0, 0.01, 0.009, 0.013, None)
"""Published exponents: equal, exactly at the bound, within and beyond."""


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


def world(seed: int) -> Parts:
    """Rows of parts by kind: three zoos, their catalogs over a week, and what scans, studies and kin left."""
    rng = np.random.default_rng(seed)
    tables = Parts({kind: [] for kind in PARTS})
    _runs(tables)
    _catalogs(rng, tables)
    _layers(rng, tables)
    _metrics(rng, tables)
    _spectra(rng, tables)
    _averages(rng, tables)
    _kin(rng, tables)
    for kind, rows in tables.items():  # parts are read in no order
        tables[kind] = [rows[i] for i in rng.permutation(len(rows))]
    return tables


def _some(rng: np.random.Generator, *values: Any) -> Any:
    return values[int(rng.integers(len(values)))]


def _runs(tables: Parts) -> None:
    """Snapshots p1, p2, q1, k1 to k3 seen by runs, and q2, whose run was killed before it could record itself."""
    for run, snapshot, began, ended in (
        ("r1", "p1", 1, 1.1), ("r2", "p1", 2, 2.1), ("r3", "p2", 4, None), ("r4", "q1", 3, 3.1), ("r5", None, 6, 6.1),
        ("r6", "k1", 2, 2), ("r7", "k2", 4, 4), ("r8", "k3", 4, 4), ("r9", None, 4, 9), ("r0", "p2", 5, 5.5),
    ):  # fmt: skip
        times = {"started": day(began), "finished": None if ended is None else day(ended)}
        row = {"run_id": run, "snapshot": snapshot, "verb": "scan", "exit_status": 0, **times}
        older = row | {"exit_status": 1, "started": day(0), "snapshot": "p1", "written": day(8), "filename": "a"}
        tables["runs"] += [row | {"written": day(9)}, older, older | {"written": day(9), "filename": "z"}]


def _catalogs(rng: np.random.Generator, tables: Parts) -> None:
    """Snapshots of six models, each with its words; some lack a model, some list it under two revisions or twice."""
    for number, snapshot in enumerate(("p1", "p2", "q1", "q2", "k1", "k2", "k3")):
        for i in range(6):
            model = f"{snapshot[0]}/{'m' if i else 'M'}{max(i, 1)}"  # M1 and m1 are two models
            listed = rng.random() > 0.2
            if not (snapshot == "k1" if model == "k/m5" else listed):  # a model that is gone
                continue
            revisions = [_some(rng, "a", "b")] if rng.random() < 0.7 else ["a", "b"]
            written = day(number + 0.25 * rng.random()) if rng.random() < 0.5 else day(5 + 0.1 * i)
            for j, revision in enumerate(revisions):
                base = {"snapshot": snapshot, "model_id": model, "revision": revision}
                base["written"] = written + datetime.timedelta(hours=int(_some(rng, 0, 2)) * j)
                words = {"zoo": snapshot[0], "name": f"m{i} of {snapshot}", "task": _some(rng, "t", None)}
                words |= {"series": _some(rng, "GPT", "GPT2", "x", None), "dataset": _some(rng, "d", "d", "e", None)}
                words |= {"note": "n", "licence": _some(rng, "MIT", None)}
                tables["models"] += [
                    base | words | {"filename": name} for name in ("f", "e")[: 1 + (rng.random() < 0.2)]
                ]
                tables["models"][-1]["name"] += f" in {tables['models'][-1]['filename']}"
            for _ in range(6):
                value = {
                    "metric": _some(rng, "acc", "err"),
                    "value": float(rng.integers(5)),
                    "source": _some(rng, "s", "t"),
                }
                value |= {"source_date": _some(rng, "2025", "2026", None), "dataset": _some(rng, "d", "e", None)}
                tables["reported_metrics"].append(base | value | {"higher_is_better": value["metric"] == "acc"})


def _layers(rng: np.random.Generator, tables: Parts) -> None:
    """Layers of every listed revision and of some that no catalog knows; some listed twice, the newest part short."""
    listed = {(row["model_id"], row["revision"]) for row in tables["models"]}
    unlisted = {("p/m1", "c"), ("q/m9", "a"), ("q/m9", "b"), ("q/m8", "a"), ("q/m8", "b")}
    for model, revision in sorted(listed | unlisted):
        base = {"model_id": model, "revision": revision}
        if model == "p/m5":
            continue
        for part in range(int(rng.integers(1, 4))):
            count = int(rng.integers(1, 6))
            when = {"written": day(0 if model == "q/m8" else _some(rng, part, 0)), "filename": f"{9 - part}"}
            for i in range(count):
                row = base | {
                    "layer_id": i,
                    "longname": f"l{9 - i}",
                    "tensor": f"t{i // 2}",
                    "group": _some(rng, "q", None),
                }
                row |= {
                    "layer_type": _some(rng, *KINDS),
                    "params": int(rng.integers(1, 9)),
                    "N": 8 + i,
                    "M": 4,
                    "rf": 1,
                }
                row |= {"content_hash": f"h{rng.integers(14):02d}", "dtype": "float32", "shape": [8, 4], **when}
                tables["layers"].append(row)
            skips = _some(rng, part, None)
            index = base | {"listed_layers": count, "listed_skips": skips, "reader": f"{part}", **when}
            tables["indexed"] += [index] if rng.random() < 0.8 else []
            for i in range(int(_some(rng, 0, 0, 1, 2, 3))):
                row = base | {
                    "tensor": _some(rng, f"s{i}", None if i == 0 else f"s{i}"),
                    "reason": "vector",
                    "detail": f"part {part}.{i}",
                }
                row |= {"failed": i == 1, "added": _some(rng, True, None), **when}
                tables["skipped"].append(row | ({"written": day(_some(rng, 1, 3))} if row["added"] else {}))
    tables["skipped"] += [
        {"model_id": "x/none", "revision": "a", "detail": d, "added": a} for d, a in (("1", True), ("2", None))
    ]
    for model in ("k/m2", "k/m3", "k/M1"):  # one net under three names, its layers in another order
        revisions = sorted({row["revision"] for row in tables["layers"] if row["model_id"] == model})
        for revision in revisions:
            base = {"model_id": model, "revision": revision, "layer_type": "dense", "params": 2, "written": day(9)}
            same = [base | {"layer_id": i, "longname": f"l{i}", "tensor": f"{i}"} for i in range(3)]
            order = rng.permutation([0, 1, 1] if model != "k/m3" or revision == "a" else [0, 1, 2])
            tables["layers"] += [row | {"content_hash": f"h{i:02d}"} for row, i in zip(same, order, strict=True)]


def _metrics(rng: np.random.Generator, tables: Parts) -> None:
    """Results of every content: by two versions of the code, with and without an outcome, a fit, a narrow tail."""
    for content in [f"h{i:02d}" for i in range(14)]:
        for version in ("1", "2"):
            when = {"written": day(_some(rng, 1, 2)), "code_version": version, "content_hash": content}
            for profile, left_out in PROFILES.items():
                unfold = "pooled" if profile == "kept" else "slices"
                base = when | {"profile": profile, "left_out": left_out, "unfold": unfold}
                for key, file in (("k", "e"), ("k", "f"), ("m", "g")):
                    one = base | {"profile_key": f"{key}-{profile}", "filename": file}
                    if (key == "k" and file == "e" and rng.random() < 0.9) or rng.random() < 0.2:
                        tables["layer_metrics"].append(one | _numbers(rng))
                if profile not in ("weightwatcher", "kept"):
                    slices = [base | _numbers(rng) | {"slice_id": i, "filename": version} for i in range(2)]
                    failed = {"alpha": None, "outcome": "failed"} if content < "h06" else {}
                    tables["slice_metrics"] += [row | failed | {"profile_key": f"k-{profile}"} for row in slices]


def _numbers(rng: np.random.Generator) -> Row:
    alpha = None if rng.random() < 0.25 else round(float(rng.uniform(1.5, 8)), 1)
    outcome = "fit" if alpha is not None else _some(rng, "failed", "filtered")
    row = {"outcome": _some(rng, outcome, outcome, None), "N": 8, "M": 4, "num_evals": 4, "status": "s"}
    if row["outcome"] == "filtered":
        row["filtered_by"] = _some(rng, "min_M", "min_evals")
    names = [field.name for field in PARTS["layer_metrics"] if field.type == REAL]
    row |= {name: None if rng.random() < 0.1 else float(rng.normal(2, 1)) for name in names}
    return row | {"alpha": alpha, "degenerate_tail": _some(rng, True, False, None)}


def _spectra(rng: np.random.Generator, tables: Parts) -> None:
    """Sketches and spectra of most contents, by several versions in several files, some written at one time."""
    for i, content in enumerate(f"h{i:02d}" for i in range(13)):
        for version, file in (("1", "e"), ("1", "f"), ("2", "g")):
            if version == "2" and rng.random() < 0.5:
                continue
            when = {
                "written": day(_some(rng, 1, 2)),
                "code_version": version,
                "content_hash": content,
                "filename": file,
            }
            sketch = [float(_some(rng, -1, 1)) * (1 + i % 2) for _ in range(4)]
            sketch = {0: [0.0, 0.0, 0.0, 0.0], 1: [1.0, 0.0, 0.0, 0.0]}.get(i % 6, sketch)
            tables["sketches"].append(when | {"sketch": sketch, "elements": int(_some(rng, 32, 32, 64))})
            for unfold in ("slices", "slices/shuffled-0")[: int(rng.integers(0, 3))]:
                row = when | {"unfold": unfold, "N": 8, "M": int(rng.integers(3, 6)), "method": "gram", "device": "cpu"}
                evals = [sorted(float(v) for v in rng.random(2)) for _ in range(3)]
                tables["spectra"] += [row | {"slice_id": j, "evals": one} for j, one in enumerate(evals)]


def _averages(rng: np.random.Generator, tables: Parts) -> None:
    """Published averages of most models, one that no catalog knows among them, under our profiles and others."""
    models = sorted({(row["model_id"], row["revision"]) for row in tables["models"]} | {("x/none", "a")})
    for model, revision in models:
        for profile in (PRINTED, "published/other", "published/third", "kept", "typed"):
            for rule in ("mean over slices", "mean over layers"):
                base = {"model_id": model, "revision": revision, "profile": profile, "rule": rule}
                for file in ("e", "f")[: int(rng.integers(0, 3))]:
                    row = base | {
                        "filename": file,
                        "written": day(_some(rng, 1, 2)),
                        "stable_rank": float(rng.random()),
                    }
                    row |= {"origin": _some(rng, "paper", "book.ipynb", None), "log_norm": _some(rng, *NORMS)}
                    tables["model_averages"].append(row | {"alpha": _some(rng, *ALPHAS)})


def _kin(rng: np.random.Generator, tables: Parts) -> None:
    """What kin, comparisons and studies left, each by two runs in two files."""
    models = [f"p/{one}" for one in ("M1", "m1", "m2", "m3", "m4", "m5")]
    for file, written in (("e", 1), ("f", 2), ("g", 2)):
        when = {"written": day(written), "filename": file}
        for model in models:
            tables["families"].append(when | {"model_id": model, "revision": "a", "family": int(rng.integers(3))})
            for other in models:
                row = when | {"model_id": model, "revision": "a", "relative_id": other, "relative_revision": "a"}
                row |= {"verdict": _some(rng, "copy", "fine-tuned", "independent", "undetermined"), "matched": 3}
                row |= {"cosine": _some(rng, 0.5, 0.5, 0.75, None), "p_adjusted": _some(rng, 0.1, 0.1, 0.2, None)}
                row |= {"evidence": file, "distance": float(rng.random())}
                tables["kinship"].append(row)
                moved = when | {"model_id": model, "base_id": other, "longname": _some(rng, "l", "L"), "profile": "p"}
                tables["delta_metrics"].append(
                    moved | {"written": day(_some(rng, 1, 2)), "distance": float(rng.random())}
                )
            cell = {"study": "s", "table_id": _some(rng, "t", "u"), "row": model, "column": "c", "run_id": "r1"}
            tables["study_results"].append(when | cell | {"value": float(rng.integers(3)), "n": 3})
