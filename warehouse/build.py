"""Build a warehouse from all parts and publish it as a new generation, so that readers never block it nor it them.

    DIR/warehouse-<gen>.duckdb  the generations, immutable;   DIR/warehouse.duckdb -> the newest

Each file of sql/tables, sql/views, sql/macros makes the table, view or macro of its name; each of sql/checks must
return no row, or nothing is published. Parts -> rows is a pure function: the same parts give the same rows in order.
The view of the spectra names its files absolutely: after moving DIR, build again.
Not covered: what the parts are (parts.py), reading the result (query.py).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from zoospectra.warehouse.connect import connect, generations, literal, newest
from zoospectra.warehouse.dictionary import Words, describe, extra_columns
from zoospectra.warehouse.intact import reading
from zoospectra.warehouse.parts import list_parts, sweep, sync_folder
from zoospectra.warehouse.schema import PARTS, WRITTEN

# In the order in which they need each other.
TABLES = (
    "runs",
    "snapshots",
    "models",
    "reported_metrics_history",
    "layers_history",
    "skipped_history",
    "layer_metrics_history",
    "slice_metrics_history",
    "model_averages",
    "spectra_index",
    "study_results",
)
VIEWS = (
    "reported_metrics",
    "layers",
    "skipped",
    "layer_metrics",
    "slice_metrics",
    "spectra",
    "model_metrics",
    "model_slice_metrics",
    "doubles",
)
SCALAR_MACROS = ("kendall_tau_b", "spearman")
TABLE_MACROS = ("reported_newest", "regress", "layer_profile", "compare_models", "changed_since")
RESULTS = ("runs", "study_results")
"""Kinds of parts that a study writes."""
RESULT_TABLES = ("runs", "study_results")
AVERAGED = ("model_metrics", "model_slice_metrics")
# q, k and v cut from a fused matrix are layers beside it: the means count the matrix, as WeightWatcher does.
NO_EMBEDDING = "coalesce(l.layer_type NOT LIKE '%\\_part' ESCAPE '\\' AND l.layer_type <> 'embedding', true)"
COUNTED = f"coalesce(l.status = 'success' AND {NO_EMBEDDING}, false)"


@dataclass(frozen=True, slots=True)
class Built:
    """A published generation."""

    path: Path
    """Its file."""
    generation: int
    """Its number, one more than the one before."""
    rows: dict[str, int]
    """Rows of every table."""
    broken: tuple[Path, ...]
    """Damaged parts that were moved aside."""
    seconds: float
    """Time it took, waiting for another builder included."""


class CheckError(RuntimeError):
    """A new generation broke one of its own rules and was not published."""


def build(directory: Path, keep: int = 3, memory_limit: str = "2GB") -> Built:
    """Build from all parts of DIR and publish; DIR is made when missing, and an empty one gives an empty warehouse.

    keep: generations to keep, at least 1; memory_limit: DuckDB's, beyond it sorts spill to DIR.
    Raises ValueError on keep < 1 and CheckError when the new rows break a rule; the old generation then stays.
    """
    _check_keep(keep)
    began = time.monotonic()
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    with _alone(directory):
        sweep(directory)
        _clear(directory)
        present = generations(directory)
        number = present[-1][0] + 1 if present else 1
        unfinished = directory / f"warehouse-{number:06d}.duckdb.tmp"
        try:
            broken = _fill(directory, unfinished, memory_limit)
            rows = _verify(unfinished)
        except BaseException:
            _clear(directory)
            raise
        path = _publish(directory, unfinished, number)
        _prune(directory, keep)
    return Built(path, number, rows, tuple(broken), time.monotonic() - began)


def publish_results(directory: Path, keep: int = 3) -> Built:
    """Publish what studies left: a copy of the newest generation with `runs` and `study_results` made anew.

    Seconds where a build takes a minute. Scanned parts that the newest generation lacks wait for the next build;
    without any generation this is a build. Raises as `build` does.
    """
    _check_keep(keep)
    began = time.monotonic()
    directory = directory.resolve()
    if not generations(directory):
        return build(directory, keep)
    with _alone(directory):
        _clear(directory)
        number = generations(directory)[-1][0] + 1
        unfinished = directory / f"warehouse-{number:06d}.duckdb.tmp"
        try:
            shutil.copyfile(newest(directory), unfinished)
            with connect(unfinished) as connection:
                extra, broken = _load(connection, directory, RESULTS)
                for name in RESULT_TABLES:
                    _run(connection, f'CREATE OR REPLACE TABLE "{name}" AS\n{_sql("tables", name)}')
                describe(connection, extra, RESULT_TABLES)
                _run(connection, "CHECKPOINT")
            rows = _verify(unfinished)
        except BaseException:
            _clear(directory)
            raise
        path = _publish(directory, unfinished, number)
        _prune(directory, keep)
    return Built(path, number, rows, tuple(broken), time.monotonic() - began)


def _check_keep(keep: int) -> None:
    if keep < 1:
        msg = f"keep must be at least 1 generation, got {keep}"
        raise ValueError(msg)


def _prune(directory: Path, keep: int) -> None:
    for _, old in generations(directory)[:-keep]:
        old.unlink()


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Wait until no other builder, thread or process, works on DIR; the lock dies with its process."""
    handle = os.open(directory / "build.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _clear(directory: Path) -> None:
    """Remove what a killed builder left; only with the lock held."""
    for path in directory.glob("warehouse-*.duckdb.tmp*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    (directory / "warehouse.duckdb.new").unlink(missing_ok=True)


def _fill(directory: Path, file: Path, memory_limit: str) -> list[Path]:
    settings = {"memory_limit": memory_limit, "temp_directory": f"{file}.spill"}
    with connect(file, settings=settings) as connection:
        extra, broken = _load(connection, directory)
        blanks = {"counted": COUNTED, "no_embedding": NO_EMBEDDING, "spectra_parts": _spectra_parts(directory)}
        for name in TABLES:
            _run(connection, f'CREATE TABLE "{name}" AS\n{_sql("tables", name)}')
        _macros(connection, SCALAR_MACROS)
        for name in VIEWS:
            blanks |= _averages(connection) if name in AVERAGED else {}
            text = _sql("views", name)
            for blank, value in blanks.items():
                text = text.replace("{" + blank + "}", value)
            _run(connection, f'CREATE VIEW "{name}" AS\n{text}')
        _macros(connection, TABLE_MACROS)
        _run(connection, "BEGIN")  # hundreds of comments: one commit instead of as many
        describe(connection, extra)
        _run(connection, "COMMIT")
        _run(connection, "CHECKPOINT")
    return broken


def _macros(connection: duckdb.DuckDBPyConnection, names: tuple[str, ...]) -> None:
    """Macros from their files: comments first, then the parameters and the body."""
    for name in names:
        text = _sql("macros", name)
        body = text[text.index("\n(") + 1 :]
        _run(connection, f'CREATE MACRO "{name}"{body}')


def _load(
    connection: duckdb.DuckDBPyConnection, directory: Path, kinds: Iterable[str] = tuple(PARTS)
) -> tuple[dict[str, dict[str, Words]], list[Path]]:
    """Temporary tables raw_<kind> with all rows of a kind, and the words of its columns.

    A part without rows leads every list: it gives the contract's columns when there are no parts, or older ones.
    """
    seeds = directory / "parts" / "contract"
    seeds.mkdir(parents=True, exist_ok=True)
    kinds = tuple(kinds)
    parts = list_parts(directory, kinds)
    extra: dict[str, dict[str, Words]] = {}
    broken: list[Path] = []
    for kind in kinds:
        seed = _seed(seeds, kind)
        columns = "* EXCLUDE (evals)" if kind == "spectra" else "*"
        sql = f"SELECT {columns} FROM read_parquet($1, union_by_name = true, filename = true)"

        def read(paths: list[Path], kind: str = kind, sql: str = sql, seed: Path = seed) -> dict[str, Words]:
            files = [str(seed), *map(str, paths)]
            connection.execute(f"CREATE OR REPLACE TEMP TABLE raw_{kind} AS {sql}", [files]).fetchall()
            return extra_columns(connection, files)

        extra[kind], aside = reading([part.path for part in parts if part.kind == kind], read)
        broken += aside
    return extra, broken


def _seed(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.parquet"
    beside = folder / f".{kind}.part"
    pq.write_table(PARTS[kind].append(WRITTEN).empty_table(), beside)
    beside.replace(path)
    return path


def _spectra_parts(directory: Path) -> str:
    """A list literal: the part without rows, and all others once there is one (an empty glob is an error)."""
    parts = directory / "parts"
    names = [str(parts / "contract" / "spectra.parquet")]
    if any(part.kind == "spectra" for part in list_parts(directory)):
        names.append(f"{literal(parts)}/models/*/spectra-*.parquet")
    return "[" + ", ".join("'" + name.replace("'", "''") + "'" for name in names) + "]"


def _averages(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Blanks of the views of averages: a mean for every DOUBLE column, under the column's own name."""
    sql = """SELECT table_name, column_name FROM duckdb_columns()
             WHERE data_type = 'DOUBLE' AND database_name = current_database() ORDER BY table_name, column_index"""
    columns: dict[str, list[str]] = {}
    for table, name in connection.execute(sql).fetchall():
        columns.setdefault(table, []).append('"' + name.replace('"', '""') + '"')
    means = {
        table: ",\n    ".join(f"avg(l.{name}) FILTER (WHERE {rule}) AS {name}" for name in columns[table])
        for table, rule in (("layer_metrics_history", COUNTED), ("slice_metrics_history", NO_EMBEDDING))
    }
    return {
        "means": means["layer_metrics_history"],
        "slice_means": means["slice_metrics_history"],
        "published": ", ".join(f"a.{name}" for name in columns["model_averages"]),
    }


def _verify(file: Path) -> dict[str, int]:
    """Reopen the closed file as a reader would and run every check; returns the rows of every table."""
    with connect(file, read_only=True) as connection:
        folder = resources.files("zoospectra.warehouse") / "sql" / "checks"
        queries = {entry.name: entry.read_text() for entry in folder.iterdir() if entry.name.endswith(".sql")}
        for name, sql in sorted({**queries, **_finite(connection)}.items()):
            if wrong := connection.execute(f"SELECT * FROM ({sql}\n) LIMIT 3").fetchall():
                msg = f"not published: check {name} found rows such as {wrong}; the older warehouse stays"
                raise CheckError(msg)
        counts = {}
        for name in TABLES:
            counts[name] = connection.execute(f'SELECT count(*) FROM "{name}"').fetchall()[0][0]
    return counts


def _finite(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """A check for every table with DOUBLE columns: no NaN and no infinity, NULL is the word for no number."""
    sql = """SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns()
             WHERE NOT internal AND data_type IN ('DOUBLE', 'FLOAT')
                 AND table_name IN (SELECT table_name FROM duckdb_tables())
             GROUP BY table_name ORDER BY table_name"""
    checks = {}
    for table, columns in connection.execute(sql).fetchall():
        wrong = " OR ".join('NOT isfinite("{}")'.format(name.replace('"', '""')) for name in columns)
        checks[f"{table}_is_finite"] = f'SELECT * FROM "{table}" WHERE {wrong}'
    return checks


def _publish(directory: Path, unfinished: Path, number: int) -> Path:
    path = directory / f"warehouse-{number:06d}.duckdb"
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.rename(path)
    link = directory / "warehouse.duckdb.new"
    link.symlink_to(path.name)  # relative: the folder may be moved
    link.replace(directory / "warehouse.duckdb")
    sync_folder(directory)
    return path


def _sql(folder: str, name: str) -> str:
    return (resources.files("zoospectra.warehouse") / "sql" / folder / f"{name}.sql").read_text()


def _run(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    connection.execute(sql).fetchall()  # drained: an unread result would block the next statement
