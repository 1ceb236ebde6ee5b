"""From parts to a published generation: what is joined, what counts once, what is latest, what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from zoospectra.warehouse import build as builder
from zoospectra.warehouse.build import build
from zoospectra.warehouse.checks import CheckError
from zoospectra.warehouse.definitions import FOLDERS, definitions, of_kind
from zoospectra.warehouse.dictionary import dictionary
from zoospectra.warehouse.parts import list_parts, write
from zoospectra.warehouse.query import query
from zoospectra.warehouse.schema import PARTS, field

TABLES = tuple(definition.name for definition in of_kind("TABLE"))
VIEWS = tuple(definition.name for definition in of_kind("VIEW"))


def rows(directory: Path, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in query(directory, sql).to_pylist()]


def contents(directory: Path) -> dict[str, pa.Table]:
    """Tables as they lie, views in an order: grouped rows come in any."""
    ordered = dict.fromkeys(TABLES, "") | dict.fromkeys(VIEWS, "ORDER BY ALL")
    return {name: query(directory, f'FROM "{name}" {order}') for name, order in ordered.items()}


def test_an_empty_folder_builds_and_answers_every_table_with_its_contract(lake) -> None:
    built = build(lake.directory)
    assert built.generation == 1
    counted = {name: table.num_rows for name, table in contents(lake.directory).items()}
    assert counted == dict.fromkeys((*TABLES, *VIEWS), 0) | {"generation": 1}
    for kind, schema in PARTS.items():
        assert set(schema.names) <= set(query(lake.directory, f'FROM "{kind}"').column_names)


def test_every_sql_file_is_a_definition_with_a_comment_behind_all_that_it_needs() -> None:
    folder = Path(__file__).resolve().parents[2] / "warehouse" / "sql"
    files = {path.stem for sub in FOLDERS for path in (folder / sub).glob("*.sql")}
    order = [definition.name for definition in definitions()]
    assert sorted(order) == sorted(files)
    assert all(definition.comment for definition in definitions())
    chain = ["runs", "snapshots", "models", "layers_history", "measured", "layer_metrics_history", "layer_metrics"]
    assert sorted([*chain, "model_metrics", "regress"], key=order.index) == [*chain, "model_metrics", "regress"]


def test_shared_bytes_have_one_metrics_row_and_fill_every_layer(whole: Path) -> None:
    got = rows(whole, "SELECT model_id, layer_id, alpha, status FROM layer_metrics ORDER BY ALL")
    assert got == [
        ("local/a", 0, 2.0, "success"),
        ("local/a", 1, 4.0, "success"),
        ("local/b", 0, 2.0, "success"),
        ("local/b", 1, None, "failed: zero"),
    ]


def test_the_same_result_in_two_parts_counts_once_and_the_newest_wins(filled, make_metric) -> None:
    filled.metrics("local/b", "m2", [make_metric("h1", 2.5)])
    build(filled.directory)
    got = rows(filled.directory, "SELECT model_id, alpha FROM layer_metrics WHERE content_hash = 'h1' ORDER BY 1")
    assert got == [("local/a", 2.5), ("local/b", 2.5)]


def test_spectra_of_shared_bytes_appear_once_with_their_values(filled) -> None:
    filled.spectra("local/b", "p2", ["h3"], scale=2.0)
    build(filled.directory)
    got = rows(filled.directory, "SELECT content_hash, slice_id, evals FROM spectra ORDER BY ALL")
    one, two = [0.5, 1.0, 2.0, 4.0], [1.0, 2.0, 4.0, 8.0]
    assert got == [(h, s, two if h == "h3" else one) for h in ("h1", "h2", "h3") for s in (0, 1)]


def test_model_metrics_leave_out_failed_fits_and_embeddings_and_say_so(filled, make_metric) -> None:
    filled.catalog("s2", [("local/c", "r1")])
    filled.model("local/c", "r1", ["h1"], kind="embedding")
    build(filled.directory)
    sql = "SELECT model_id, num_layers, num_embeddings, num_failed, alpha, hill_k2 FROM model_metrics ORDER BY 1"
    assert rows(filled.directory, sql) == [
        ("local/a", 2, 0, 0, 3.0, 1.5),
        ("local/b", 1, 0, 1, 2.0, 1.5),
        ("local/c", 0, 1, 0, None, None),
    ]
    assert "embedding" in rows(filled.directory, "SELECT DISTINCT rule FROM model_metrics")[0][0]


def test_a_retrained_file_shows_only_its_latest_revision_and_history_keeps_both(filled, make_metric) -> None:
    filled.catalog("s2", [("local/a", "r2"), ("local/b", "r1")])
    filled.run("run2", "s2", 1)
    filled.model("local/a", "r2", ["h4"])
    filled.metrics("local/a", "m2", [make_metric("h4", 5.0)])
    build(filled.directory)
    assert rows(filled.directory, "SELECT revision, alpha FROM layer_metrics WHERE model_id = 'local/a'") == [
        ("r2", 5.0)
    ]
    history = "SELECT revision, alpha, latest FROM layer_metrics_history WHERE model_id = 'local/a' ORDER BY ALL"
    assert rows(filled.directory, history) == [("r1", 2.0, False), ("r1", 4.0, False), ("r2", 5.0, True)]
    assert rows(filled.directory, "SELECT count(*) FROM skipped")[0] == (0,)
    assert rows(filled.directory, "SELECT count(*) FROM reported_metrics")[0] == (0,)
    assert rows(filled.directory, "SELECT count(*) FROM reported_metrics_history")[0] == (1,)
    seen = """SELECT revision, day(first_seen), day(last_seen), params, latest FROM models
              WHERE model_id = 'local/a' ORDER BY 1"""
    assert rows(filled.directory, seen) == [("r1", 1, 1, 64, False), ("r2", 2, 2, 32, True)]


def test_going_back_to_an_older_revision_makes_it_the_latest_again(filled) -> None:
    filled.catalog("s2", [("local/a", "r2"), ("local/b", "r1")])
    filled.run("run2", "s2", 1)
    filled.run("run3", "s1", 2)
    build(filled.directory)
    sql = "SELECT revision, day(first_seen), day(last_seen) FROM models WHERE latest AND model_id = 'local/a'"
    assert rows(filled.directory, sql) == [("r1", 1, 3)]


def test_a_catalog_whose_run_was_killed_still_counts_as_newest(filled) -> None:
    filled.catalog("s2", [("local/a", "r2")])
    build(filled.directory)
    assert rows(filled.directory, "SELECT revision FROM models WHERE latest AND model_id = 'local/a'") == [("r2",)]


def test_a_hyperparameter_of_two_types_does_not_kill_the_build(lake) -> None:
    def depth(type_: pa.DataType) -> pa.Field:
        return field("depth", type_, "count", "Depth")

    lake.catalog("s1", [("local/a", "r")], depth(pa.int64()), depth=18)
    lake.catalog("s2", [("local/b", "r")], depth(pa.float64()), depth=18.5)
    build(lake.directory)
    assert rows(lake.directory, "SELECT depth FROM models ORDER BY 1") == [(18.0,), (18.5,)]
    lake.catalog("s3", [("local/c", "r")], depth(pa.string()), depth="deep")
    lake.catalog("s4", [("local/d", "r")], depth(pa.bool_()), depth=True)
    lake.catalog("s5", [("local/e", "r")])
    build(lake.directory)
    assert rows(lake.directory, "SELECT count(depth), count(*) FROM models") == [(4, 5)]


def test_a_split_tensor_counts_its_parameters_once(lake, make_table) -> None:
    base = {"model_id": "m", "revision": "r", "content_hash": "h", "params": 12, "tensor": "qkv.weight"}
    part = [base | {"layer_id": i, "longname": f"qkv.{name}"} for i, name in enumerate("qkv")]
    write(lake.directory, "layers", "r", make_table("layers", part), "m")
    build(lake.directory)
    assert rows(lake.directory, "SELECT params, latest FROM models") == [(12, True)]


def test_the_newest_layers_part_of_a_revision_replaces_the_older_one(lake, make_table) -> None:
    lake.model("m", "r", ["h1", "h2"])
    row = {"model_id": "m", "revision": "r", "content_hash": "h9", "layer_id": 0}
    write(lake.directory, "layers", "again", make_table("layers", [row]), "m")
    build(lake.directory)
    assert rows(lake.directory, "SELECT layer_id, content_hash FROM layers") == [(0, "h9")]


def test_two_builds_of_the_same_parts_are_identical_row_by_row(published) -> None:
    first = contents(published.directory)
    build(published.directory)
    second = contents(published.directory)
    for name in TABLES:
        assert first[name].equals(second[name]), name
    assert all(first[name].sort_by(first[name].column_names[0]).num_rows for name in ("layers", "spectra"))


def test_a_build_that_needs_more_memory_gets_it(published, monkeypatch) -> None:
    first = contents(published.directory)
    (published.directory / "rows.duckdb").unlink()
    monkeypatch.setattr("zoospectra.warehouse.build.MEMORY", (1,))
    with pytest.raises(MemoryError):
        build(published.directory)
    monkeypatch.setattr("zoospectra.warehouse.build.MEMORY", (1, 512))
    build(published.directory)
    assert all(
        table.equals(first[name]) for name, table in contents(published.directory).items() if name != "generation"
    )


def test_damage_met_before_memory_ran_out_is_still_named(filled, monkeypatch) -> None:
    damaged = write(filled.directory, "study_results", "d", PARTS["study_results"].empty_table())
    damaged.write_bytes(b"PAR1")
    fill, limits = builder._fill, []

    def scarce(connection: duckdb.DuckDBPyConnection, *arguments: Any) -> None:
        limits.append(connection.execute("SELECT current_setting('memory_limit')").fetchall())
        if len(limits) == 1:
            raise duckdb.OutOfMemoryException("scripted")
        fill(connection, *arguments)

    monkeypatch.setattr(builder, "_fill", scarce)
    assert build(filled.directory).broken == (damaged.with_name(f"{damaged.name}.broken"),)
    assert len({str(limit) for limit in limits}) == 2


def test_every_column_of_every_table_has_a_unit_and_a_comment(filled) -> None:
    filled.catalog("s2", [("local/a", "r1")], field("depth", pa.int64(), "count", 'Depth\'s "own" [words]'), depth=3)
    build(filled.directory)
    entries = dictionary(filled.directory)
    assert {entry.table for entry in entries} == {*TABLES, *VIEWS}
    assert [entry for entry in entries if not entry.unit or not entry.comment] == []
    assert [e.comment for e in entries if (e.table, e.column) == ("models", "depth")] == ['Depth\'s "own" [words]']
    assert [e.comment for e in entries if (e.table, e.column) == ("layer_metrics", "hill_k2")] == [
        "Hill estimator at half of the spectrum"
    ]
    uncommented = """SELECT table_name FROM duckdb_tables() WHERE comment IS NULL
        UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal AND comment IS NULL"""
    assert rows(filled.directory, uncommented) == []


def test_nan_that_slipped_into_a_part_is_not_published(published) -> None:
    part = next(part for part in list_parts(published.directory) if part.kind == "layer_metrics")
    spoilt = (
        f"COPY (SELECT * REPLACE ('nan'::DOUBLE AS sigma) FROM '{part.path}') TO '{part.path}.new' (FORMAT parquet)"
    )
    with duckdb.connect() as connection:
        connection.execute(spoilt).fetchall()
    Path(f"{part.path}.new").replace(part.path)
    with pytest.raises(CheckError, match="layer_metrics_history_is_finite"):
        build(published.directory)
    assert os.readlink(published.directory / "warehouse.duckdb") == "warehouse-000001.duckdb"
    assert [path.name for path in published.directory.glob("*.tmp*")] == []


def test_only_the_newest_generations_are_kept(filled) -> None:
    for _ in range(4):
        for path in filled.directory.glob("warehouse-*"):
            os.utime(path, (0, 0))  # long ago
        build(filled.directory, keep=2)
    assert sorted(p.name for p in filled.directory.glob("warehouse-*")) == [
        "warehouse-000003.duckdb",
        "warehouse-000004.duckdb",
    ]
    with pytest.raises(ValueError, match="keep=0: expected at least 1 generation"):
        build(filled.directory, keep=0)


def test_a_folder_with_quotes_and_blanks_and_glob_signs_works(tmp_path: Path, filled) -> None:
    odd = tmp_path / "it's a [lake]*"
    filled.directory.rename(odd)
    build(odd)
    assert rows(odd, "SELECT count(*) FROM spectra") == [(6,)]
