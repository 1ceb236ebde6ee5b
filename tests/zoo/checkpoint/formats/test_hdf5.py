"""Keras weights, written here as Keras writes them: layouts, names, chunks, archives, and files that mean harm."""

from __future__ import annotations

import builtins
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.read import content_hash, read
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.values import layer_hash, read_layer

RNG = np.random.default_rng(0)


def random(*shape: int) -> Any:
    return RNG.standard_normal(shape).astype(np.float32)


def legacy(path: Path, tensors: dict[str, Any], **options: Any) -> Path:
    """A model file of Keras 2."""
    with h5py.File(path, "w") as file:
        weights = file.create_group("model_weights")
        names = list(dict.fromkeys(name.split("/")[0] for name in tensors))
        weights.attrs["layer_names"] = [name.encode() for name in names]
        for name, value in tensors.items():
            layer = name.split("/")[0]
            weights.create_dataset(f"{layer}/{name}:0", data=value, **options)
        file.create_dataset("optimizer_weights/Adam/m:0", data=random(3, 3))
    return path


def refs_of(path: Path) -> dict[str, TensorRef]:
    return {ref.name: ref for ref in open_checkpoint(str(path)).tensors}


@pytest.mark.parametrize(
    "options", [{}, {"compression": "gzip"}, {"chunks": True, "shuffle": True}, {"compression": "lzf"}]
)
def test_kernels_have_torchs_layout_in_every_storage(tmp_path: Path, options: dict[str, Any]) -> None:
    tensors = {
        "conv2d_1/kernel": random(3, 5, 4, 6),
        "conv1d/kernel": random(7, 4, 6),
        "conv3d/kernel": random(3, 3, 2, 4, 6),
        "dense/kernel": random(8, 9),
        "sep/depthwise_kernel": random(3, 3, 4, 2),
        "sep/pointwise_kernel": random(1, 1, 8, 6),
        "emb/embeddings": random(10, 4),
        "mha/query/kernel": random(8, 2, 4),
        "mha/attention_output/kernel": random(2, 4, 8),
    }
    found = refs_of(legacy(tmp_path / "x.h5", tensors, **options))
    wanted = {
        "conv2d_1.kernel": tensors["conv2d_1/kernel"].transpose(3, 2, 0, 1),
        "conv1d.kernel": tensors["conv1d/kernel"].transpose(2, 1, 0),
        "conv3d.kernel": tensors["conv3d/kernel"].transpose(4, 3, 0, 1, 2),
        "dense.kernel": tensors["dense/kernel"].T,
        # Filter m of channel c is output 2 c + m, of one input.
        "sep.depthwise_kernel": tensors["sep/depthwise_kernel"].transpose(2, 3, 0, 1).reshape(8, 1, 3, 3),
        "sep.pointwise_kernel": tensors["sep/pointwise_kernel"].transpose(3, 2, 0, 1),
        "emb.embeddings": tensors["emb/embeddings"],
        "mha.query.kernel": tensors["mha/query/kernel"].reshape(8, 8).T,
        "mha.attention_output.kernel": tensors["mha/attention_output/kernel"].reshape(8, 8).T,
    }
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_array_equal(read(found[name]), value)
    np.save(tmp_path / "x.npy", np.ascontiguousarray(wanted["conv2d_1.kernel"]))
    (alone,) = open_checkpoint(str(tmp_path / "x.npy")).tensors
    assert content_hash(found["conv2d_1.kernel"]) == content_hash(alone), "the same bytes as in torch's layout"


def test_contiguous_data_are_mapped_and_the_optimizer_is_left_out(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(str(legacy(tmp_path / "x.h5", {"d/kernel": random(4, 5), "d/bias": random(5)})))
    assert all(ref.codec is None and ref.member is None for ref in checkpoint.tensors)
    assert [(skip.tensor, skip.reason) for skip in checkpoint.skips] == [("optimizer_weights", "optimizer_state")]


def test_the_order_is_the_models(tmp_path: Path) -> None:
    names = [f"conv2d_{number}" for number in (1, 2, 10, 9)]
    path = legacy(tmp_path / "x.h5", {f"{name}/kernel": random(1, 1, 2, 2) for name in names})
    assert [ref.name for ref in open_checkpoint(str(path)).tensors] == [f"{name}.kernel" for name in names]


def keras3(path: Path, tensors: dict[str, Any], packing: int, **options: Any) -> Path:
    """A .keras archive of Keras 3."""
    inner = path.with_suffix(".weights.h5")
    with h5py.File(inner, "w") as file:
        for name, value in tensors.items():
            file.create_dataset(name, data=value, **options)
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("config.json", "{}")
        archive.write(inner, "model.weights.h5")
    inner.unlink()
    return path


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}])
def test_keras_archives(tmp_path: Path, packing: int, options: dict[str, Any]) -> None:
    tensors = {
        "layers/dense_1/vars/0": random(8, 9),
        "layers/dense_1/vars/1": random(9),
        "layers/batch_normalization/vars/0": random(4),
        "layers/lstm/cell/vars/0": random(5, 28),
        "layers/lstm/cell/vars/1": random(7, 28),
        "layers/depthwise_conv2d/vars/0": random(3, 3, 4, 1),
        "optimizer/vars/1": random(8, 9),
    }
    checkpoint = open_checkpoint(str(keras3(tmp_path / "x.keras", tensors, packing, **options)))
    found, skips = layers(checkpoint.tensors)
    by_name = {layer.longname: layer for layer in found}
    np.testing.assert_array_equal(read_layer(by_name["layers.dense_1"]), tensors["layers/dense_1/vars/0"].T)
    kernel = tensors["layers/lstm/cell/vars/0"].T
    for number, gate in enumerate(("input", "forget", "cell", "output")):
        layer = by_name[f"layers.lstm.cell.{gate}_gate"]
        np.testing.assert_array_equal(read_layer(layer), kernel[7 * number : 7 * number + 7])
        assert by_name[f"layers.lstm.cell.recurrent_kernel.{gate}_gate"].shape == (7, 7)
    assert by_name["layers.depthwise_conv2d.depthwise_kernel"].shape == (4, 1, 3, 3)
    assert {skip.tensor for skip in [*skips, *checkpoint.skips]} == {
        "layers.dense_1.bias",
        "layers.batch_normalization.gamma",
        "optimizer",
    }
    assert len({layer_hash(layer) for layer in found}) == len(found)


def test_links_and_data_elsewhere_are_not_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["kernel"] = random(9, 9)
    (tmp_path / "secret.bin").write_bytes(random(9, 9).tobytes())
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["d/kernel"] = random(4, 5)
        file["external"] = h5py.ExternalLink("secret.h5", "kernel")
        file["soft"] = h5py.SoftLink("/d/kernel")
        file["circle"] = file["/"]
        file.create_dataset("raw", (9, 9), "f4", external=[(str(tmp_path / "secret.bin"), 0, 324)])
        layout = h5py.VirtualLayout((9, 9), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "kernel", (9, 9))
        file.create_virtual_dataset("virtual", layout)
    checkpoint = open_checkpoint(str(tmp_path / "x.h5"))
    assert [ref.name for ref in checkpoint.tensors] == ["d.kernel"]
    assert {(skip.tensor, skip.reason, skip.failed) for skip in checkpoint.skips} == {
        (name, "unsafe", True) for name in ("external", "soft", "raw", "virtual")
    }


def test_a_data_set_that_claims_terabytes_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("huge/kernel", (10**6, 10**6), "f4", chunks=(100, 100), compression="gzip")
        file.create_dataset("unwritten/kernel", (100, 100), "f4")
        file["d/kernel"] = random(4, 5)
    checkpoint = open_checkpoint(str(tmp_path / "x.h5"))
    reasons = {skip.tensor: skip.reason for skip in checkpoint.skips}
    assert reasons == {"huge.kernel": "unsafe", "unwritten.kernel": "unreadable"}
    assert (tmp_path / "x.h5").stat().st_size < 1 << 20


def test_filters_from_plug_ins_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((4, 4))
        properties.set_filter(32015, h5py.h5z.FLAG_OPTIONAL)  # zstd, a registered plug-in
        space = h5py.h5s.create_simple((8, 8))
        h5py.h5d.create(file.id, b"kernel", h5py.h5t.IEEE_F32LE, space, properties)
        file["d/kernel"] = random(4, 5)
    checkpoint = open_checkpoint(str(tmp_path / "x.h5"))
    assert [(skip.tensor, skip.reason) for skip in checkpoint.skips] == [("kernel", "unsafe")]


@pytest.mark.parametrize("keep", [9, 100, 2000, -100])
def test_a_file_that_was_cut_is_unreadable(tmp_path: Path, keep: int) -> None:
    path = legacy(tmp_path / "x.h5", {"d/kernel": random(40, 50), "e/kernel": random(40, 50)})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(str(path))
    assert caught.value.reason == "unreadable"


def test_an_archive_that_is_a_bomb_is_refused(tmp_path: Path) -> None:
    archive = zipfile.ZipFile(tmp_path / "x.keras", "w", zipfile.ZIP_DEFLATED)
    with archive, archive.open("model.weights.h5", "w") as member:
        for _ in range(200):
            member.write(bytes(1 << 20))
    with pytest.raises(CheckpointError, match="inflates") as caught:
        open_checkpoint(str(tmp_path / "x.keras"))
    assert caught.value.reason == "unsafe"


def test_without_h5py_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = legacy(tmp_path / "x.h5", {"d/kernel": random(4, 5)})
    real = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "h5py":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(CheckpointError, match=r"zoospectra\[formats\]") as caught:
        open_checkpoint(str(path))
    assert caught.value.reason == "missing_reader"


def test_real_keras_files(shared: Path) -> None:
    for name in ("fer2013_mini_XCEPTION.00-0.47.hdf5", "fer2013_mini_XCEPTION.100-0.65.hdf5"):
        path = shared / "zoo" / "formats" / name
        found, _ = layers(open_checkpoint(str(path)).tensors)
        by_name = {layer.longname: layer for layer in found}
        assert len(found) == 23
        with h5py.File(path, "r") as file:
            depthwise = file["model_weights/separable_conv2d_1"]["separable_conv2d_1_1/depthwise_kernel:0"][()]
            pointwise = file["model_weights/separable_conv2d_1"]["separable_conv2d_1_1/pointwise_kernel:0"][()]
        for slot in range(depthwise.shape[2]):
            ours = read_layer(by_name["separable_conv2d_1.depthwise_kernel"])[slot, 0]
            np.testing.assert_array_equal(ours, depthwise[:, :, slot, 0])
        ours = read_layer(by_name["separable_conv2d_1.pointwise_kernel"])[:, :, 0, 0]
        np.testing.assert_array_equal(ours, pointwise[0, 0].T)


def test_a_real_keras_lstm(shared: Path) -> None:
    path = shared / "zoo" / "formats" / "textgenrnn_hacker_news.hdf5"
    found, _ = layers(open_checkpoint(str(path)).tensors)
    gates = {layer.longname: layer for layer in found if layer.layer_type == "rnn"}
    assert len(gates) == 16
    with h5py.File(path, "r") as file:
        kernel = file["rnn_2/rnn_2/recurrent_kernel:0"][()]
    np.testing.assert_array_equal(read_layer(gates["rnn_2.recurrent_kernel.cell_gate"]), kernel[:, 256:384].T)
