"""Ad-hoc SQL: reads everything, changes nothing, touches no other file, and fails in one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest

import zoospectra
from zoospectra.warehouse.build import build
from zoospectra.warehouse.known import Knowledge
from zoospectra.warehouse.query import query


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM layer_metrics",
        "FROM models;",
        "WITH x AS (SELECT 1 AS a) SELECT * FROM x",
        "VALUES (1)",
        "DESCRIBE layers",
        "SHOW TABLES",
        "SUMMARIZE layer_metrics",
        "PIVOT layer_metrics ON profile USING avg(alpha)",
        "EXPLAIN SELECT * FROM models",
        "explain analyze select * from models",
        "EXPLAIN (FORMAT json) SELECT 1",
        "-- a note\nSELECT count(*) FROM spectra",
        "SELECT now(), first_seen FROM models",
    ],
)
def test_reading_statements_answer(whole: Path, sql: str) -> None:
    assert query(whole, sql).num_columns > 0


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO models (model_id) VALUES ('x')",
        "UPDATE models SET model_id = 'x'",
        "DELETE FROM models",
        "DROP TABLE models",
        "CREATE TABLE x AS SELECT 1",
        "COPY models TO '{out}'",
        "EXPLAIN ANALYZE COPY models TO '{out}'",
        "/* x */ EXPLAIN ANALYZE COPY models TO '{out}'",
        "EXPORT DATABASE '{out}'",
        "ATTACH '{out}' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 1",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "CHECKPOINT",
        "PREPARE p AS COPY models TO '{out}'",
        "SELECT 1; DROP TABLE models",
        "SELECT 1; SELECT 2",
        "",
        "   -- only a note",
    ],
)
def test_anything_else_is_refused_in_one_line(whole: Path, sql: str) -> None:
    out = whole / "parts" / "out.parquet"  # the one folder that a connection may touch
    with pytest.raises(ValueError, match=r"refused|one SQL statement") as error:
        query(whole, sql.replace("{out}", str(out)))
    assert "\n" not in str(error.value)
    assert not out.exists()


@pytest.mark.parametrize("source", ["read_text('{file}')", "read_csv('{file}')", "'{file}'", "glob('/etc/*')"])
def test_no_other_file_can_be_read(whole: Path, tmp_path: Path, source: str) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"Permission Error|Catalog Error"):
        query(whole, "FROM " + source.replace("{file}", str(secret)))


def test_errors_are_one_line_with_candidates(whole: Path) -> None:
    with pytest.raises(ValueError, match=r'"alhpa" not found.*Candidate bindings:.*"alpha"') as error:
        query(whole, "SELECT alhpa FROM layer_metrics")
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="layer_metric does not exist! Did you mean"):
        query(whole, "FROM layer_metric")
    with pytest.raises(ValueError, match=r"^Parser Error: syntax error at or near \"SELEC\"$"):
        query(whole, "SELEC 1")


def test_no_warehouse_says_what_to_run(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ValueError, match=r"no warehouse at .*: run 'zoospectra scan"):
            query(folder, "SELECT 1")


def test_the_link_lost_after_a_kill_is_no_loss(published) -> None:
    (published.directory / "warehouse.duckdb").unlink()
    assert query(published.directory, "FROM models").num_rows == 2


def test_the_catalog_is_quoted_as_it_came(lake) -> None:
    lake.catalog("s1", [('local/o\'neil "x" ü/../y', "r")])
    build(lake.directory)
    assert query(lake.directory, "SELECT model_id FROM models").to_pylist() == [
        {"model_id": 'local/o\'neil "x" ü/../y'}
    ]


def test_columns_of_one_name_are_told_apart(whole: Path) -> None:
    """As DuckDB names them in a table made of the same SELECT; a name that is taken is passed over."""
    assert query(whole, "SELECT 1 a, 2 a, 3 a_1, 4 a").to_pylist() == [{"a": 1, "a_2": 2, "a_1": 3, "a_3": 4}]


def test_one_process_holds_a_warehouse_and_opens_it_again(published, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections to one path share an instance whose settings the first reader locks."""
    monkeypatch.setenv("TZ", "America/New_York")
    with zoospectra.open(published.directory) as held:
        assert query(published.directory, "SELECT current_setting('TimeZone') AS zone").to_pylist() == [{"zone": "UTC"}]
        with zoospectra.open(published.directory) as again, pytest.raises(ValueError, match="hostname"):
            again.sql("SELECT * FROM read_text('/etc/hostname')")
        knowledge = Knowledge(published.directory)
        assert knowledge.of_models([]).layers == {}
        knowledge.close()
        build(published.directory)
        assert held.sql("SELECT 1 AS x").to_pylist() == [{"x": 1}]
