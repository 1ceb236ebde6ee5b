"""torch's other containers, written by torch: distributed checkpoints, exported programs, frozen modules, ZeRO."""

from __future__ import annotations

import io
import json
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import read_layer
from zoospectra.zoo.sources.local import crawl


def found(path: Path) -> dict[str, Layer]:
    checkpoint = open_checkpoint(str(path))
    chosen, _ = layers(checkpoint.tensors, checkpoint.config)
    return {layer.longname: layer for layer in chosen}


def same(layers_of: dict[str, Layer], net: torch.nn.Module) -> None:
    wanted = {name: value.numpy() for name, value in net.state_dict().items() if value.ndim > 1}
    assert {f"{name}.weight" for name in layers_of} == set(wanted)
    for name, layer in layers_of.items():
        np.testing.assert_array_equal(read_layer(layer), wanted[f"{name}.weight"])


def net() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(12, 9), torch.nn.Embedding(5, 4), torch.nn.Conv2d(2, 3, 3))


def save(folder: Path, module: torch.nn.Module) -> Path:
    import torch.distributed.checkpoint as dcp  # two seconds in every process that collects this file

    optimizer = torch.optim.Adam(module.parameters())
    module[0](torch.zeros(1, 12)).sum().backward()  # type: ignore[operator]
    optimizer.step()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save({"model": module.state_dict(), "optimizer": optimizer.state_dict()}, checkpoint_id=str(folder))
    return folder


def test_a_distributed_checkpoint_is_one_model_without_its_optimizer(tmp_path: Path) -> None:
    module = net()
    save(tmp_path / "step_100", module)
    (model,) = crawl(str(tmp_path))
    assert (model.name, Path(model.path).name) == ("step_100", "step_100")
    same(found(tmp_path / "step_100"), module)
    checkpoint = open_checkpoint(model.path)
    assert {skip.reason for skip in checkpoint.skips} == {"optimizer_state"}


def sharded(folder: Path, whole: Any, grid: tuple[int, int], drop: int = -1) -> None:
    """A tensor in a grid of parts, each a torch zip in the file of its rank, as torch's own writer lays them out."""
    import torch.distributed.checkpoint.metadata as meta
    from torch.distributed.checkpoint.filesystem import _StorageInfo

    folder.mkdir()
    chunks, places = [], {}
    for number, (row, column) in enumerate(np.ndindex(grid)):
        rows, columns = whole.shape[0] // grid[0], whole.shape[1] // grid[1]
        origin = (row * rows, column * columns)
        part = whole[origin[0] : origin[0] + rows, origin[1] : origin[1] + columns].clone()
        chunks.append(meta.ChunkStorageMetadata(torch.Size(origin), torch.Size((rows, columns))))
        file, buffer = folder / f"__{row}_0.distcp", io.BytesIO()
        torch.save(part, buffer)
        start = file.stat().st_size if file.exists() else 0
        if number != drop:
            with file.open("ab") as stream:
                stream.write(buffer.getvalue())
            place = _StorageInfo(file.name, start, len(buffer.getvalue()))
            places[meta.MetadataIndex("model.w.weight", torch.Size(origin), number)] = place
    entry = meta.TensorStorageMetadata(meta.TensorProperties(whole.dtype), torch.Size(whole.shape), chunks)
    described = meta.Metadata({"model.w.weight": entry}, {"model.w.weight": ("model", "w.weight")}, places)
    (folder / ".metadata").write_bytes(pickle.dumps(described))


@pytest.mark.parametrize("grid", [(1, 1), (4, 1), (1, 3), (2, 3)])
def test_parts_along_any_axes_are_put_together(tmp_path: Path, grid: tuple[int, int]) -> None:
    whole = torch.randn(8, 6)
    sharded(tmp_path / "x", whole, grid)
    (layer,) = found(tmp_path / "x").values()
    np.testing.assert_array_equal(read_layer(layer), whole.numpy())


def test_a_missing_part_is_no_smaller_matrix(tmp_path: Path) -> None:
    sharded(tmp_path / "x", torch.randn(8, 6), (4, 1), drop=2)
    with pytest.raises(CheckpointError, match=r"model\.w\.weight") as caught:
        open_checkpoint(str(tmp_path / "x"))
    assert caught.value.reason == "no_tensors"
    sharded(tmp_path / "y", torch.randn(8, 6), (1, 1))
    (tmp_path / "y" / "__0_0.distcp").write_bytes(b"short")
    with pytest.raises(CheckpointError, match="ends before byte"):
        open_checkpoint(str(tmp_path / "y"))


class Evil:
    """Would write a file, were it unpickled by the library."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return (exec, (f"open({str(self.place)!r}, 'w').close()",))


@pytest.mark.parametrize("name", ["../x.distcp", "/etc/passwd", "a/../b.distcp", ".hidden", "a\0b", "link.distcp", 7])
def test_distributed_parts_elsewhere_are_refused_and_nothing_runs(tmp_path: Path, name: Any) -> None:
    folder = tmp_path / "x"
    sharded(folder, torch.randn(8, 6), (1, 1))
    (folder / "link.distcp").symlink_to(folder / "__0_0.distcp")
    described = pickle.loads((folder / ".metadata").read_bytes())
    for place in described.storage_data.values():
        place.relative_path = name
    described.planner_data["evil"] = Evil(tmp_path / "ran")
    (folder / ".metadata").write_bytes(pickle.dumps(described))
    with pytest.raises(CheckpointError, match=r"model\.w\.weight") as caught:
        open_checkpoint(str(folder))
    assert caught.value.reason == "no_tensors"
    assert not (tmp_path / "ran").exists()


def exported(path: Path) -> torch.nn.Module:
    module = torch.nn.Sequential(torch.nn.Linear(12, 9), torch.nn.Linear(9, 4)).eval()
    torch.export.save(torch.export.export(module, (torch.randn(1, 12),)), str(path))
    return module


@pytest.mark.slow
def test_an_exported_program_has_its_modules_weights(tmp_path: Path) -> None:
    module = exported(tmp_path / "x.pt2")
    same(found(tmp_path / "x.pt2"), module)


def pt2(path: Path, entries: dict[str, Any], weights: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> Path:
    """What torch 2.13 writes, as far as weights go."""
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("net/archive_format", "pt2")
        archive.writestr("net/models/model.json", "{}")
        archive.writestr("net/data/weights/model_weights_config.json", json.dumps({"config": entries}))
        archive.writestr("net/data/constants/model_constants_config.json", '{"config": {}}')
        for name, data in weights.items():
            archive.writestr(f"net/data/weights/{name}", data)
    return path


def described(shape: tuple[int, ...], stride: tuple[int, ...], name: str = "weight_0", **more: Any) -> dict[str, Any]:
    meta = {
        "dtype": 7,
        "sizes": [{"as_int": n} for n in shape],
        "strides": [{"as_int": n} for n in stride],
        "storage_offset": {"as_int": 0},
    }
    return {"path_name": name, "is_param": True, "use_pickle": False, "tensor_meta": meta | more}


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_of_an_exported_program_are_read_in_place_or_inflated(tmp_path: Path, packing: int) -> None:
    weight = np.random.default_rng(0).standard_normal((9, 12)).astype(np.float32)
    entries = {"a.weight": described((9, 12), (12, 1)), "b.weight": described((12, 9), (1, 12))}
    by_name = found(pt2(tmp_path / "x.pt2", entries, {"weight_0": weight.tobytes()}, packing))
    np.testing.assert_array_equal(read_layer(by_name["a"]), weight)
    np.testing.assert_array_equal(read_layer(by_name["b"]), weight.T)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (described((9, 12), (12, 1), "../../secret"), "unreadable"),
        (described((10**9, 12), (12, 1)), "unreadable"),
        (described((9, 12), (10**6, 1)), "unreadable"),
        (described((9, 12), (12, 1), dtype=99), "unsupported_dtype"),
        (described((9, 12), (12, 1), sizes=[{"as_int": -9}, {"as_int": 12}]), "unreadable"),
        (described((9, 12), (12, 1), sizes=[{"as_expr": "s0"}, {"as_int": 12}]), "unreadable"),
        (described((9, 12), (12, 1)) | {"use_pickle": True}, "unsupported_dtype"),
    ],
)
def test_descriptions_that_lie_are_rows(tmp_path: Path, entry: dict[str, Any], reason: str) -> None:
    good = described((9, 12), (12, 1))
    path = pt2(tmp_path / "x.pt2", {"good.weight": good, "bad.weight": entry}, {"weight_0": bytes(9 * 12 * 4)})
    checkpoint = open_checkpoint(str(path))
    assert [ref.name for ref in checkpoint.tensors] == ["good.weight"]
    assert [(skip.tensor, skip.reason, skip.failed) for skip in checkpoint.skips] == [("bad.weight", reason, True)]


class Frozen(torch.nn.Module):
    """One of each kind of weight that freezing turns into a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(20, 16)
        self.conv = torch.nn.Conv1d(16, 8, 3)
        self.dense = torch.nn.Linear(8, 4)
        self.cells = torch.nn.LSTM(4, 6, bidirectional=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """All of them in a row."""
        return self.cells(self.dense(self.conv(self.table(x).transpose(1, 2)).transpose(1, 2)))[0]  # type: ignore[no-any-return]


def test_constants_of_a_frozen_module_are_its_weights(tmp_path: Path) -> None:
    module = Frozen().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.freeze(torch.jit.script(module)).save(str(tmp_path / "x.pt"))  # type: ignore[no-untyped-call]
    by_name = found(tmp_path / "x.pt")
    state = {name: value.numpy() for name, value in module.state_dict().items()}
    by_kind = {name.partition("_")[0]: layer for name, layer in by_name.items()}
    assert by_kind["embedding"].layer_type == "embedding"
    np.testing.assert_array_equal(read_layer(by_kind["embedding"]), state["table.weight"])
    np.testing.assert_array_equal(read_layer(by_kind["conv1d"]), state["conv.weight"])
    np.testing.assert_array_equal(read_layer(by_kind["linear"]), state["dense.weight"])
    gates = {name.rpartition(".cells.")[2] if ".cells." in name else name: la for name, la in by_name.items()}
    reverse = next(layer for name, layer in gates.items() if name.endswith("weight_hh_l0_reverse.cell_gate"))
    np.testing.assert_array_equal(read_layer(reverse), state["cells.weight_hh_l0_reverse"][12:18])
    assert len(by_name) == 3 + 4 * 4


def zero(folder: Path, shapes: dict[str, tuple[int, ...]], ranks: int) -> dict[str, Any]:
    """A stage 3 folder as DeepSpeed's engine and its zero_to_fp32.py agree on it."""
    folder.mkdir()
    weights = {name: torch.randn(shape) for name, shape in shapes.items()}
    flats: list[list[Any]] = [[] for _ in range(ranks)]
    for weight in weights.values():
        each = -(-weight.numel() // ranks)
        padded = torch.cat([weight.flatten(), torch.full((each * ranks - weight.numel(),), 99.0)])
        for rank in range(ranks):
            flats[rank].append(padded[rank * each : (rank + 1) * each])
    described = [{name: torch.Size(shape) for name, shape in shapes.items()}]
    for rank in range(ranks):
        state = {"module": {}, "param_shapes": described, "ds_version": "0.15.0"}
        torch.save(state, folder / f"zero_pp_rank_{rank}_mp_rank_00_model_states.pt")
        flat = [torch.cat(group) for group in (flats[rank][:1], flats[rank][1:]) if group]
        held = {"optimizer_state_dict": {"zero_stage": 3, "partition_count": ranks, "fp32_flat_groups": flat}}
        torch.save(held, folder / f"zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")
    return weights


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_a_zero_folder_of_stage_3_is_the_model_of_all_ranks(tmp_path: Path, ranks: int) -> None:
    weights = zero(tmp_path / "global_step10", {"a.weight": (7, 5), "b.weight": (4, 3, 3, 3), "a.bias": (7,)}, ranks)
    (model,) = crawl(str(tmp_path))
    by_name = found(Path(model.path))
    assert set(by_name) == {"a", "b"}
    for name, layer in by_name.items():
        np.testing.assert_array_equal(read_layer(layer), weights[f"{name}.weight"].numpy())


def test_a_zero_folder_with_a_missing_rank_is_refused(tmp_path: Path) -> None:
    zero(tmp_path / "x", {"a.weight": (7, 5), "b.weight": (60, 9)}, 3)
    (tmp_path / "x" / "zero_pp_rank_2_mp_rank_00_optim_states.pt").unlink()
    with pytest.raises(CheckpointError, match="2 ranks' optimizers of 3") as caught:
        open_checkpoint(str(tmp_path / "x"))
    assert caught.value.reason == "unreadable"


def test_a_zero_folder_of_stage_2_is_its_module(tmp_path: Path) -> None:
    module = net()
    folder = tmp_path / "global_step10"
    folder.mkdir()
    torch.save({"module": module.state_dict(), "lr_scheduler": None}, folder / "mp_rank_00_model_states.pt")
    flat = {"optimizer_state_dict": {"single_partition_of_fp32_groups": [torch.randn(99)]}}
    torch.save(flat, folder / "bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt")
    (model,) = crawl(str(tmp_path))
    same(found(Path(model.path)), module)
