"""analyze(): the same numbers for the same weights, wherever they are, and those of WeightWatcher."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import zoospectra
from tests.jobs.zoos import weights
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.formats.memory import in_memory
from zoospectra.zoo.checkpoint.read import read, stored
from zoospectra.zoo.checkpoint.trouble import CheckpointError


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(100, 64)
        self.features = torch.nn.Sequential(torch.nn.Conv2d(16, 64, 3), torch.nn.BatchNorm2d(64))
        self.fc1 = torch.nn.Linear(64, 128)
        self.fc2 = torch.nn.Linear(128, 10)


@pytest.fixture(scope="module")
def net() -> Net:
    found = Net()
    found.load_state_dict(weights(0), strict=False)
    return found


@pytest.fixture(scope="module")
def scanned(net: Net, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse of the same weights, saved as safetensors."""
    folder = tmp_path_factory.mktemp("scanned")
    (folder / "zoo").mkdir()
    save_file(net.state_dict(), folder / "zoo" / "net.safetensors")
    profiles = ["weightwatcher", "corrected"]
    run = zoospectra.scan("local", path=folder / "zoo", warehouse=folder / "data", cluster="inline", profiles=profiles)
    assert (run.models, run.failed) == (1, 0)
    return folder / "data"


def by_name(rows: list[dict[str, Any]], names: set[str]) -> dict[str, dict[str, Any]]:
    return {row["longname"]: {name: row[name] for name in names} for row in rows}


def as_arrays(net: Net) -> dict[str, np.ndarray[Any, Any]]:
    return {name: tensor.numpy() for name, tensor in net.state_dict().items()}


FORMS = {
    "module": lambda net: net,
    "state dict": lambda net: net.state_dict(),
    "arrays": as_arrays,
    "training state": lambda net: {"state_dict": {f"module.{k}": v for k, v in net.state_dict().items()}, "epoch": 3},
}


@pytest.mark.parametrize("profile", ["weightwatcher", "corrected"])
@pytest.mark.parametrize("form", FORMS)
def test_the_numbers_are_those_of_a_scan_of_the_same_weights(form: str, profile: str, net: Net, scanned: Path) -> None:
    found = zoospectra.analyze(FORMS[form](net), profile=profile)
    with zoospectra.open(scanned) as warehouse:
        rows = [row for row in warehouse.layers().to_pylist() if row["profile"] == profile]
        (means,) = [row for row in warehouse.models().to_pylist() if row["profile"] == profile]
        skipped = warehouse.sql(f"SELECT * FROM skipped WHERE detail NOT LIKE 'profile%' OR detail LIKE '%{profile}:%'")
    names = set(rows[0]) & set(found.layers.column_names) - {"layer_id"}  # safetensors sorts the names
    assert {"alpha", "D", "xmin", "num_pl_spikes", "content_hash", "stable_rank", "status"} <= names
    assert by_name(found.layers.to_pylist(), names) == by_name(rows, names)
    summary = found.summary()
    assert summary == pytest.approx({name: means[name] for name in summary}, rel=1e-13)  # the order of a sum
    assert summary["num_layers"] == found.layers["counted"].to_pylist().count(True) == 3
    known = {(row["tensor"], row["reason"]) for row in skipped.to_pylist()}
    assert {(row["tensor"], row["reason"]) for row in found.skipped.to_pylist()} == known


def test_a_path_gives_the_same_as_the_model(net: Net, tmp_path: Path) -> None:
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    one = zoospectra.analyze(tmp_path / "net.safetensors")
    assert one.layers.equals(zoospectra.analyze(str(tmp_path / "net.safetensors")).layers)
    assert one.summary() == pytest.approx(zoospectra.analyze(net).summary(), rel=1e-13)


@pytest.mark.oracle
def test_a_torch_module_gets_weightwatchers_numbers(net: Net) -> None:
    weightwatcher = pytest.importorskip("weightwatcher")
    mine = {row["longname"]: row for row in zoospectra.analyze(net).layers.to_pylist()}
    details = weightwatcher.WeightWatcher(model=net).analyze(plot=False)
    compared = 0
    for _, row in details.iterrows():
        if row["longname"] in mine and mine[row["longname"]]["status"] == "success":
            for name in ("alpha", "D", "xmin", "log_norm", "log_spectral_norm", "stable_rank", "alpha_weighted"):
                assert mine[row["longname"]][name] == pytest.approx(row[name], rel=1e-4), (row["longname"], name)
            compared += 1
    assert compared == 4


def test_arrays_in_memory_are_referred_to_and_never_copied(net: Net) -> None:
    state = dict(net.state_dict()) | {"turned.weight": torch.randn(40, 64).T}
    with in_memory(state) as path:
        refs = {ref.name: ref for ref in open_checkpoint(path).tensors}
        for name, tensor in state.items():
            values = read(refs[name])
            assert values.shape == tuple(tensor.shape)
            assert np.array_equal(values, tensor.numpy())
            assert np.shares_memory(values, tensor.numpy())
            assert not values.flags.writeable
    with pytest.raises(CheckpointError, match="not in this process's memory"):
        read(refs["fc1.weight"])
    with pytest.raises(CheckpointError, match="not in this process's memory"):
        open_checkpoint(path)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float64])
def test_every_type_of_torch_is_read_as_its_file_would_be(dtype: torch.dtype, tmp_path: Path) -> None:
    tensor = weights(1)["fc1.weight"].to(dtype)
    save_file({"fc1.weight": tensor}, tmp_path / "net.safetensors")
    in_file = zoospectra.analyze(tmp_path / "net.safetensors").layers
    assert zoospectra.analyze({"fc1.weight": tensor}).layers.equals(in_file)


def test_odd_arrays_are_read_or_skipped_with_a_reason() -> None:
    values = weights(2)["fc1.weight"].numpy()
    odd = {
        "backwards.weight": values[::-1, ::2],
        "big.weight": values.astype(">f4"),
        "repeated.weight": np.broadcast_to(values[:1], (64, 64)),
        "empty.weight": np.empty((0, 4), np.float32),
        "objects.weight": np.array([[None, 1]]),
        "far.weight": torch.empty(4, 4, device="meta"),
        "sparse.weight": torch.eye(4).to_sparse(),
        "bad.weight": np.full((8, 8), np.nan),
    }
    with in_memory(odd) as path:
        refs = {ref.name: ref for ref in open_checkpoint(path).tensors}
        for name in ("backwards.weight", "big.weight", "repeated.weight"):
            assert np.array_equal(stored(refs[name]), odd[name])
    found = zoospectra.analyze(odd)
    assert {"backwards", "big"} <= set(found.layers["longname"].to_pylist())
    reasons = {row["tensor"]: row["reason"] for row in found.skipped.to_pylist()}
    assert reasons["objects.weight"] == reasons["far.weight"] == reasons["sparse.weight"] == "unsupported_dtype"
    assert (reasons["empty.weight"], reasons["bad.weight"]) == ("empty", "non_finite")


def test_flax_kernels_are_turned_as_those_of_an_npz_file(tmp_path: Path) -> None:
    kernel = np.random.default_rng(0).standard_normal((3, 3, 16, 64)).astype(np.float32)
    np.savez(tmp_path / "net.npz", **{"params/conv/kernel": kernel})
    names = ["N", "M", "rf", "alpha", "content_hash"]
    in_file = zoospectra.analyze(tmp_path / "net.npz").layers.select(names)
    assert zoospectra.analyze({"params": {"conv": {"kernel": kernel}}}).layers.select(names).equals(in_file)


class Variable:
    """What Keras' variables show."""

    def __init__(self, path: str, value: np.ndarray[Any, Any]) -> None:
        self.path, self.value = path, value

    def __array__(self, *_: object, **__: object) -> np.ndarray[Any, Any]:
        return self.value


class KerasLike:
    """What Keras' models show."""

    def __init__(self, *weights: Variable) -> None:
        self.weights = list(weights)


def test_a_keras_model_is_read_by_its_variables_paths() -> None:
    kernel = np.random.default_rng(1).standard_normal((300, 100)).astype(np.float32)
    values = {"net/dense/kernel": kernel, "net/dense/bias": kernel[0]}
    model = KerasLike(*(Variable(*one) for one in values.items()), Variable("net/dense/kernel", -2 * kernel))
    found = zoospectra.analyze(model)
    assert found.layers["longname"].to_pylist() == ["net.dense", "net.dense.kernel_1"]
    turned = zoospectra.analyze({"dense.weight": np.ascontiguousarray(kernel.T)})
    for name in ("N", "M", "alpha", "content_hash"):
        assert found.layers[name][0] == turned.layers[name][0]


def test_a_real_keras_model_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.layers.Input((8, 8, 3)), keras.layers.Conv2D(64, 3), keras.layers.Dense(96)])
    rows = {row["longname"]: row for row in zoospectra.analyze(model).layers.to_pylist()}
    assert [(row["N"], row["M"], row["rf"]) for row in rows.values()] == [(64, 3, 9), (96, 64, 1)]
    turned = torch.from_numpy(model.layers[0].kernel.numpy().transpose(3, 2, 0, 1).copy())
    (expected,) = zoospectra.analyze({"conv.weight": turned}).layers["content_hash"].to_pylist()
    assert expected in {row["content_hash"] for row in rows.values()}


def test_the_callers_weights_and_threads_are_left_alone(net: Net) -> None:
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    torch.set_num_threads(3)
    zoospectra.analyze(net)
    assert torch.get_num_threads() == 3
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_text_and_html_show_layers_means_and_skips_in_80_columns(net: Net) -> None:
    many = {f"block.{n}.{'very_' * 20}long.weight": torch.randn(64, 80) for n in range(30)}
    many["<b>x.weight"] = torch.randn(9, 9)
    for model, shown in ((net, ("fc1", "128x64", "vector")), (many, ("... and 11 more layers",))):
        found = zoospectra.analyze(model)
        text = repr(found)
        assert max(map(len, text.splitlines())) <= 80
        assert all(word in text for word in shown)
        assert f"{found.summary()['alpha']:.4g}" in text
    page = zoospectra.analyze(many)._repr_html_()
    assert "&lt;b&gt;x" in page
    assert "<b>x" not in page
    assert page.count("<tr>") == 32


def test_the_layers_are_a_data_frame(net: Net) -> None:
    pytest.importorskip("pandas")
    assert list(zoospectra.analyze(net).to_pandas()["longname"]) == ["embed", "features.0", "fc1", "fc2"]


@pytest.mark.parametrize(
    ("model", "profile", "message"),
    [
        (3, "weightwatcher", "expected a torch module, a state dict, .* got builtins.int"),
        ("no/such/file", "weightwatcher", "no/such/file: no such file or folder"),
        ({"epoch": 3}, "weightwatcher", "no_tensors"),
        ({"a.weight": np.eye(3)}, "weightwacher", "did you mean 'weightwatcher'"),
    ],
)
def test_misuse_is_a_value_error_that_says_what_was_expected(model: object, profile: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        zoospectra.analyze(model, profile=profile)


def test_a_file_that_is_no_checkpoint_is_a_value_error(tmp_path: Path) -> None:
    (tmp_path / "net.pt").write_text("no checkpoint")
    with pytest.raises(ValueError, match="unreadable"):
        zoospectra.analyze(tmp_path / "net.pt")


def test_torch_is_not_asked_for_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    with in_memory({"a.weight": np.eye(4)}) as path:
        assert len(open_checkpoint(path).tensors) == 1


def test_spectra_and_weights_of_a_layer(net: Net) -> None:
    found = zoospectra.analyze(net)
    kernel = dict(net.state_dict())["features.0.weight"].numpy().astype(float)
    slices = [kernel[:, :, i, j] for i in range(3) for j in range(3)]
    expected = np.sort(np.concatenate([np.linalg.svd(W, compute_uv=False) ** 2 for W in slices]))
    assert found.esd("features.0", raw=True) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert found.esd("features*") == pytest.approx(expected / 2, rel=1e-9, abs=1e-12)  # slices times sqrt(1/2)
    assert np.array_equal(found.weights("conv2d"), np.stack(slices))
    row = next(row for row in found.layers.to_pylist() if row["longname"] == "fc1")
    assert np.array_equal(found.weights(row["layer_id"])[0], dict(net.state_dict())["fc1.weight"].numpy())
    with pytest.raises(ValueError, match="expected one layer, got 2 of fc1, fc2"):
        found.esd("fc*")
    with pytest.raises(ValueError, match="did you mean 'fc1'"):
        found.weights("fc11")


def test_only_the_layers_that_are_asked_for(net: Net) -> None:
    whole = zoospectra.analyze(net)
    some = zoospectra.analyze(net, layers=["fc*", "conv2d"])
    assert some.layers["longname"].to_pylist() == ["features.0", "fc1", "fc2"]
    assert some.esd("fc1") == pytest.approx(whole.esd("fc1"))
    assert some.summary()["num_layers"] == 3
    with pytest.raises(ValueError, match=r"layer 'fc3' .did you mean 'fc"):
        zoospectra.analyze(net, layers="fc3")


def test_details_have_weightwatchers_columns(net: Net) -> None:
    pytest.importorskip("pandas")
    details = zoospectra.analyze(net).details()
    assert list(details.columns[:4]) == ["layer_id", "name", "D", "M"]
    assert list(details["name"]) == ["embed", "0", "fc1", "fc2"]
    assert not details.drop(columns=["warning"]).isna().any().any()


def test_an_onnx_model_in_memory_is_read_as_its_file_would_be(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    values = np.random.default_rng(0).standard_normal((40, 30)).astype(np.float32)
    node = onnx.helper.make_node("MatMul", ["x", "fc.weight"], ["y"])
    shaped = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, d]) for n, d in (("x", 40), ("y", 30))]
    weight = onnx.numpy_helper.from_array(values, "fc.weight")
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "net", shaped[:1], shaped[1:], [weight]))
    onnx.save(model, tmp_path / "net.onnx")
    found = zoospectra.analyze(model)
    assert found.layers.equals(zoospectra.analyze(tmp_path / "net.onnx").layers)
    assert found.esd(0, raw=True) == pytest.approx(np.linalg.svd(values.astype(float), compute_uv=False)[::-1] ** 2)
    assert found.weights(0).shape == (1, 40, 30)


def test_a_layer_is_drawn(net: Net) -> None:
    pytest.importorskip("matplotlib")
    found = zoospectra.analyze(net)
    for what in ("esd", "search"):
        drawing = found.plot("fc1", what)
        texts = " ".join(text.get_text() for text in drawing.findobj(lambda artist: hasattr(artist, "get_text")))
        assert "fc1" in texts
        assert drawing.axes
    with pytest.raises(ValueError, match="unknown figure 'pie'"):
        found.plot("fc1", "pie")
