"""Night after night: nothing is published when nothing changed, and what changed is all that is computed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tests.jobs.zoos import make_zoo
from zoospectra.jobs.main import main
from zoospectra.warehouse.build import refresh
from zoospectra.warehouse.merge import merge
from zoospectra.warehouse.parts import list_parts, live_parts
from zoospectra.warehouse.query import query

SPECTRA = "SELECT content_hash, written FROM spectra_index"


def scan(zoo: Path, data: Path, *words: str) -> int:
    return main(["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", "cluster=inline", *words])


def retrain(zoo: Path, tensor: str) -> None:
    """Change one tensor of the first net."""
    weights = load_file(zoo / "net0.safetensors")
    weights[tensor] = weights[tensor] * 1.5
    save_file(weights, zoo / "net0.safetensors")


def computed(data: Path, before: set[tuple[object, ...]]) -> set[tuple[object, ...]]:
    return {tuple(row.values()) for row in query(data, SPECTRA).to_pylist()} - before


def test_an_unchanged_night_publishes_nothing_and_writes_its_run_only(tmp_path: Path) -> None:
    zoo, data = make_zoo(tmp_path / "zoo", models=2), tmp_path / "data"
    assert scan(zoo, data) == 0
    newest = (data / "warehouse.duckdb").resolve()
    before = {part.path: part.path.stat().st_mtime_ns for part in list_parts(data)}
    assert scan(zoo, data) == 0
    assert (data / "warehouse.duckdb").resolve() == newest
    after = {part.path: part.path.stat().st_mtime_ns for part in list_parts(data)}
    assert [path.parent.name for path in after.keys() - before.keys()] == ["runs"]
    assert before.items() <= after.items()
    retrain(zoo, "fc1.weight")
    assert scan(zoo, data) == 0
    assert query(data, "SELECT count(*) AS n FROM runs").to_pylist() == [{"n": 3}], "the quiet night is in it now"


def test_a_night_after_a_merge_writes_its_run_only(tmp_path: Path) -> None:
    zoo, data = make_zoo(tmp_path / "zoo", models=2), tmp_path / "data"
    assert scan(zoo, data) == 0
    retrain(zoo, "fc1.weight")
    assert scan(zoo, data) == 0
    merge(data)
    refresh(data)
    kinds = [part.path.parent.name for part in live_parts(data) if part.kind in ("models", "reported_metrics")]
    assert set(kinds) == {"merged"}, "the catalog's own part is gone"
    newest, before = (data / "warehouse.duckdb").resolve(), set(list_parts(data))
    assert scan(zoo, data) == 0
    assert (data / "warehouse.duckdb").resolve() == newest
    assert {part.kind for part in set(list_parts(data)) - before} == {"runs"}


def test_bytes_changed_in_place_with_their_time_set_back_are_met_by_rehash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo, data = make_zoo(tmp_path / "zoo", models=1), tmp_path / "data"
    assert scan(zoo, data) == 0
    path = zoo / "net0.safetensors"
    state = path.stat()
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        begin, _ = json.loads(file.read(size))["fc1.weight"]["data_offsets"]
        file.seek(8 + size + begin)
        file.write(b"\0\0\0\0")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    for words, computed in (((), 0), (("zoo.rehash=true",), 1)):
        capsys.readouterr()
        assert scan(zoo, data, *words) == 0
        assert f"({computed} tensors analysed now, 0 fitted from stored spectra)" in capsys.readouterr().out
    (row,) = query(data, "SELECT revision FROM models WHERE latest").to_pylist()
    assert row["revision"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_one_changed_tensor_is_computed_alone_even_by_a_new_version_of_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo, data = make_zoo(tmp_path / "zoo", models=2), tmp_path / "data"
    assert scan(zoo, data) == 0
    before = computed(data, set())
    retrain(zoo, "fc1.weight")
    capsys.readouterr()
    assert scan(zoo, data) == 0
    assert "(1 tensors analysed now, 0 fitted from stored spectra)" in capsys.readouterr().out
    second = computed(data, before)
    assert len(second) == 1
    for place in ("jobs.work.todo", "jobs.work.engine", "jobs.records.rows"):
        monkeypatch.setattr(f"zoospectra.{place}.FIT_VERSION", "test")
    retrain(zoo, "fc2.weight")
    assert scan(zoo, data) == 0
    # eight layers of two nets, of net0 the newest revision; the fits are new, the spectra are not
    assert "(1 tensors analysed now, 7 fitted from stored spectra)" in capsys.readouterr().out
    assert len(computed(data, before | second)) == 1
    versions = query(data, "SELECT code_version, count(*) AS n FROM layer_metrics GROUP BY 1").to_pylist()
    assert versions == [{"code_version": "test", "n": 8}]
