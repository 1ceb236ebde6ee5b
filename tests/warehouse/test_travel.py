"""A warehouse that is moved, copied, attached and opened by other clients answers as at home, from its own parts."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from zoospectra.warehouse.connect import connect
from zoospectra.warehouse.definitions import definitions
from zoospectra.warehouse.place import attachable
from zoospectra.warehouse.query import query

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "warehouse.md").read_text()
CALLS = {
    "layer_profile": "FROM {w}layer_profile('local/*'{more})",
    "compare_models": "FROM {w}compare_models('local/a', 'local/b'{more})",
    "changed_since": "FROM {w}changed_since('run1'{more})",
    "reported_newest": "FROM {w}reported_newest({first})",
    "kin_layers": "FROM {w}kin_layers('local/a', 'local/b'{more})",
    "nearest": "FROM {w}nearest('local/a'{more})",
    "relatives": "FROM {w}relatives('local/*'{more})",
    "regress": "FROM {w}regress('alpha', 'top1_error'{more})",
}
SPECTRA = "SELECT content_hash, slice_id, evals FROM {}spectra ORDER BY ALL"


@pytest.fixture
def copy(published, tmp_path: Path) -> Path:
    """A copy of a warehouse in a folder with an awkward name, the original of which has other eigenvalues by now."""
    copied = tmp_path / "it's [a] copy*"
    shutil.copytree(published.directory, copied, symlinks=True)
    published.spectra("local/a", "p1", ["h1", "h2"], scale=3.0)
    published.spectra("local/b", "p1", ["h1", "h3"], scale=3.0)
    return copied


def test_a_copy_reads_its_own_spectra_in_any_client(copy: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    written = [
        row["evals"] for path in (copy / "parts").rglob("spectra-*.parquet") for row in pq.read_table(path).to_pylist()
    ]
    for file in (copy / "warehouse.duckdb", (copy / "warehouse.duckdb").relative_to(tmp_path)):
        with duckdb.connect(str(file), read_only=True) as connection:
            rows = connection.execute(SPECTRA.format("")).fetchall()
            assert connection.execute("SELECT count(*) FROM layer_spectra WHERE longname = 'l0'").fetchall() == [(4,)]
            assert not connection.execute(
                "SELECT sql FROM duckdb_views() WHERE sql LIKE '%' || $1 || '%'", [str(tmp_path.parent)]
            ).fetchall()
            assert not connection.execute("FROM spectra_index WHERE NOT starts_with(file, 'parts/')").fetchall()
        assert len(rows) == 6
        assert all(evals in written and evals[-1] == 4.0 for _, _, evals in rows)
    assert query(copy, SPECTRA.format("")).num_rows == 6


def test_an_original_that_is_gone_is_not_missed(published, copy: Path) -> None:
    shutil.rmtree(published.directory)
    assert query(copy, SPECTRA.format("")).num_rows == 6


def test_a_warehouse_attached_under_another_name_answers_the_same(copy: Path) -> None:
    with duckdb.connect(str(copy / "warehouse.duckdb"), read_only=True) as home:
        expected = {name: home.sql(sql.format(w="", more="", first="")).fetchall() for name, sql in CALLS.items()}
        spectra = home.execute(SPECTRA.format("")).fetchall()
    empty = {"changed_since", "kin_layers", "nearest", "relatives"}  # nothing of that is in this warehouse
    assert all(expected[name] for name in CALLS if name not in empty)
    assert CALLS.keys() == {definition.name for definition in definitions() if definition.tabular}
    with connect() as connection:
        connection.execute("ATTACH '{}' AS far (READ_ONLY)".format(str(copy / "warehouse.duckdb").replace("'", "''")))
        for name, sql in CALLS.items():
            there = sql.format(w="far.", more=", warehouse := 'far'", first="warehouse := 'far'")
            assert connection.sql(there).fetchall() == expected[name], name
        with pytest.raises(duckdb.Error, match="SET VARIABLE warehouse_dir"):
            connection.execute(SPECTRA.format("far.")).fetchall()
        connection.execute("SET VARIABLE warehouse_dir = $1", [str(copy)])
        assert connection.execute(SPECTRA.format("far.")).fetchall() == spectra


def test_a_macro_hands_on_parameters_or_is_refused() -> None:
    with pytest.raises(ValueError, match="handed on"):
        attachable("(a) AS TABLE\nSELECT * FROM other(b := a)", ["t"], {"other": "(b) AS TABLE SELECT b"})


def test_the_page_on_travel_runs(published, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(published.directory.parent)
    assert published.directory.name == "data"
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "warehouse.md", "exec"), {})
    assert "slice_id" in capsys.readouterr().out
    (sql,) = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    with connect() as connection:
        counts = [len(connection.execute(line).fetchall()) for line in sql.strip().splitlines()]
    assert counts == [0, 2, 2, 0, 8]


def test_the_documented_joins_hold(whole: Path) -> None:
    joins = re.findall(r"^\| (\w+) \| ([\w, ]+) \| (\w+) \| ([\w, ]+) \|$", PAGE, re.MULTILINE)[1:]
    keys = dict(re.findall(r"`(\w+)`\s\(([\w, ]+)\)", PAGE))
    assert len(joins) == 8
    assert len(keys) == 9
    with connect(whole / "warehouse.duckdb", read_only=True) as connection:
        for one, columns, other, theirs in joins:
            there = " OR ".join(f"{name} IS NULL" for name in columns.split(", "))
            orphans = f"SELECT {columns} FROM {one} WHERE NOT ({there}) EXCEPT SELECT {theirs} FROM {other}"
            assert connection.execute(orphans).fetchall() == [], (one, other)
        for name, columns in keys.items():
            doubled = f"SELECT {columns} FROM {name} GROUP BY ALL HAVING count(*) > 1"
            assert connection.execute(doubled).fetchall() == [], name


READ = """
import json, sys
import duckdb
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    rows = connection.execute("SELECT content_hash, slice_id, evals FROM spectra ORDER BY ALL").fetchall()
    alphas = connection.execute("SELECT model_id, alpha FROM model_metrics ORDER BY 1").fetchall()
    line = connection.execute("SELECT count(*) FROM regress('alpha', 'top1_error')").fetchall()
    tau = connection.execute("SELECT kendall_tau_b([1, 2, 3], [1, 3, 2])").fetchall()
    comments = connection.execute("SELECT count(comment) FROM duckdb_columns() WHERE NOT internal").fetchall()
print(json.dumps([duckdb.__version__, rows, alphas, line, tau, comments]))
"""


def answers(file: Path, libraries: Path | None, code: str = READ) -> list[object]:
    """What a process with these libraries reads off a database file."""
    paths = f"import sys; sys.path.insert(0, {str(libraries)!r})\n" if libraries else ""
    command = [sys.executable, "-c", paths + code, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr[-2000:]
    answered: list[object] = json.loads(done.stdout.splitlines()[-1])
    return answered


def installed(folder: Path, *packages: str) -> Path:
    """A folder of packages that pip has; the test is skipped where it has none."""
    command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder), *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"pip has no {' '.join(packages)}: {done.stderr.strip()[-200:]}")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.2.2", "1.4.5", "1.5.6"])
def test_older_versions_of_duckdb_answer_the_same(version: str, copy: Path, tmp_path: Path) -> None:
    libraries = installed(tmp_path / "libraries", f"duckdb=={version}", "--no-deps")
    file = copy / "warehouse.duckdb"
    now = answers(file, None)
    assert now[5][0][0] > 100  # type: ignore[index]
    assert answers(file, libraries) == [version, *now[1:]]


OTHERS = """
import json, sys
import duckdb
file = sys.argv[1]
sql = "SELECT model_id, alpha FROM model_metrics ORDER BY 1"
found = {}
import ibis
backend = ibis.duckdb.connect(file, read_only=True)
table = backend.table("model_metrics")
found["ibis"] = table.select("model_id", "alpha").order_by("model_id").to_pyarrow().to_pylist()
backend.disconnect()
import sqlalchemy
engine = sqlalchemy.create_engine(f"duckdb:///{file}", connect_args={"read_only": True})
with engine.connect() as connection:
    found["sqlalchemy"] = [dict(row) for row in connection.execute(sqlalchemy.text(sql)).mappings()]
    import pandas
    found["pandas"] = pandas.read_sql(sqlalchemy.text(sql), connection).to_dict("records")
engine.dispose()
with duckdb.connect(file, read_only=True) as connection:
    found["polars"] = connection.sql(sql).pl().to_dicts()
    found["spectra"] = connection.execute("SELECT count(*) FROM spectra").fetchall()[0][0]
print(json.dumps([duckdb.__version__, found]))
"""


@pytest.mark.slow
def test_ibis_sqlalchemy_pandas_and_polars_read_it(copy: Path, tmp_path: Path) -> None:
    wanted = ["duckdb==1.5.6", "ibis-framework[duckdb]", "duckdb_engine", "polars", "pandas", "pyarrow"]
    libraries = installed(tmp_path / "libraries", *wanted)
    version, found = answers(copy / "warehouse.duckdb", libraries, OTHERS)
    expected = query(copy, "SELECT model_id, alpha FROM model_metrics ORDER BY 1").to_pylist()
    assert version == "1.5.6"
    assert isinstance(found, dict)
    assert found.pop("spectra") == 6
    assert {
        name: [{**row, "alpha": None if row["alpha"] != row["alpha"] else row["alpha"]} for row in rows]
        for name, rows in found.items()
    } == dict.fromkeys(["ibis", "sqlalchemy", "pandas", "polars"], expected)


@pytest.mark.slow
def test_the_two_lines_put_a_read_only_server_for_language_models_on_it(copy: Path, tmp_path: Path) -> None:
    pip, line = re.findall(r"```console\n(.*)\n(.*)\n```", PAGE)[-1]
    libraries = installed(tmp_path / "libraries", pip.split()[-1])
    name, *options = line.split()
    words = [str(copy / "warehouse.duckdb") if word == "data/warehouse.duckdb" else word for word in options]
    program = [sys.executable, str(libraries / "bin" / name), *words]
    hello = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "test", "version": "0"}}
    asked = ["SELECT count(*) AS n FROM spectra", "DROP VIEW spectra"]
    messages = [{"id": 1, "method": "initialize", "params": hello}, {"method": "notifications/initialized"}]
    messages += [
        {"id": 2 + i, "method": "tools/call", "params": {"name": "execute_query", "arguments": {"sql": sql}}}
        for i, sql in enumerate(asked)
    ]
    environment = {**os.environ, "PYTHONPATH": str(libraries)}
    with subprocess.Popen(
        program,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
        cwd="/",
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        answered = []
        for message in messages:
            server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
            server.stdin.flush()
            if "id" in message:
                answered.append(json.loads(server.stdout.readline()))
        server.stdin.close()
    texts = [answer["result"]["content"][0]["text"] for answer in answered[1:]]
    assert json.loads(texts[0])["rows"] == [[6]]
    assert "read-only" in texts[1]
