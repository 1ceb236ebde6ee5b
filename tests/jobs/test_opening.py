"""Which checkpoints are read by pieces: by size, and by whether other models keep the slots busy."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import save_file

from tests.jobs.test_scan import assert_same, words
from tests.jobs.zoos import weights
from zoospectra.jobs.main import main
from zoospectra.jobs.work import engine, opening, pieces
from zoospectra.jobs.work.index import IndexRequest
from zoospectra.jobs.work.opening import SPLIT, Opening, Priced, by_way
from zoospectra.warehouse.identity import ModelId
from zoospectra.zoo.sources import fingerprint


def priced(*sizes: int, path: str = "net.safetensors") -> list[Priced]:
    model = ModelId("local/net", "1")
    return [Priced(IndexRequest(model, path), Opening(size, 0.1, 0, 0.0)) for size in sizes]


@pytest.mark.parametrize(("slots", "pieces"), [(1, 1), (2, 1), (4, 2)])
def test_models_that_are_fewer_than_the_slots_are_read_by_pieces(slots, pieces) -> None:
    models = priced(SPLIT, SPLIT + 1, fingerprint.LARGE + 1)
    large, _, small = by_way(models, few=len(models) < slots)
    assert large == models[3 - pieces :]
    assert small == models[: 3 - pieces]


def test_a_remote_model_is_split_by_its_size_alone() -> None:
    models = priced(SPLIT + 1, fingerprint.LARGE + 1, path="hf://org/net@main/model.safetensors")
    assert by_way(models, few=True) == (models[1:], models[:1], [])


@pytest.mark.slow
def test_read_by_pieces_a_model_leaves_the_same_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo, made = tmp_path / "zoo", []
    zoo.mkdir()
    save_file(weights(0), zoo / "net.safetensors")
    monkeypatch.setattr(opening, "SPLIT", 0)
    monkeypatch.setattr(engine, "pieces", lambda *given: made.append(found := pieces.pieces(*given)) or found)
    assert main([*words(zoo, tmp_path / "whole"), "cluster=inline"]) == 0
    assert not made
    assert main([*words(zoo, tmp_path / "parts"), "cluster=local", "cluster.cpus=2"]) == 0
    assert made
    assert_same(tmp_path / "whole", tmp_path / "parts")
