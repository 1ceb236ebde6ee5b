"""ONNX against the onnx package: every storage of a tensor, layouts, external data, and files that mean harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from zoospectra.analysis.spectrum import spectrum
from zoospectra.analysis.unfold import unfold
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.read import content_hash, read
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.values import layer_hash, read_layer

RNG = np.random.default_rng(0)
DENSE = RNG.standard_normal((8, 5)).astype(np.float32)
CONV = RNG.standard_normal((6, 3, 2, 2)).astype(np.float32)


def model(initialisers: list[TensorProto], nodes: list[Any] = ()) -> onnx.ModelProto:  # type: ignore[assignment]
    graph = helper.make_graph(list(nodes), "g", [], [], initializer=initialisers)
    return helper.make_model(graph)


def test_every_storage_gives_what_onnx_gives(tmp_path: Path) -> None:
    tensors = [
        numpy_helper.from_array(CONV, "conv.weight"),
        helper.make_tensor("packed", TensorProto.FLOAT, (8, 5), DENSE.ravel()),
        helper.make_tensor("double", TensorProto.DOUBLE, (2, 3), np.arange(6.0)),
        numpy_helper.from_array(DENSE.astype(np.float16), "half"),
        helper.make_tensor(
            "brain",
            TensorProto.BFLOAT16,
            (2, 2),
            DENSE[:2, :2].astype(np.float32).view("<u4").ravel().tobytes()[:8],
            raw=True,
        ),
        numpy_helper.from_array(np.arange(4), "shape"),
        numpy_helper.from_array(np.float32(3), "scalar"),
        numpy_helper.from_array(np.zeros((0, 3), np.float32), "empty"),
    ]
    onnx.save(model(tensors), tmp_path / "x.onnx")
    refs = {ref.name: ref for ref in open_checkpoint(str(tmp_path / "x.onnx")).tensors}
    assert list(refs) == [tensor.name for tensor in tensors]
    for tensor in tensors:
        wanted = numpy_helper.to_array(tensor)
        np.testing.assert_array_equal(
            read(refs[tensor.name]), np.asarray(wanted, wanted.dtype if tensor.name != "brain" else np.float32)
        )


def test_matrices_multiplied_from_the_right_get_torchs_layout(tmp_path: Path) -> None:
    names = ("matmul", "gemm", "gemm_t", "gather")
    nodes = [
        helper.make_node("MatMul", ["x", "matmul"], ["a"]),
        helper.make_node("Gemm", ["a", "gemm"], ["b"]),
        helper.make_node("Gemm", ["b", "gemm_t"], ["c"], transB=1),
        helper.make_node("Gather", ["gather", "c"], ["d"]),
    ]
    onnx.save(model([numpy_helper.from_array(DENSE, name) for name in names], nodes), tmp_path / "x.onnx")
    refs = {ref.name: ref for ref in open_checkpoint(str(tmp_path / "x.onnx")).tensors}
    for name in names:
        np.testing.assert_array_equal(read(refs[name]), DENSE.T if name in ("matmul", "gemm") else DENSE)


def test_constants_are_weights_where_an_operator_says_so(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(CONV)),
        helper.make_node("Constant", [], ["anchors"], value=numpy_helper.from_array(DENSE)),
        helper.make_node("Conv", ["x", "w"], ["y"]),
        helper.make_node("Mul", ["y", "anchors"], ["z"]),
    ]
    onnx.save(model([], nodes), tmp_path / "x.onnx")
    checkpoint = open_checkpoint(str(tmp_path / "x.onnx"))
    np.testing.assert_array_equal(read(checkpoint.tensors[0]), CONV)
    assert [(skip.tensor, skip.reason) for skip in checkpoint.skips] == [("anchors", "buffer")]


def external(folder: Path, location: str, **entries: str) -> Path:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=(8, 5), data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=value)
    (folder / "x.onnx").write_bytes(model([tensor, numpy_helper.from_array(CONV, "c")]).SerializeToString())
    return folder / "x.onnx"


@pytest.mark.parametrize("location", ["data.bin", "sub/data.bin", "./data.bin"])
def test_external_data_in_the_models_folder_are_read(tmp_path: Path, location: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / location).write_bytes(b"12345678" + DENSE.tobytes())
    path = external(tmp_path, location, offset="8", length=str(DENSE.nbytes))
    np.testing.assert_array_equal(read(open_checkpoint(str(path)).tensors[0]), DENSE)


@pytest.mark.parametrize(
    ("location", "entries", "reason"),
    [
        ("../data.bin", {}, "unsafe"),
        ("sub/../../data.bin", {}, "unsafe"),
        ("..\\data.bin", {}, "unsafe"),
        ("/etc/passwd", {}, "unsafe"),
        ("", {}, "unsafe"),
        ("a\0b", {}, "unsafe"),
        ("link.bin", {}, "unsafe"),
        ("linked/data.bin", {}, "unsafe"),
        ("missing.bin", {}, "inaccessible"),
        ("inside.bin", {"offset": "10"}, "unreadable"),
        ("inside.bin", {"offset": "-8"}, "unreadable"),
        ("inside.bin", {"length": "99999999999999999999"}, "unreadable"),
    ],
)
def test_external_data_elsewhere_are_refused(
    tmp_path: Path, location: str, entries: dict[str, str], reason: str
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for place in (tmp_path / "data.bin", folder / "inside.bin"):
        place.write_bytes(DENSE.tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "data.bin")
    (folder / "linked").symlink_to(tmp_path)
    checkpoint = open_checkpoint(str(external(folder, location, **entries)))
    assert [ref.name for ref in checkpoint.tensors] == ["c"]
    assert [(skip.tensor, skip.reason, skip.failed) for skip in checkpoint.skips] == [("w", reason, True)]


def test_every_cut_of_a_file_is_an_error_or_fewer_tensors(tmp_path: Path) -> None:
    whole = model([numpy_helper.from_array(DENSE, "a"), numpy_helper.from_array(CONV, "b")]).SerializeToString()
    path = tmp_path / "x.onnx"
    for length in range(1, len(whole) - 1, 7):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError) as caught:
            open_checkpoint(str(path))
        assert caught.value.reason in ("unreadable", "unsupported_format", "no_tensors")


def test_a_tensor_that_claims_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    tensor = numpy_helper.from_array(DENSE, "a")
    tensor.dims[0] = 10**12
    (tmp_path / "x.onnx").write_bytes(model([tensor]).SerializeToString())
    with pytest.raises(CheckpointError, match="needs 20000000000000 bytes") as caught:
        open_checkpoint(str(tmp_path / "x.onnx"))
    assert caught.value.reason == "unreadable"


def spectra(path: Path) -> dict[str, Any]:
    found, _ = layers(open_checkpoint(str(path)).tensors)
    return {layer_hash(la): spectrum(unfold(read_layer(la), la.layer_type)).evals for la in found}


@pytest.mark.parametrize(("name", "count"), [("version-slim-320", 42), ("ACASXU_run2a_1_1_batch_2000", 7)])
def test_the_same_net_as_pth_and_onnx(shared: Path, name: str, count: int) -> None:
    torch_file, onnx_file = (spectra(shared / "zoo" / "formats" / f"{name}{end}") for end in (".pth", ".onnx"))
    assert len(onnx_file) == count
    assert set(onnx_file) <= set(torch_file), "the same content hashes"
    for key, evals in onnx_file.items():
        np.testing.assert_array_equal(evals, torch_file[key])


def test_real_files_equal_onnx(shared: Path) -> None:
    path = shared / "zoo" / "formats" / "version-slim-320.onnx"
    wanted = {one.name: one for one in onnx.load(path, load_external_data=False).graph.initializer}
    refs = open_checkpoint(str(path)).tensors
    assert {ref.name for ref in refs} == set(wanted)
    for ref in refs:
        np.testing.assert_array_equal(read(ref), numpy_helper.to_array(wanted[ref.name]))
    assert len({content_hash(ref) for ref in refs if len(ref.shape) > 1}) == 42
