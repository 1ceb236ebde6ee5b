"""A flipped byte in a part is found by whoever reads it and costs no row: it is computed again, or a row says why."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from tests.jobs.zoos import make_zoo
from zoospectra.jobs.main import main
from zoospectra.warehouse import verified
from zoospectra.warehouse.build import build
from zoospectra.warehouse.intact import is_intact
from zoospectra.warehouse.query import query

TABLES = ("models", "layers", "layer_metrics", "skipped", "spectra", "sketches")


def scan(zoo: Path, data: Path, *words: str) -> int:
    return main(["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", "cluster=inline", *words])


def contents(data: Path) -> dict[str, pa.Table]:
    unsaid = {"written", "first_seen", "last_seen"}
    found = {name: query(data, f"SELECT * FROM {name} ORDER BY ALL") for name in TABLES}
    return {name: rows.select([c for c in rows.column_names if c not in unsaid]) for name, rows in found.items()}


def assert_same(one: dict[str, pa.Table], other: dict[str, pa.Table]) -> None:
    assert [name for name in one if not one[name].equals(other[name])] == []


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("damage")
    zoo, data = make_zoo(folder / "zoo", models=3), folder / "data"
    assert scan(zoo, data) == 0
    return zoo, data


@pytest.fixture
def data(scanned: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(scanned[1], tmp_path / "data", symlinks=True, copy_function=shutil.copy2))


def flip(data: Path, kind: str, share: float = 0.3) -> Path:
    """Flip one byte of the part of a kind, at this share of its length."""
    (part,) = (data / "parts" / "log").glob(f"{kind}-*.parquet")
    content = bytearray(part.read_bytes())
    content[int(share * len(content))] ^= 0xFF
    part.write_bytes(content)
    return part


@pytest.mark.parametrize("kind", ["spectra", "layer_metrics", "layers", "skipped"])
def test_a_scan_computes_again_what_a_damaged_part_held(
    scanned: tuple[Path, Path], data: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(data)
    part = flip(data, kind)
    for file in data.glob("rows.duckdb*"):
        file.unlink()  # a build that reads every part
    assert scan(scanned[0], data) == 0
    assert f"damaged part moved aside, its content is computed again: {part}.broken" in "".join(capsys.readouterr())
    assert_same(before, contents(data))


def test_the_share_of_the_night_finds_damage_in_parts_that_no_build_reads_again(
    scanned: tuple[Path, Path], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(data)
    part = flip(data, "spectra")
    nights = [[p.path for p in verified.share_of_the_night(data, night * verified.DAY)] for night in range(30)]
    assert sum(part in night for night in nights) == 1, "each part has its night"
    monkeypatch.setattr(verified, "NIGHTS", 1)
    assert scan(scanned[0], data) == 0
    assert part.with_name(part.name + ".broken").exists()
    assert_same(before, contents(data))


def test_a_refit_of_damaged_spectra_is_rows_and_exit_3_and_a_scan_mends_it(
    scanned: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    flip(data, "spectra")
    refit = ["refit", "profiles=corrected", f"warehouse.dir={data}", "cluster=inline"]
    assert main(refit) == 3
    rows = query(data, "SELECT detail FROM skipped WHERE failed")["detail"].to_pylist()
    assert len(rows) == 12
    assert all("damaged" in row for row in rows)
    assert main(refit) == 3, "it does not pass for whole on the next night"
    assert scan(scanned[0], data) == 0
    assert main(refit) == 0
    whole = Path(shutil.copytree(scanned[1], tmp_path / "whole", symlinks=True, copy_function=shutil.copy2))
    assert main([*refit[:2], f"warehouse.dir={whole}", "cluster=inline"]) == 0
    assert_same(contents(whole), contents(data))


def test_sql_and_layer_refuse_damaged_spectra_and_check_moves_them_aside(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = flip(data, "spectra")
    for words in (["sql", "SELECT sum(len(evals)) FROM spectra"], ["layer", "*net0*", "fc1"]):
        assert main([*words, f"warehouse.dir={data}"]) == 2
        assert f"{part} is damaged" in capsys.readouterr().err
    assert main(["sql", "SELECT count(*) FROM layer_metrics", f"warehouse.dir={data}"]) == 0
    capsys.readouterr()
    assert main(["check", "what=warehouse", "format=json", f"warehouse.dir={data}"]) == 3
    (report,) = json.loads(capsys.readouterr().out)
    assert report["verdict"] == "damaged"
    assert [row["layer"] for row in report["findings"]] == [part.relative_to(data).as_posix()]
    assert part.with_name(part.name + ".broken").exists()
    build(data)
    assert main(["check", "what=warehouse", f"warehouse.dir={data}"]) == 0


def test_spectra_that_are_gone_are_named_and_a_pipe_is_no_part(
    data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (part,) = data.glob("parts/log/spectra-*.parquet")
    part.unlink()
    assert main(["sql", "SELECT sum(len(evals)) FROM spectra", f"warehouse.dir={data}"]) == 2
    assert f"{part} is gone: a scan computes what it held again" in capsys.readouterr().err
    os.mkfifo(tmp_path / "pipe.parquet")
    assert not is_intact(tmp_path / "pipe.parquet")
