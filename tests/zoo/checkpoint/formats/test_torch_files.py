"""Torch checkpoints against torch itself: real files, and files that torch.save writes here."""

from __future__ import annotations

import zipfile
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.read import content_hash, read, stored
from zoospectra.zoo.checkpoint.record import Checkpoint
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError


class Anything:
    """Stands for the classes that torch must be allowed to build before it opens some of the real files."""

    def __new__(cls, *args: object) -> Anything:
        return object.__new__(cls)

    def __setstate__(self, state: object) -> None:
        pass


REFUSED_BY_TORCH = {
    "distiller-resnet20/checkpoint_trained_channel_regularized_resnet20.pth.tar": "distiller.thinning.ThinningRecipe",
    "distiller-resnet20/checkpoint_trained_channel_regularized_resnet20_finetuned.pth.tar": (
        "distiller.thinning.ThinningRecipe"
    ),
    "distiller-resnet20/resnet20_cifar10_checkpoint.pth.tar": "torch.optim.sgd.SGD",
    "formats/ai85-kws20-qat8.pth.tar": "torch.optim.adam.Adam",
    "formats/ai85-kws20-qat8-q.pth.tar": "torch.optim.adam.Adam",
}

FLOAT8 = (torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz)
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool, *FLOAT8)


def same(ref: TensorRef, tensor: torch.Tensor) -> None:
    """The reference gives the tensor, bit for bit in its stored type."""
    assert ref.shape == tuple(tensor.shape)
    assert f"torch.{ref.dtype}" == str(tensor.dtype)
    wanted = (
        tensor.detach().clone(memory_format=torch.contiguous_format).reshape(-1).view(torch.uint8).numpy().tobytes()
    )
    assert stored(ref).tobytes() == wanted, f"{ref.name} differs from torch"
    assert read(ref).shape == ref.shape


def agrees(checkpoint: Checkpoint, state: dict[str, Any]) -> None:
    """The checkpoint holds exactly the tensors of a state dict, in its order."""
    names = list(state)
    if all(name.startswith("module.") for name in names):
        names = [name.removeprefix("module.") for name in names]
    assert [ref.name for ref in checkpoint.tensors] == names
    for ref, tensor in zip(checkpoint.tensors, state.values(), strict=True):
        same(ref, tensor)


def torch_files(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in (".th", ".pth", ".tar"))


def test_real_files_equal_torch(shared: Path) -> None:
    compared = 0
    for path in torch_files(shared / "zoo"):
        checkpoint = open_checkpoint(str(path))
        try:
            loaded = torch.load(path, weights_only=True, map_location="cpu")
        except Exception:  # noqa: BLE001 - whatever torch refuses is compared below
            continue
        agrees(checkpoint, loaded.get("state_dict", loaded))
        compared += 1
    assert compared == 9


@pytest.mark.parametrize("name", sorted(REFUSED_BY_TORCH))
def test_files_that_torch_refuses_are_read_too(shared: Path, name: str) -> None:
    path = shared / "zoo" / name
    with pytest.raises(Exception, match="Weights only load failed"):
        torch.load(path, weights_only=True, map_location="cpu")
    checkpoint = open_checkpoint(str(path))
    assert REFUSED_BY_TORCH[name] in checkpoint.globals_seen
    with torch.serialization.safe_globals([(Anything, REFUSED_BY_TORCH[name])]):
        loaded = torch.load(path, weights_only=True, map_location="cpu")
    agrees(checkpoint, loaded["state_dict"])
    assert all(skip.reason == "optimizer_state" or skip.tensor == "compression_sched" for skip in checkpoint.skips)


def test_a_pickled_module_is_read_and_agrees_with_its_own_initialisers(shared: Path) -> None:
    checkpoint = open_checkpoint(str(shared / "zoo" / "formats" / "ACASXU_run2a_1_1_batch_2000.pth"))
    assert checkpoint.format == "torch_zip"
    assert "__builtin__.getattr" in checkpoint.globals_seen
    tensors = {ref.name: read(ref) for ref in checkpoint.tensors}
    kept = {name: value for name, value in tensors.items() if name.endswith("_MatMul_W")}
    assert len(kept) == 7
    for name, value in kept.items():
        operation = name.removeprefix("_initializer_").removesuffix("_MatMul_W")
        linear = [v for n, v in tensors.items() if operation in n and n.endswith(".weight")]
        assert len(linear) == 1
        np.testing.assert_array_equal(linear[0], value.T)


def test_a_whole_module_has_the_names_of_its_state_dict(tmp_path: Path) -> None:
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.LSTM(4, 5), torch.nn.MultiheadAttention(4, 2)
    )
    module.register_buffer("transient", torch.ones(3), persistent=False)
    for legacy in (False, True):
        path = tmp_path / f"module{legacy}.pth"
        torch.save(module, path, _use_new_zipfile_serialization=not legacy)
        agrees(open_checkpoint(str(path)), module.state_dict())


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_every_type_in_both_containers_and_all_protocols(tmp_path: Path, legacy: bool, protocol: int) -> None:
    torch.manual_seed(0)
    state = {str(d).removeprefix("torch."): torch.randn(6, 4).mul(3).to(d) for d in DTYPES}
    state["transposed"] = torch.randn(5, 7).T
    state["part"] = torch.randn(10, 10)[2:6, 1::3]
    state["scalar"] = torch.tensor(3.5)
    state["empty"] = torch.empty(0, 4)
    state["tied"] = state["part"]
    path = tmp_path / "x.pth"
    torch.save(state, path, _use_new_zipfile_serialization=not legacy, pickle_protocol=protocol)
    checkpoint = open_checkpoint(str(path))
    assert checkpoint.format == ("torch_legacy" if legacy else "torch_zip")
    agrees(checkpoint, state)
    assert checkpoint.skips == ()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {"state_dict": s, "epoch": 3},
        lambda s: {"model": {"state_dict": s}, "args": {"lr": 0.1}},
        lambda s: {"net": {f"module.{k}": v for k, v in s.items()}, "acc": 93.1},
        lambda s: {f"module._orig_mod.{k}": v for k, v in s.items()},
        OrderedDict,
    ],
)
def test_containers_and_wrapping_prefixes_are_removed(tmp_path: Path, wrap: Any) -> None:
    state = {"a.weight": torch.randn(3, 4), "a.bias": torch.randn(3)}
    torch.save(wrap(state), tmp_path / "x.pt")
    agrees(open_checkpoint(str(tmp_path / "x.pt")), state)


def test_what_lies_beside_the_model_has_one_row_each(tmp_path: Path) -> None:
    module = torch.nn.Linear(4, 3)
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    state = {"state_dict": module.state_dict(), "optimizer": optimizer.state_dict(), "masks": {"a": torch.ones(2)}}
    torch.save(state, tmp_path / "x.pt")
    checkpoint = open_checkpoint(str(tmp_path / "x.pt"))
    agrees(checkpoint, module.state_dict())
    assert {skip.tensor: (skip.reason, skip.failed) for skip in checkpoint.skips} == {
        "optimizer": ("optimizer_state", False),
        "masks": ("not_the_model", False),
    }
    state = {"netG": module.state_dict(), "netD": module.state_dict(), "optimG": optimizer.state_dict()}
    torch.save(state, tmp_path / "y.pt")
    checkpoint = open_checkpoint(str(tmp_path / "y.pt"))
    agrees(checkpoint, module.state_dict())
    assert {skip.tensor: skip.reason for skip in checkpoint.skips} == {
        "optimG": "optimizer_state",
        "netD": "not_the_model",
    }
    other = open_checkpoint(str(tmp_path / "y.pt#netD"))
    agrees(other, module.state_dict())
    assert other.skips == ()
    with pytest.raises(CheckpointError, match=r"no net 'netE'; nets: 'netG', 'netD'"):
        open_checkpoint(str(tmp_path / "y.pt#netE"))


def test_a_layer_whose_name_begins_like_training_state_is_kept(tmp_path: Path) -> None:
    state = {"amp.weight": torch.randn(3, 4), "optimus.weight": torch.randn(3, 4), "scaler": torch.ones(2)}
    torch.save(state, tmp_path / "x.pt")
    agrees(open_checkpoint(str(tmp_path / "x.pt")), state)


def test_compressed_members_are_inflated(tmp_path: Path) -> None:
    state = {"a": torch.randn(30, 40), "b": torch.randn(7, 9).T, "c": torch.zeros(50, 50)}
    torch.save(state, tmp_path / "x.pt")
    with (
        zipfile.ZipFile(tmp_path / "x.pt") as old,
        zipfile.ZipFile(tmp_path / "y.pt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    before, after = open_checkpoint(str(tmp_path / "x.pt")), open_checkpoint(str(tmp_path / "y.pt"))
    assert all(ref.member is None for ref in before.tensors)
    assert all(ref.member is not None for ref in after.tensors)
    agrees(after, state)
    assert list(map(content_hash, before.tensors)) == list(map(content_hash, after.tensors))


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_quantised_and_sparse_tensors_are_refused_by_name(tmp_path: Path, legacy: bool) -> None:
    state = {
        "w": torch.randn(3, 3),
        "sparse": torch.eye(4).to_sparse(),
        "meta": torch.empty(3, device="meta"),
        "quantised": torch.quantize_per_tensor(torch.randn(5, 5), 0.1, 0, torch.qint8),
        "last": torch.randn(2, 2),
    }
    torch.save(state, tmp_path / "x.pt", _use_new_zipfile_serialization=not legacy)
    checkpoint = open_checkpoint(str(tmp_path / "x.pt"))
    assert [ref.name for ref in checkpoint.tensors] == ["w", "last"]
    same(checkpoint.tensors[1], state["last"])
    assert {s.tensor: (s.reason, s.failed) for s in checkpoint.skips} == {
        "sparse": ("unsupported_dtype", True),
        "meta": ("unsupported_dtype", True),
        "quantised": ("unsupported_dtype", True),
    }


def test_torchscript_archives_are_read(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4, 2))
    torch.jit.script(module).save(str(tmp_path / "x.pt"))
    checkpoint = open_checkpoint(str(tmp_path / "x.pt"))
    wanted = module.state_dict()
    assert {ref.name for ref in checkpoint.tensors} == set(wanted)
    for ref in checkpoint.tensors:
        same(ref, wanted[ref.name])


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.filterwarnings("ignore:ComplexHalf support")
def test_views_that_repeat_elements_and_complex_weights_are_read(tmp_path: Path, legacy: bool) -> None:
    base = torch.randn(90, 120)
    state = {
        "expanded": base[:1].expand(50, 120),
        "windows": base.reshape(-1).unfold(0, 64, 1),
        "complex": torch.randn(64, 96, dtype=torch.complex64),
        "double": torch.randn(6, 5, 4, 3, dtype=torch.complex128),
        "imaginary": torch.randn(9, 8, dtype=torch.complex64).imag,
        "mask": torch.ones(1, dtype=torch.bool).expand(9000, 9000),
        "half": torch.zeros(2, 2, dtype=torch.complex32),
    }
    torch.save(state, tmp_path / "x.pt", _use_new_zipfile_serialization=not legacy)
    checkpoint = open_checkpoint(str(tmp_path / "x.pt"))
    agrees(checkpoint, {name: value for name, value in state.items() if name not in ("mask", "half")})
    assert {skip.tensor: (skip.reason, skip.failed) for skip in checkpoint.skips} == {
        "mask": ("expanded", False),
        "half": ("unsupported_dtype", True),
    }


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("keep", [0.0, 0.02, 0.3, 0.6, 0.999])
def test_files_cut_anywhere_are_unreadable(tmp_path: Path, legacy: bool, keep: float) -> None:
    torch.save({"a": torch.randn(50, 40)}, tmp_path / "x.pth", _use_new_zipfile_serialization=not legacy)
    whole = (tmp_path / "x.pth").read_bytes()
    (tmp_path / "y.pth").write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(str(tmp_path / "y.pth"))
    assert caught.value.reason == "unreadable"


def test_a_checkpoint_without_tensors_says_so(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "lr": 0.1}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(str(tmp_path / "x.pt"))
    assert caught.value.reason == "no_tensors"


@st.composite
def views(draw: st.DrawFn) -> torch.Tensor:
    """A tensor with some strides: a permuted, sliced view of a contiguous one."""
    shape = draw(st.lists(st.integers(0, 5), min_size=0, max_size=4))
    dtype = draw(st.sampled_from(DTYPES))
    seed = draw(st.integers(0, 2**31))
    tensor = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    tensor = tensor.permute(draw(st.permutations(range(len(shape)))))
    for axis, size in enumerate(tensor.shape):
        if size:
            start, step = draw(st.integers(0, size - 1)), draw(st.integers(1, 3))
            tensor = tensor[(slice(None),) * axis + (slice(start, None, step),)]
    return tensor


@settings(max_examples=60, deadline=None)
@given(tensors=st.lists(views(), min_size=1, max_size=4), legacy=st.booleans())
def test_round_trip_of_any_strides_and_types(tmp_path_factory: Any, tensors: list[torch.Tensor], legacy: bool) -> None:
    path = tmp_path_factory.mktemp("views") / "x.pt"
    state = {f"t{i}": tensor for i, tensor in enumerate(tensors)}
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    checkpoint = open_checkpoint(str(path))
    agrees(checkpoint, state)
    torch.save({k: v.contiguous() for k, v in state.items()}, path.with_name("plain.pt"))
    plain = open_checkpoint(str(path.with_name("plain.pt")))
    assert list(map(content_hash, checkpoint.tensors)) == list(map(content_hash, plain.tensors))
