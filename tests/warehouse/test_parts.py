"""Parts: the contract on the way in, whole or absent on disk, damage moved aside, nothing recomputed that is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.warehouse.knowledge import everything
from zoospectra.warehouse.build import build, refresh
from zoospectra.warehouse.conform import conform
from zoospectra.warehouse.known import read_spectra
from zoospectra.warehouse.parts import list_parts, part_path, slug, sweep, write
from zoospectra.warehouse.query import query
from zoospectra.warehouse.schema import PARTS, field, unit_and_comment


@given(st.text(max_size=200))
def test_a_slug_is_one_plain_folder_name(model_id: str) -> None:
    name = slug(model_id)
    assert name == Path(name).name
    assert name not in {".", ".."}
    assert not name.startswith(".")
    assert name.isascii()
    assert len(name) < 80


def test_slugs_of_alike_names_differ() -> None:
    ids = ["a/b", "a-b", "a b", "A/b", "../a-b", "/a-b", "a/b/", "ä/b", "a" * 500, "a" * 501]
    assert len({slug(name).lower() for name in ids}) == len(ids)


def test_every_contract_column_has_unit_and_comment() -> None:
    for schema in PARTS.values():
        for column in schema:
            assert all(unit_and_comment(column))


@pytest.mark.parametrize("key", ["../x", "", ".hidden", "a/b", "x" * 121, "a\n"])
def test_an_unsafe_key_is_refused(lake, make_table, key: str) -> None:
    with pytest.raises(ValueError, match="not a plain file name"):
        write(lake.directory, "runs", key, make_table("runs", [{"run_id": "x"}]))


def test_misuse_says_what_was_expected(lake, make_table, make_metric) -> None:
    runs, metrics = make_table("runs", [{"run_id": "x"}]), make_table("layer_metrics", [make_metric("h")])
    with pytest.raises(ValueError, match=r"unknown kind of part 'sepctra'; known: models, .*spectra"):
        part_path(lake.directory, "sepctra", "k")
    with pytest.raises(ValueError, match="need a model_id"):
        write(lake.directory, "layer_metrics", "k", metrics)
    with pytest.raises(ValueError, match="take no model_id"):
        write(lake.directory, "runs", "k", runs, "m")
    with pytest.raises(ValueError, match=r"runs.run_id has 1 NULL"):
        write(lake.directory, "runs", "k", pa.table({"verb": ["scan"]}))
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"layer_metrics.alpha holds NaN or infinity"):
            write(lake.directory, "layer_metrics", "k", make_table("layer_metrics", [make_metric("h", value)]), "m")
    bare = metrics.append_column("hill", pa.array([1.0]))
    with pytest.raises(ValueError, match=r"'hill' has no unit and comment"):
        write(lake.directory, "layer_metrics", "k", bare, "m")
    for name in ("latest", "Model_Id", "ALPHA", "written"):
        clash = metrics.append_column(field(name, pa.float64(), "1", "x"), pa.array([1.0]))
        with pytest.raises(ValueError, match="reserved or doubled"):
            write(lake.directory, "layer_metrics", "k", clash, "m")
    assert list_parts(lake.directory) == []
    assert list(lake.directory.glob("**/*.part")) == []


def test_tables_that_differ_in_a_unit_alone_keep_theirs(make_table, make_metric) -> None:
    for unit in ("1", "weights"):
        more = make_table("layer_metrics", [make_metric("h", 2.0)])
        more = more.append_column(field("hill", pa.float64(), unit, "x"), pa.array([1.0]))
        assert conform("layer_metrics", more).schema.field("hill").metadata[b"unit"] == unit.encode()


def test_nan_inside_a_spectrum_is_refused(lake, make_table) -> None:
    row = {"content_hash": "h", "unfold": "u", "slice_id": 0, "code_version": "1", "evals": [1.0, float("nan")]}
    with pytest.raises(ValueError, match=r"spectra.evals holds NaN"):
        write(lake.directory, "spectra", "k", make_table("spectra", [row]), "m")


def test_missing_columns_become_null_and_types_are_cast(lake) -> None:
    path = write(lake.directory, "runs", "r1", pa.table({"run_id": ["r1"], "models": pa.array([3], pa.int32())}))
    table = pq.read_table(path)
    assert table.schema.names == [*PARTS["runs"].names, "written"]
    assert table.schema.field("models").type == pa.int64()
    assert table["verb"].null_count == 1


def test_spectra_come_back_bit_for_bit_and_without_dictionary(lake, make_table) -> None:
    values = [1e-308, 0.1, 1 / 3, 1e300]
    base = {"content_hash": "h", "unfold": "u", "N": 4, "M": 4, "code_version": "1"}
    rows = [base | {"slice_id": i, "evals": values} for i in (1, 0)]
    path = write(lake.directory, "spectra", "k", make_table("spectra", rows), "m")
    back = read_spectra({part: ["h"] for part in everything(lake.directory).spectra.values()})
    assert back["slice_id"].to_pylist() == [0, 1]
    assert back["evals"].to_pylist() == [values, values]
    assert back.schema.equals(PARTS["spectra"])
    column = pq.read_metadata(path).row_group(0).column(PARTS["spectra"].names.index("evals"))
    assert column.compression == "ZSTD"
    assert "BYTE_STREAM_SPLIT" in column.encodings
    assert not any("DICTIONARY" in encoding for encoding in column.encodings)


def test_read_spectra_takes_the_newest_and_the_asked_rule(filled) -> None:
    filled.spectra("local/b", "p2", ["h1"], scale=3.0)
    files = [part.path for part in list_parts(filled.directory) if part.kind == "spectra"]
    got = read_spectra({file: ["h1"] for file in files}, unfold="slices")
    assert got["evals"].to_pylist() == [[1.5, 3.0, 6.0, 12.0]] * 2
    assert read_spectra({file: ["h1"] for file in files}, unfold="fft").num_rows == 0
    assert read_spectra({file: [] for file in files}).num_rows == 0


def test_the_same_key_replaces_its_part(filled) -> None:
    before = list_parts(filled.directory)
    filled.model("local/a", "r1", ["h9"])
    assert list_parts(filled.directory) == before
    assert [row.content_hash for row in everything(filled.directory).layers["local/a", "r1"]] == ["h9"]


def test_known_results_name_everything_that_is_there(filled) -> None:
    known = everything(filled.directory)
    assert set(known.spectra) == {(h, "slices", "1") for h in ("h1", "h2", "h3")}
    results = {(h, "slices", *rest) for h in ("h1", "h2", "h3") for rest in (("k1", "1"), ("spectrum", ""))}
    assert known.metrics == results
    assert known.filtered == frozenset()
    hashes = {model: [row.content_hash for row in rows] for model, rows in known.layers.items()}
    assert hashes == {("local/a", "r1"): ["h1", "h2"], ("local/b", "r1"): ["h1", "h3"]}
    assert known.skipped == {("local/a", "r1"): (("l0.bias", "vector", None, False),)}
    assert known.readers == {("local/a", "r1"): "r1", ("local/b", "r1"): "r1"}
    assert everything(filled.directory / "nowhere").spectra == {}


@pytest.mark.parametrize(
    ("damage", "reader"), [("empty", "refresh"), ("cut", "build"), ("footer", "refresh"), ("page", "build")]
)
def test_a_damaged_part_is_moved_aside_and_the_rest_stays(filled, damage: str, reader: str) -> None:
    part = next(p.path for p in list_parts(filled.directory) if p.kind == "layer_metrics" and "local-b" in str(p.path))
    data = part.read_bytes()
    footer = int.from_bytes(data[-8:-4], "little")
    spoilt = {
        "empty": b"",
        "cut": data[: len(data) // 2],
        "footer": data[: -8 - footer] + bytes(footer) + data[-8:],
        "page": data[:4] + b"\xff" * 400 + data[404:],
    }
    part.write_bytes(spoilt[damage])
    broken = {"refresh": refresh, "build": build}[reader](filled.directory).broken
    assert broken == (part.with_name(part.name + ".broken"),)
    assert broken[0].is_file()
    assert part not in [p.path for p in list_parts(filled.directory)]
    assert build(filled.directory).broken == ()
    assert query(filled.directory, "FROM layer_metrics WHERE content_hash = 'h3'").num_rows == 0
    assert query(filled.directory, "FROM layer_metrics WHERE content_hash = 'h1'").num_rows == 2


def test_a_part_with_unreadable_words_keeps_its_numbers(filled) -> None:
    part = next(p.path for p in list_parts(filled.directory) if p.kind == "layer_metrics" and "local-a" in str(p.path))
    data = part.read_bytes()
    start = data.index(b"ARROW:schema") + 40
    part.write_bytes(data[:start] + b"????" + data[start + 4 :])
    assert build(filled.directory).broken == ()
    assert query(filled.directory, "FROM layer_metrics WHERE hill_k2 = 1.5").num_rows == 2


def test_stray_part_files_are_ignored_then_cleaned(filled) -> None:
    folder = list_parts(filled.directory)[0].path.parent
    stray = folder / ".layers-x.parquet.1-ab.part"
    stray.write_bytes(b"half")
    count = len(list_parts(filled.directory))
    assert sweep(filled.directory) == 0
    os.utime(stray, (0, 0))
    assert sweep(filled.directory) == 1
    assert len(list_parts(filled.directory)) == count


WRITER = """
import sys
from pathlib import Path
import pyarrow as pa
from zoospectra.warehouse.parts import write
from zoospectra.warehouse.schema import PARTS
for i in range(10**6):
    row = {"content_hash": f"h{i}", "unfold": "u", "slice_id": 0, "code_version": "1", "evals": [1.0] * 20000}
    write(Path(sys.argv[1]), "spectra", f"k{i}", pa.Table.from_pylist([row], PARTS["spectra"]), f"m{i % 3}")
    print(i, flush=True)
"""


@pytest.mark.parametrize("after", [1, 9])
def test_a_killed_writer_loses_nothing_it_had_finished(lake, after: int) -> None:
    root = Path(__file__).resolve().parents[2]
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(lake.directory)], stdout=subprocess.PIPE, text=True, cwd=root
    )
    assert writer.stdout is not None
    done = [int(writer.stdout.readline()) for _ in range(after)]
    writer.kill()
    done += [int(line) for line in writer.stdout.read().split()]
    writer.wait()
    known = {int(content[1:]) for content, _, _ in everything(lake.directory).spectra}
    assert set(done) <= known
    assert known <= set(range(max(done) + 2))
    built = build(lake.directory)
    assert built.rows["spectra_index"] == len(known)
    assert query(lake.directory, "FROM spectra").num_rows == len(known)
