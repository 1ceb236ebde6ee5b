"""Which models a folder holds: trainers' folders, hubs' caches, split and parallel files, nets of one file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.zoo.checkpoint.formats.test_gguf_file import write as write_gguf
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.read import read
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.model import Model
from zoospectra.zoo.sources.fingerprint import FingerprintCache
from zoospectra.zoo.sources.local import crawl

State = dict[str, torch.Tensor]


def state(seed: int = 0, width: int = 8) -> State:
    torch.manual_seed(seed)
    return {"a.weight": torch.randn(width, width), "a.bias": torch.randn(width), "b.weight": torch.randn(width, 5)}


def published(folder: Path, seed: int = 0, name: str = "model.safetensors") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    save_file(state(seed), folder / name)
    return folder


def names(root: Path) -> list[str]:
    return [model.name for model in crawl(str(root))]


def beside(path: Path) -> dict[str | None, str]:
    return {skip.tensor: str(skip.reason) for skip in open_checkpoint(str(path)).skips}


def optimizer() -> dict[str, Any]:
    return {"state": {0: {"exp_avg": torch.ones(3, 4), "exp_avg_sq": torch.ones(3, 4)}}, "param_groups": [{"lr": 0.1}]}


def test_a_trainers_folder_has_its_checkpoints_and_no_training_state(tmp_path: Path) -> None:
    run = published(tmp_path / "run")
    for step in (500, 1000):
        folder = published(run / f"checkpoint-{step}", step)
        torch.save(optimizer(), folder / "optimizer.pt")
        torch.save({"last_epoch": 3}, folder / "scheduler.pt")
        torch.save({"cpu": torch.ones(9, dtype=torch.uint8)}, folder / "rng_state_0.pth")
    torch.save(object, run / "training_args.bin")
    (run / "latest").symlink_to(run / "checkpoint-1000")
    assert names(tmp_path) == ["run", "run/checkpoint-1000", "run/checkpoint-500"]
    assert beside(run) == {"training_args.bin": "optimizer_state"}
    assert beside(run / "checkpoint-500") == dict.fromkeys(
        ("optimizer.pt", "rng_state_0.pth", "scheduler.pt"), "optimizer_state"
    )
    assert names(run) == ["run", "checkpoint-1000", "checkpoint-500"]


def test_training_files_anywhere_are_no_models_unless_they_hold_a_net(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "net.pt")
    torch.save(optimizer(), tmp_path / "adam_of_monday.pt")
    torch.save(optimizer(), tmp_path / "optimizer.bin")
    torch.save({"x": 3}, tmp_path / "scheduler.bin")
    torch.save(object, tmp_path / "training_args.bin")
    torch.save(
        {"states": [torch.ones(5, dtype=torch.uint8)], "numpy": np.ones((3, 3))}, tmp_path / "random_states_0.pkl"
    )
    torch.save(state(), tmp_path / "scaler.pt")
    (tmp_path / "rng_state.pth").write_bytes(b"cut")
    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    (tmp_path / "run").mkdir()
    torch.save(state(1), tmp_path / "run" / "best.pt")
    torch.save(optimizer(), tmp_path / "run" / "best_optim.pt")
    models = {model.name: model for model in crawl(str(tmp_path))}
    assert list(models) == ["empty.pt", "net.pt", "run/best.pt", "scaler.pt"]
    # every file has a row, with a model of its folder
    assert [row.tensor for row in models["run/best.pt"].beside] == ["run/best_optim.pt"]
    rows = [row for model in models.values() for row in model.beside]
    assert {row.reason for row in rows} == {"optimizer_state"}
    assert len({row.tensor for row in rows} | models.keys()) == len(rows) + len(models) == 11


def test_the_same_model_once_more_has_a_row_and_an_adapter_is_a_model(tmp_path: Path) -> None:
    folder = published(tmp_path / "net")
    save_file(state(), folder / "model.fp16.safetensors")
    torch.save(state(), folder / "pytorch_model.bin")
    for name in ("tf_model.h5", "flax_model.msgpack", "model.onnx"):
        (folder / name).write_bytes(b"\x08\x07")
    lora = {
        "base_model.model.q.lora_A.weight": torch.randn(2, 8),
        "base_model.model.q.lora_B.weight": torch.randn(6, 2),
    }
    save_file(lora, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"lora_alpha": 4, "r": 2}))
    torch.save(state(7), folder / "head.pt")
    assert names(tmp_path) == ["net", "net/adapter_model.safetensors", "net/head.pt"]
    others = ("flax_model.msgpack", "model.fp16.safetensors", "model.onnx", "pytorch_model.bin", "tf_model.h5")
    assert beside(folder) == dict.fromkeys(others, "not_the_model")
    assert open_checkpoint(str(folder / "adapter_model.safetensors")).config["adapter"] == {"lora_alpha": 4, "r": 2}


@pytest.mark.parametrize("stem", ["model", "diffusion_pytorch_model"])
def test_a_variant_alone_is_the_model_of_its_folder(tmp_path: Path, stem: str) -> None:
    published(tmp_path / "unet", 1, f"{stem}.fp16.safetensors")
    published(tmp_path / "vae", 2, f"{stem}.fp16-00001-of-00002.safetensors")
    save_file({"c.weight": torch.ones(4, 4)}, tmp_path / "vae" / f"{stem}.fp16-00002-of-00002.safetensors")
    keys = {**dict.fromkeys(state(), f"{stem}.fp16-00001-of-00002.safetensors")}
    keys["c.weight"] = f"{stem}.fp16-00002-of-00002.safetensors"
    (tmp_path / "vae" / f"{stem}.safetensors.index.fp16.json").write_text(json.dumps({"weight_map": keys}))
    assert names(tmp_path) == ["unet", "vae"]
    assert [len(open_checkpoint(str(tmp_path / name)).tensors) for name in ("unet", "vae")] == [3, 4]
    assert beside(tmp_path / "vae") == {}


def test_modules_of_sentence_transformers_and_components_of_diffusers_are_found(tmp_path: Path) -> None:
    published(tmp_path / "st")
    (tmp_path / "st" / "modules.json").write_text("[]")
    published(tmp_path / "st" / "2_Dense", 3)
    (tmp_path / "pipe").mkdir()
    (tmp_path / "pipe" / "model_index.json").write_text("{}")
    published(tmp_path / "pipe" / "unet", 1, "diffusion_pytorch_model.safetensors")
    published(tmp_path / "pipe" / "text_encoder", 2)
    assert names(tmp_path) == ["pipe/text_encoder", "pipe/unet", "st", "st/2_Dense"]


def test_a_hubs_cache_gives_its_snapshots(tmp_path: Path) -> None:
    repo = tmp_path / "cache" / "models--org--name"
    for folder in ("blobs", "refs", "snapshots"):
        (repo / folder).mkdir(parents=True)
    for number, revision in enumerate(("a" * 40, "b" * 40)):
        (repo / "snapshots" / revision).mkdir()
        save_file(state(number), repo / "blobs" / f"weights{number}")
        (repo / "blobs" / f"config{number}").write_text("{}")
        for name, blob in (("model.safetensors", "weights"), ("config.json", "config"), ("head.pt", "head")):
            if blob == "head":
                torch.save(state(9), repo / "blobs" / f"head{number}")
            (repo / "snapshots" / revision / name).symlink_to(f"../../blobs/{blob}{number}")
    (repo / "blobs" / "cut.incomplete").write_bytes(b"PK")
    stem = f"models--org--name/snapshots/{'a' * 40}"
    assert [name for name in names(tmp_path / "cache") if "/aaaa" in name] == [stem, f"{stem}/head.pt"]
    assert len(names(tmp_path / "cache")) == 4
    assert names(repo / "snapshots" / ("b" * 40)) == ["b" * 40, "head.pt"]


def test_modelscopes_cache_gives_a_model_once(tmp_path: Path) -> None:
    published(tmp_path / "models" / "org" / "Net-0___5B")
    (tmp_path / "models" / "org" / "Net-0.5B").symlink_to(tmp_path / "models" / "org" / "Net-0___5B")
    published(tmp_path / "._____temp" / "org" / "Net")
    assert names(tmp_path) == ["models/org/Net-0___5B"]


@pytest.mark.parametrize("suffix", [".gguf", ".safetensors", ".pt"])
def test_numbered_parts_are_one_model(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    arrays = {f"blk.{i}.attn_q.weight": rng.standard_normal((6, 4)).astype("f4") for i in range(3)}
    for part, (name, array) in enumerate(arrays.items(), 1):
        path = tmp_path / f"net-{part:05}-of-00003{suffix}"
        if suffix == ".gguf":
            write_gguf(path, {name: (array, "F32")})
        elif suffix == ".pt":
            torch.save({name: torch.from_numpy(array)}, path)
        else:
            save_file({name: torch.from_numpy(array)}, path)
    (model,) = crawl(str(tmp_path))
    assert model.name == f"net-00001-of-00003{suffix}"
    for part in (1, 2, 3):
        checkpoint = open_checkpoint(str(tmp_path / f"net-{part:05}-of-00003{suffix}"))
        assert [ref.name for ref in checkpoint.tensors] == list(arrays)
        for ref in checkpoint.tensors:
            np.testing.assert_array_equal(read(ref), arrays[ref.name])
    os.remove(tmp_path / f"net-00002-of-00003{suffix}")
    (cut,) = crawl(str(tmp_path))
    assert cut.revision != model.revision
    checkpoint = open_checkpoint(cut.path)
    assert len(checkpoint.tensors) == 2
    (skip,) = checkpoint.skips
    assert (skip.tensor, skip.reason, skip.failed) == (f"net-00002-of-00003{suffix}", "inaccessible", True)


def test_parts_that_say_too_many_are_refused(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "net-00001-of-99999.safetensors")
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(str(tmp_path / "net-00001-of-99999.safetensors"))
    assert caught.value.reason == "unsafe"


WHOLE: State = {
    "tok_embeddings.weight": torch.randn(24, 8),
    "layers.0.attention.wq.weight": torch.randn(8, 8),
    "layers.0.attention.wk.weight": torch.randn(4, 8),
    "layers.0.attention.wo.weight": torch.randn(8, 8),
    "layers.0.feed_forward.w1.weight": torch.randn(16, 8),
    "layers.0.feed_forward.w2.weight": torch.randn(8, 16),
    "layers.0.attention_norm.weight": torch.randn(8),
    "router.weight": torch.randn(3, 8),
    "output.weight": torch.randn(24, 8),
}
CUT = {"tok_embeddings.weight": 1, "layers.0.attention.wo.weight": 1, "layers.0.feed_forward.w2.weight": 1}
REPLICAS = ("layers.0.attention_norm.weight", "router.weight")


def rank(number: int, ranks: int) -> State:
    """What one rank of a tensor-parallel model holds."""
    return {
        name: value if name in REPLICAS else value.chunk(ranks, CUT.get(name, 0))[number].clone()
        for name, value in WHOLE.items()
    }


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("kind", ["meta", "megatron"])
def test_ranks_are_one_model_with_the_whole_matrices(tmp_path: Path, ranks: int, kind: str) -> None:
    for number in range(ranks):
        if kind == "meta":
            torch.save(rank(number, ranks), tmp_path / f"consolidated.{number:02}.pth")
        else:
            folder = tmp_path / "iter_0000100" / f"mp_rank_{number:02}"
            folder.mkdir(parents=True)
            inner = {"language_model": {"encoder": rank(number, ranks)}}
            torch.save({"model": inner, "iteration": 3, "optimizer": optimizer()}, folder / "model_optim_rng.pt")
    (tmp_path / "params.json").write_text(json.dumps({"dim": 8}))
    (model,) = crawl(str(tmp_path))
    checkpoint = open_checkpoint(model.path)
    found = {ref.name.removeprefix("language_model.encoder."): read(ref) for ref in checkpoint.tensors}
    assert list(found) == list(WHOLE)
    for name, value in WHOLE.items():
        np.testing.assert_array_equal(found[name], value.numpy())
    assert not any(skip.failed for skip in checkpoint.skips)


def test_a_part_whose_axis_is_not_known_is_lost_by_name(tmp_path: Path) -> None:
    for number in range(2):
        state = {
            "norm.weight": torch.ones(8),
            "mystery.weight": torch.full((8, 8), float(number)),
            "c": torch.ones(2, 2, 2),
        }
        torch.save(state, tmp_path / f"consolidated.{number:02}.pth")
    (skip,) = open_checkpoint(str(tmp_path / "consolidated.00.pth")).skips
    assert (skip.tensor, skip.reason, skip.failed) == ("mystery.weight", "unsupported_shape", True)


def test_keras_shards_are_one_model(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    kernels = [np.random.default_rng(i).standard_normal((5, 4)).astype("f4") for i in range(2)]
    for number, kernel in enumerate(kernels):
        with h5py.File(tmp_path / f"net_0000{number}.weights.h5", "w") as file:
            file[f"layers/dense{'_1' if number else ''}/vars/0"] = kernel
    index = {
        "weight_map": {"/layers/dense/vars": ["net_00000.weights.h5"], "/layers/dense_1/vars": "net_00001.weights.h5"}
    }
    (tmp_path / "net.weights.json").write_text(json.dumps(index))
    (model,) = crawl(str(tmp_path))
    assert model.name == "net.weights.json"
    arrays = [read(ref) for ref in open_checkpoint(model.path).tensors]
    for array, kernel in zip(arrays, kernels, strict=True):
        np.testing.assert_array_equal(array, kernel.T)
    for wrong in (
        {"weight_map": {"a": ["../x.weights.h5"]}},
        {"weight_map": {"a": ["x.weights.h5"]}},
        [],
        {"weight_map": 3},
    ):
        (tmp_path / "net.weights.json").write_text(json.dumps(wrong))
        with pytest.raises(CheckpointError):
            open_checkpoint(str(tmp_path / "net.weights.json"))


def test_nets_of_a_file_are_models_unless_the_catalog_names_it(tmp_path: Path) -> None:
    gan = {"netG": state(1), "netD": state(2), "optimG": optimizer()}
    torch.save(gan, tmp_path / "gan.pth")
    save_file(
        {f"generator.{k}": v for k, v in state(1).items()} | {f"discriminator.{k}": v for k, v in state(2).items()},
        tmp_path / "flat.safetensors",
    )
    models = crawl(str(tmp_path))
    assert [model.name for model in models] == [
        "flat.safetensors#generator",
        "flat.safetensors#discriminator",
        "gan.pth#netG",
        "gan.pth#netD",
    ]
    assert len({model.revision for model in models}) == 2
    assert [len(open_checkpoint(model.path).tensors) for model in models] == [3, 3, 3, 3]
    rows = {model.name: [skip.tensor for skip in open_checkpoint(model.path).skips] for model in models[2:]}
    assert rows == {"gan.pth#netG": ["optimG"], "gan.pth#netD": []}
    (tmp_path / "catalog.csv").write_text("file,series\ngan.pth,GAN\n")
    named: tuple[Model, ...] = crawl(str(tmp_path))
    assert [model.name for model in named] == [*(model.name for model in models[:2]), "gan.pth"]
    assert sorted(skip.tensor or "" for skip in open_checkpoint(named[2].path).skips) == ["netD", "optimG"]


def test_nets_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"netG": state(1), "netD": state(2)}, tmp_path / "gan.pth")
    first = crawl(str(tmp_path), fingerprints=FingerprintCache.load(tmp_path / ".cache"))

    def refuse(path: str) -> None:
        raise AssertionError(path)

    monkeypatch.setattr("zoospectra.zoo.sources.local.listed_nets", refuse)
    assert crawl(str(tmp_path), fingerprints=FingerprintCache.load(tmp_path / ".cache")) == first
