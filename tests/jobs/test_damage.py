"""A flipped byte in a part is found by whoever reads it and costs no row: it is computed again, or a row says why."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from tests.jobs.zoos import make_zoo
from zoospectra.jobs.main import main
from zoospectra.warehouse import intact, verified
from zoospectra.warehouse.build import build
from zoospectra.warehouse.intact import is_intact
from zoospectra.warehouse.known import read_spectra
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


@pytest.mark.parametrize("kinds", ["spectra", "layer_metrics", "layers skipped"])
def test_a_scan_computes_again_what_a_damaged_part_held(
    scanned: tuple[Path, Path], data: Path, kinds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(data)
    parts = [flip(data, kind) for kind in kinds.split()]
    for file in data.glob("rows.duckdb*"):
        file.unlink()  # a build that reads every part
    assert scan(scanned[0], data) == 0
    out = "".join(capsys.readouterr())
    for part in parts:
        assert f"damaged part moved aside, its content is computed again: {part}.broken" in out
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
    assert not is_intact(tmp_path / "pipe.parquet", "spectra")


UNSAID = re.compile("(?!)")
"""As if no part said its checksum: those of older versions do not."""


def swap(data: Path, kind: str, other: Path) -> Path:
    """Put an intact part in the place of the one of a kind."""
    (part,) = data.glob(f"parts/log/{kind}-*.parquet")
    shutil.copyfile(other, part)
    return part


def test_a_part_of_another_kind_is_damage(
    scanned: tuple[Path, Path], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intact, "CHECKED", UNSAID)
    before = contents(data)
    for kind, other in (("spectra", "layer_metrics"), ("sketches", "layers")):
        part = swap(data, kind, next(scanned[1].glob(f"parts/log/{other}-*.parquet")))
        assert not is_intact(part, kind)
        assert scan(scanned[0], data) == 0
        assert part.with_name(part.name + ".broken").exists()
        assert_same(before, contents(data))
        shutil.rmtree(data)
        shutil.copytree(scanned[1], data, symlinks=True, copy_function=shutil.copy2)


def test_a_part_of_another_warehouse_is_met_wherever_spectra_are_read(
    scanned: tuple[Path, Path],
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intact, "CHECKED", UNSAID)
    before = contents(data)
    assert scan(make_zoo(tmp_path / "zoo", models=1, width=48), tmp_path / "other") == 0
    (foreign,) = tmp_path.glob("other/parts/log/spectra-*.parquet")
    part = swap(data, "spectra", foreign)
    (path,) = {row["file"] for row in query(data, "SELECT file FROM spectra_index").to_pylist()}
    asked = query(data, "SELECT content_hash FROM spectra_index")["content_hash"].to_pylist()
    assert main(["sql", "SELECT sum(len(evals)) FROM spectra", f"warehouse.dir={data}"]) == 2
    assert f"{part} is damaged: its bytes do not match their checksum, or it is another part" in capsys.readouterr().err
    assert read_spectra({data / path: asked}).num_rows == 0
    part.with_name(part.name + ".broken").rename(part)  # whoever reads spectra moves it aside
    assert main(["check", "what=warehouse", "format=json", f"warehouse.dir={data}"]) == 3
    (report,) = json.loads(capsys.readouterr().out)
    assert [(row["layer"], row["reason"]) for row in report["findings"]] == [(path, "another")]
    assert scan(scanned[0], data) == 0
    assert_same(before, contents(data))


@pytest.mark.parametrize("share", [0.2, *(pytest.param(share, marks=pytest.mark.slow) for share in (0.0, 0.9))])
def test_a_damaged_contract_is_mended(scanned: tuple[Path, Path], data: Path, share: float) -> None:
    whole = contents(data)
    for part in data.glob("parts/contract/*.parquet"):
        content = part.read_bytes()
        at = int(share * len(content))
        part.write_bytes(content[:at] + bytes(64) + content[at + 64 :])
    assert query(data, "SELECT count(*) AS n FROM spectra").to_pylist()[0]["n"] > 0
    assert scan(scanned[0], data) == 0
    assert_same(whole, contents(data))


def test_a_byte_that_changed_anywhere_is_met(scanned: tuple[Path, Path], tmp_path: Path) -> None:
    for part in scanned[1].glob("parts/log/*.parquet"):
        kind, content = part.name.partition("-")[0], part.read_bytes()
        copy = tmp_path / part.name
        for at in range(0, len(content), max(1, len(content) // 40)):
            copy.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            assert not is_intact(copy, kind), (kind, at)
        copy.write_bytes(content)
        assert is_intact(copy, kind)
