"""A model too large for one task: the same rows as for a small one, by pieces that are read once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.jobs.test_scan import contents, counts, scan
from tests.jobs.zoos import weights
from zoospectra.jobs.work import engine
from zoospectra.jobs.work.pieces import read_piece
from zoospectra.warehouse.query import query
from zoospectra.zoo.sources import fingerprint


def tensors() -> dict[str, torch.Tensor]:
    """Everything that reading tells: copies, a transpose, zeros, NaN, a table of sinusoids, ties."""
    state = weights(0)
    zeros = torch.zeros(64, 48)
    angles = torch.arange(40)[:, None] / 10 ** (torch.arange(16)[None, :] / 4)
    damaged = torch.randn(20, 20)
    damaged[3, 3] = torch.nan
    state |= {"module.fc1.weight": state["fc1.weight"].clone(), "turned.weight": state["fc1.weight"].T.contiguous()}
    state |= {"zeros.0.weight": zeros, "zeros.1.weight": zeros.clone(), "zeros.2.weight": zeros.T.contiguous()}
    state |= {"bad.weight": damaged, "table": torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)}
    return state | {"half.weight": torch.randn(96, 40).bfloat16(), "head.weight": state["embed.weight"].clone()}


def save(folder: Path, state: dict[str, torch.Tensor]) -> None:
    """A model's folder with its tensors in two shards."""
    folder.mkdir(parents=True, exist_ok=True)
    names = list(state)
    shards = {f"model-0000{n}-of-00002.safetensors": names[n - 1 :: 2] for n in (1, 2)}
    for file, own in shards.items():
        save_file({name: state[name] for name in own}, folder / file)
    where = {name: file for file, own in shards.items() for name in own}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    (folder / "config.json").write_text('{"model_type": "toy"}')


def told(data: Path) -> dict[str, list[dict[str, object]]]:
    """What a scan says of its layers, but for what pins the bytes."""
    own = {"revision", "weights_sha256"}
    spectra = "SELECT * FROM spectra SEMI JOIN layers USING (content_hash) ORDER BY ALL"
    tables = contents(data) | {"spectra": query(data, spectra)}
    return {name: table.drop_columns(own & set(table.column_names)).to_pylist() for name, table in tables.items()}


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model of files counts as large."""
    monkeypatch.setattr(fingerprint, "LARGE", 0)


def test_both_ways_give_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "zoo" / "net", tensors())
    assert scan(tmp_path / "zoo", tmp_path / "small") == 3
    monkeypatch.setattr(fingerprint, "LARGE", 0)
    assert scan(tmp_path / "zoo", tmp_path / "large") == 3
    small, large = told(tmp_path / "small"), told(tmp_path / "large")
    for name, rows in small.items():
        assert rows == large[name], name
    assert counts(tmp_path / "small") == counts(tmp_path / "large")
    reasons = {row["tensor"]: row["reason"] for row in large["skipped"]}
    assert (reasons["turned.weight"], reasons["module.fc1.weight"], reasons["bad.weight"]) == (
        "copy",
        "copy",
        "non_finite",
    )
    sketches = "SELECT * EXCLUDE (written) FROM sketches ORDER BY content_hash"
    assert query(tmp_path / "small", sketches).equals(query(tmp_path / "large", sketches))
    (model,) = query(tmp_path / "large", "SELECT revision, weights_sha256 FROM models").to_pylist()
    assert model["revision"].startswith("files-")
    assert model["weights_sha256"] is None


@pytest.mark.usefixtures("large")
def test_a_changed_tensor_of_a_large_model_is_computed_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo, data = tmp_path / "zoo", tmp_path / "data"
    save(zoo / "net", weights(0))
    assert scan(zoo, data) == 0
    save(zoo / "net", weights(0) | {"fc2.weight": torch.randn(10, 128)})
    save(zoo / "twin", weights(0))
    for computed in (1, 0):
        capsys.readouterr()
        assert scan(zoo, data) == 0
        assert f"({computed} tensors analysed now, 0 fitted from stored spectra)" in capsys.readouterr().out
    assert query(data, "SELECT count(*) AS n FROM spectra_index").to_pylist() == [{"n": 5}]


@pytest.mark.usefixtures("large")
def test_an_interrupted_scan_goes_on_and_bytes_that_change_meanwhile_are_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo, data, left = tmp_path / "zoo", tmp_path / "data", [3]
    save(zoo / "net", tensors())
    shard = zoo / "net" / "model-00001-of-00002.safetensors"

    def until(piece):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return read_piece(piece)

    def meanwhile(piece):
        with shard.open("r+b") as file:
            file.seek(-4, os.SEEK_END)
            file.write(np.float32(7).tobytes())
        os.utime(shard)
        return read_piece(piece)

    monkeypatch.setattr(engine, "read_piece", until)
    words = ("shard_seconds=0.00001",)
    assert scan(zoo, data, *words) == 130
    monkeypatch.setattr(engine, "read_piece", read_piece)
    assert scan(zoo, data, *words) == 3
    print(capsys.readouterr().out)
    monkeypatch.setattr(engine, "read_piece", meanwhile)
    os.utime(shard)
    assert scan(zoo, data, *words) == 3
    (row,) = query(data, "SELECT reason FROM skipped WHERE tensor IS NULL").to_pylist()
    assert row["reason"] == "changed"
    monkeypatch.setattr(engine, "read_piece", read_piece)
    assert scan(zoo, data, *words) == 3
    assert query(data, "SELECT reason FROM skipped WHERE tensor IS NULL").to_pylist() == []
