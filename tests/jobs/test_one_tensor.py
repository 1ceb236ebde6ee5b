"""One changed tensor is all that is computed, however its model is stored and whatever else the warehouse lacks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.jobs.zoos import weights
from tests.zoo.sources.test_bases import adapter, model
from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query
from zoospectra.zoo.sources import fingerprint

Store = Callable[[Path, dict[str, torch.Tensor]], None]


def one_file(zoo: Path, tensors: dict[str, torch.Tensor]) -> None:
    zoo.mkdir(exist_ok=True)
    save_file(tensors, zoo / "net.safetensors")


def sharded(zoo: Path, tensors: dict[str, torch.Tensor]) -> None:
    folder = zoo / "net"
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(tensors)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for shard, held in shards.items():
        save_file({name: tensors[name] for name in held}, folder / shard)
    mapped = {name: shard for shard, held in shards.items() for name in held}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": mapped}))


class Nights:
    """Scans of one zoo, each with what it computed: tensors analysed, and fitted from stored spectra."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.zoo, self.data = folder / "zoo", folder / "data"
        self._capsys = capsys

    def __call__(self) -> tuple[int, int]:
        self._capsys.readouterr()
        words = ["scan", "zoo=local", f"zoo.path={self.zoo}", f"warehouse.dir={self.data}", "cluster=inline"]
        assert main(words) == 0
        counted = re.search(r"\((\d+) tensors analysed now, (\d+) fitted", self._capsys.readouterr().out)
        assert counted is not None
        return int(counted[1]), int(counted[2])


@pytest.fixture
def night(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Nights:
    return Nights(tmp_path, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("pieces", [False, True])
@pytest.mark.parametrize("store", [one_file, sharded])
def test_one_tensor_however_a_model_is_stored(
    night: Nights, monkeypatch: pytest.MonkeyPatch, store: Store, pieces: bool
) -> None:
    if pieces:  # as a model above the bound is read
        monkeypatch.setattr(fingerprint, "LARGE", -1)
    tensors = weights(0)
    store(night.zoo, tensors)
    assert night() == (4, 0)
    assert night() == (0, 0)
    tensors["fc1.weight"] = tensors["fc1.weight"] * 1.5
    store(night.zoo, tensors)
    assert night() == (1, 0)
    for place in ("jobs.work.todo", "jobs.work.engine", "jobs.records.rows"):
        monkeypatch.setattr(f"zoospectra.{place}.FIT_VERSION", "test")
    tensors["fc2.weight"] = tensors["fc2.weight"] * 1.5
    store(night.zoo, tensors)
    assert night() == (1, 3), "spectra of the older fits stand"
    versions = query(night.data, "SELECT code_version, count(*) AS n FROM layer_metrics GROUP BY ALL").to_pylist()
    assert versions == [{"code_version": "test", "n": 4}]
    for part in night.data.glob("parts/*/sketches-*.parquet"):
        part.unlink()
    assert night() == (0, 0)
    latest = "SELECT count(*) AS n FROM layers JOIN sketches USING (content_hash)"
    assert query(night.data, latest).to_pylist() == [{"n": 4}]


@pytest.mark.slow
def test_a_changed_base_is_computed_where_an_adapter_changes_it(night: Nights) -> None:
    model(night.zoo / "base")
    adapter(night.zoo / "adapter", "base")
    first = night()
    assert night() == (0, 0)
    path = night.zoo / "base" / "model.safetensors"
    tensors = load_file(path)
    tensors["layers.0.q_proj.weight"] = tensors["layers.0.q_proj.weight"] * 1.5
    save_file(tensors, path)
    assert night() == (2, 0), f"the tensor, and it with its update; of {first} at first"
