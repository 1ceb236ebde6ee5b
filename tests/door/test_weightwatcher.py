"""zoospectra.weightwatcher against WeightWatcher 0.7.7 itself: only the import differs between two scripts."""

from __future__ import annotations

import copy
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import zoospectra
from tests.door.nets import NETS, net

pd = pytest.importorskip("pandas")
theirs = pytest.importorskip("weightwatcher")
import zoospectra.weightwatcher as ours  # noqa: E402 - needs pandas

pytestmark = pytest.mark.oracle
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "weightwatcher.md").read_text()


def both(model: Any) -> tuple[Any, Any]:
    return theirs.WeightWatcher(model=copy.deepcopy(model)), ours.WeightWatcher(model=model)


def same(mine: Any, their: Any, tolerance: float = 1e-6) -> None:
    """Equal frames: columns in their order, words and numbers."""
    assert list(mine.columns) == list(their.columns)
    assert len(mine) == len(their)
    for name in their.columns:
        if their[name].dtype.kind in "fiu":
            assert mine[name].to_numpy(float) == pytest.approx(their[name].to_numpy(float), rel=tolerance, abs=1e-9), (
                name
            )
        else:
            assert mine[name].tolist() == their[name].tolist(), name


@pytest.mark.parametrize("name", NETS)
def test_ten_modules_have_equal_details_summary_and_description(name: str) -> None:
    their, mine = both(net(name))
    details = mine.analyze()
    same(details, their.analyze())
    assert mine.get_details() is details
    assert mine.get_summary() == pytest.approx(their.get_summary(), rel=1e-6)
    assert mine.get_summary(details[:1]) == pytest.approx(their.get_summary(their.get_details()[:1]), rel=1e-6)
    same(mine.describe(), their.describe(), 0)


def test_a_state_dict_counts_from_one_and_has_types_by_dimensions() -> None:
    state = net("conv").state_dict() | {"head.weight": net("dense")[0].weight.detach()}
    their, mine = both(state)
    same(mine.analyze(), their.analyze())


@pytest.mark.parametrize(
    "layers", [[], [3], [1, 4], [-1], ["conv2d"], ["2"], ["-2"]], ids=lambda layers: str(layers) or "all"
)
def test_layers_are_chosen_by_id_name_and_type(layers: list[Any]) -> None:
    their, mine = both(net("conv"))
    same(mine.analyze(layers=layers), their.analyze(layers=layers))


def test_limits_leave_out_what_theirs_leave_out() -> None:
    their, mine = both(net("conv"))
    for limits in ({"min_evals": 30}, {"max_evals": 100}, {"max_N": 20, "max_evals": 20}):
        same(mine.analyze(**limits), their.analyze(**limits))


def test_detx_has_its_columns() -> None:
    their, mine = both(net("dense"))
    same(mine.analyze(detX=True), their.analyze(detX=True))


@pytest.mark.parametrize("name", ["dense", "conv", "attention large"])
def test_spectra_and_weights_of_every_layer_are_equal(name: str) -> None:
    their, mine = both(net(name))
    for layer in mine.describe()["layer_id"].tolist():
        assert mine.get_ESD(layer=layer) == pytest.approx(their.get_ESD(layer=layer), rel=1e-6, abs=1e-9)
        for one, other in zip(mine.get_Weights(layer=layer), their.get_Weights(layer=layer), strict=True):
            assert np.array_equal(one, other)
        shuffled = mine.get_ESD(layer=layer, random=True)
        assert shuffled.sum() == pytest.approx(mine.get_ESD(layer=layer).sum(), rel=1e-6)
        assert not np.allclose(shuffled, mine.get_ESD(layer=layer))


@pytest.mark.slow
def test_a_real_keras_model_has_the_numbers_of_the_same_net_in_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Conv2D(64, 3, name="conv"), keras.layers.Dense(96, name="fc"), keras.layers.Dense(20)]
    model = keras.Sequential([keras.layers.Input((8, 8, 3)), *layers])
    same_net = torch.nn.Sequential(torch.nn.Conv2d(3, 64, 3), torch.nn.Linear(64, 96), torch.nn.Linear(96, 20))
    with torch.no_grad():
        for layer, module in zip(layers, same_net, strict=True):
            kernel = np.array(layer.kernel.value.detach())
            module.weight.copy_(torch.from_numpy(np.moveaxis(kernel, [-1, -2], [0, 1]).copy()))
    their, mine = theirs.WeightWatcher(model=same_net), ours.WeightWatcher(model=model)
    expected, details = their.analyze(), mine.analyze()
    assert details["name"].tolist()[:2] == ["conv", "fc"]
    numbers = [name for name in expected.columns if name not in ("layer_id", "name", "longname")]
    assert "alpha" in numbers
    same(details[numbers], expected[numbers])
    assert mine.get_ESD(layer="fc") == pytest.approx(their.get_ESD(layer="1"), rel=1e-6)
    assert np.allclose(mine.get_Weights(layer="fc")[0], their.get_Weights(layer="1")[0])
    assert mine.distances(model, model)[0] == 0.0
    with pytest.raises(ValueError, match=r"expected a torch module or a state dict, .*got Sequential"):
        mine.SVDSmoothing()


def test_an_onnx_object_has_their_numbers() -> None:
    onnx = pytest.importorskip("onnx")
    values = {"fc.weight": net("dense")[0].weight, "conv.weight": net("conv")[3].weight}
    weights = [onnx.numpy_helper.from_array(value.detach().numpy(), name) for name, value in values.items()]
    shaped = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, 32, 8, 8]) for n in ("x", "y")]
    nodes = [onnx.helper.make_node("Conv", ["x", "conv.weight"], ["y"])]
    nodes.append(onnx.helper.make_node("Gemm", ["z", "fc.weight"], ["w"], transB=1))
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "net", shaped[:1], shaped[1:], weights))
    their, mine = theirs.WeightWatcher(model=model).analyze(), ours.WeightWatcher(model=model).analyze()
    assert mine["longname"].tolist() == [name.removesuffix(".weight") for name in their["longname"]]
    columns = [name for name in their.columns if name not in ("name", "longname")]
    same(mine[columns], their[columns])


@pytest.mark.parametrize("method", ["raw", "euclidean", "cka"])
@pytest.mark.parametrize("name", ["dense", "conv", "lstm"])
def test_distances_are_equal(name: str, method: str) -> None:
    first, second = net(name), copy.deepcopy(net(name))
    with torch.no_grad():
        for weight in second.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    their, mine = (watcher.distances(first, second, method=method) for watcher in both(first))
    assert mine[0] == pytest.approx(their[0], rel=1e-6)
    assert mine[1] == pytest.approx(their[1], rel=1e-6)
    raw = method == "raw" and name == "conv"  # there M and N are the sides of the kernel
    columns = [name for name in their[2].columns if not (raw and name in "MN")]
    same(mine[2][columns], their[2][columns])
    assert list(mine[2].columns) == list(their[2].columns)
    assert list(mine[2].index) == list(their[2].index)
    assert mine[2].index.name == "layer_id"


@pytest.mark.parametrize(
    "options",
    [{}, {"method": "svd", "percent": 0.3}, {"method": "svd", "percent": -0.3}],
    ids=str,
)
@pytest.mark.parametrize("name", ["dense", "conv"])
def test_smoothing_gives_the_same_weights_in_a_copy(name: str, options: dict[str, Any]) -> None:
    model = net(name)
    before = copy.deepcopy(model.state_dict())
    their, mine = both(model)
    smoothed, expected = mine.SVDSmoothing(**options), their.SVDSmoothing(svd_method="accurate", **options)
    for key, value in expected.state_dict().items():
        apart = torch.linalg.norm((smoothed.state_dict()[key] - value).double())  # their truncated SVD is good to 1e-4
        assert apart <= 2e-4 * torch.linalg.norm(before[key].double()), key
        assert smoothed.state_dict()[key].dtype == before[key].dtype
        assert torch.equal(model.state_dict()[key], before[key])
    state = ours.WeightWatcher(model=before).SVDSmoothing(**options)
    assert all(torch.allclose(state[key], value, atol=1e-6) for key, value in smoothed.state_dict().items())


def test_smoothing_by_lambda_min_keeps_the_tail_that_analyze_finds() -> None:
    watcher = ours.WeightWatcher(model=net("dense"))
    smoothed = watcher.SVDSmoothing(method="lambda_min").state_dict()
    ranks = [int(torch.linalg.matrix_rank(smoothed[f"{n}.weight"].double(), rtol=1e-5)) for n in (0, 2)]
    assert ranks == watcher.analyze()["num_pl_spikes"].tolist() == [16, 10]


def test_sharpness_takes_what_sticks_out_of_the_shuffled_copy() -> None:
    torch.manual_seed(3)
    model = torch.nn.Sequential(torch.nn.Linear(120, 100, bias=False), torch.nn.Linear(80, 90, bias=False))
    with torch.no_grad():
        model[0].weight[3, 4] = 50.0  # one huge element: a trap, also of any shuffled copy
    sharp = ours.WeightWatcher(model=model).SVDSharpness()
    values = torch.linalg.svdvals(model[0].weight.detach().double()).numpy()
    left = torch.linalg.svdvals(sharp[0].weight.detach().double()).numpy()
    assert left[:50] == pytest.approx(values[1:51], rel=1e-3)
    assert torch.equal(sharp[1].weight, model[1].weight)


def test_what_differs_is_said_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoospectra._watched._logged", set())
    zero = torch.nn.Sequential(torch.nn.Linear(30, 20), torch.nn.LSTM(20, 20))
    torch.nn.init.zeros_(zero[0].weight)
    with caplog.at_level(logging.INFO, "zoospectra.weightwatcher"):
        for _ in range(2):
            details = ours.WeightWatcher(model=zero).analyze(plot=True)
    assert details["alpha"].isna().all()
    assert details["status"].tolist() == ["failed: every eigenvalue is zero"]
    said = [record.message for record in caplog.records]
    assert len(said) == len(set(said)) == 3
    for sentence in said[:1] + said[2:]:
        assert sentence.removeprefix("unlike WeightWatcher: ") in " ".join(PAGE.split()), sentence


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: w.analyze(pool=False), "pool=False: expected True.*natcomm2021"),
        (lambda w: w.analyze(fit="TPL"), "fit='TPL': expected 'PL'.*thorough"),
        (lambda w: w.analyze(pol=True), "unknown option 'pol'"),
        (lambda w: w.analyze(layers=[1, -2]), "to keep, or all of them with a minus"),
        (lambda w: w.get_ESD(layer=99), "layer 99: expected the layer_id"),
        (lambda w: w.get_Weights(layer="nope"), "layer 'nope'"),
        (lambda w: w.distances(w.model, w.model, method="l1"), "unknown method 'l1': expected one of raw"),
        (lambda w: w.SVDSmoothing(method="detY"), "unknown method 'detY'"),
        (lambda w: w.SVDSmoothing("net.pt"), "no such file"),
        (lambda _: ours.WeightWatcher().analyze(), "no model was given"),
        (lambda w: ours.WeightWatcher(w.model, base_model=w.model), "base_model=.*zoospectra.compare"),
    ],
)
def test_misuse_is_a_value_error_that_names_our_call(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(ours.WeightWatcher(model=net("dense")))


def test_distances_of_the_door_say_what_cannot_be_compared() -> None:
    first, second = net("conv"), net("conv")
    second.append(torch.nn.Linear(32, 16))
    second[2] = torch.nn.Conv2d(16, 32, 3)
    rows = {row["longname"]: row for row in zoospectra.distances(first, second, method="cka").to_pylist()}
    assert {name: row["status"] for name, row in rows.items()} == {
        "0": "identical",
        "2": "shapes differ: 32x16x1x1 and 32x16x3x3",
        "3": "identical",
        "4": "only in the second",
    }
    assert rows["0"]["distance"] == pytest.approx(1.0)
    assert rows["4"]["distance"] is None
    W = first[3].weight.detach().numpy().astype(float)
    moved = copy.deepcopy(first)
    torch.nn.init.zeros_(moved[3].weight)
    (row,) = zoospectra.distances(first, moved, "euclidean", layers="3").to_pylist()
    assert row["distance"] == pytest.approx(
        np.mean([np.linalg.norm(W[:, :, i, j]) for i in range(5) for j in range(5)])
    )
    (row,) = zoospectra.distances(first, moved, "raw", layers=["3"]).to_pylist()
    assert row["distance"] == pytest.approx(np.linalg.norm(W))
    with pytest.raises(ValueError, match="unknown method 'l1'"):
        zoospectra.distances(first, second, "l1")


def test_every_call_of_the_page_runs_on_both_sides() -> None:
    """The table 'their call, our call': each cell is Python, and where it says equal the values are."""
    model, other = net("conv"), copy.deepcopy(net("conv"))
    rows = re.findall(r"^\| `(.+?)` \| `(.+?)` \| (.*) \|$", PAGE, re.MULTILINE)
    assert len(rows) >= 9
    watcher = theirs.WeightWatcher(model=copy.deepcopy(model))
    names = {"model": model, "other": other, "zoospectra": zoospectra, "watcher": watcher, "layer": "3"}
    names |= {"result": zoospectra.analyze(model), "details": watcher.analyze()}
    for their, our, note in rows:
        values = [eval(call, dict(names)) for call in (their.replace("layer=layer", "layer=4"), our)]
        if note.startswith("equal"):
            one, two = (np.asarray(value, dtype=float) for value in values)
            assert one == pytest.approx(two, rel=1e-6, abs=1e-9), our


def test_the_pages_script_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "weightwatcher.md", "exec"), {})
    assert "['layer_id', 'name', 'D', 'M']" in capsys.readouterr().out


def test_a_base_model_gives_the_spectrum_of_the_difference(tmp_path: Path) -> None:
    """Numbers of `compare`; WeightWatcher pairs layers by their order, and takes one without its partner as it is."""

    class Net(torch.nn.Module):
        def __init__(self, *, more: bool) -> None:
            super().__init__()
            if more:
                self.adapter = torch.nn.Linear(64, 64)
            self.fc1, self.conv, self.fc2 = (
                torch.nn.Linear(100, 64),
                torch.nn.Conv2d(16, 64, 3),
                torch.nn.Linear(64, 60),
            )

    torch.manual_seed(0)
    base, tuned = Net(more=False), Net(more=False)
    tuned.load_state_dict(base.state_dict())
    with torch.no_grad():
        for weight in tuned.parameters():
            weight.add_(0.1 * torch.randn_like(weight) * torch.exp(torch.randn(weight.shape[-1])))
    for name, model in (("base", base), ("tuned", tuned)):
        save_file(model.state_dict(), tmp_path / f"{name}.safetensors")
    names = ["alpha", "log_norm", "log_spectral_norm", "stable_rank", "entropy"]

    def compared(base: str) -> dict[str, dict[str, Any]]:
        table = zoospectra.compare(tmp_path / f"{base}.safetensors", tmp_path / "tuned.safetensors")
        return {row["longname"]: row for row in table.to_pylist()}

    def watched(against: torch.nn.Module) -> dict[str, dict[str, float]]:
        details = theirs.WeightWatcher(model=tuned, base_model=against).analyze(base_model=against)
        return details.set_index("longname")[names].to_dict("index")

    rows, expected = compared("base"), watched(base)
    assert rows.keys() == expected.keys() == {"fc1", "conv", "fc2"}
    for layer, row in rows.items():
        assert {name: row[f"{name}_difference"] for name in names} == pytest.approx(expected[layer], rel=1e-5)
    longer = Net(more=True)
    longer.load_state_dict(base.state_dict(), strict=False)
    assert {layer: row["alpha"] for layer, row in watched(longer).items()} == pytest.approx(
        {layer: row["alpha"] for layer, row in rows.items()}, rel=1e-6
    )
    save_file(longer.state_dict(), tmp_path / "longer.safetensors")
    more = compared("longer")
    assert more.pop("adapter")["status"] == "only in the base"
    assert more == rows
