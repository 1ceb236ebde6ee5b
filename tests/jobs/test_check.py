"""check: what a target means, trained from untrained, layers that do not belong, and the exit status."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.jobs.zoos import make_zoo
from zoospectra.jobs.checks.quality import quality
from zoospectra.jobs.checks.record import Report, Subject
from zoospectra.jobs.main import main


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_zoo(tmp_path_factory.mktemp("check") / "zoo", models=2)


def reports(target: object, *words: str, capsys: pytest.CaptureFixture[str], status: int = 0) -> list[dict]:
    capsys.readouterr()
    assert main(["check", str(target), "format=json", *words]) == status
    return json.loads(capsys.readouterr().out)


def test_a_folder_is_its_checkpoints(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [Path(report["model"]).name for report in reports(zoo, "fail=never", capsys=capsys)]
    assert names == ["net0.safetensors", "net1.safetensors"]


def test_damage_is_a_finding_and_status_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "net.safetensors"
    file.write_bytes(b"hello")
    (report,) = reports(file, capsys=capsys, status=3)
    (finding,) = report["findings"]
    assert (finding["severity"], finding["reason"]) == ("error", "unreadable")
    assert reports(file, "fail=never", capsys=capsys)
    assert main(["check", str(file)]) == 3
    assert "\n  error: " in capsys.readouterr().out  # no place where there is no layer


def test_a_model_of_the_warehouse_is_read_where_the_catalog_had_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo, keys = make_zoo(tmp_path / "zoo", models=2), (f"warehouse.dir={tmp_path / 'data'}",)
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", "cluster=inline", *keys]) == 0
    (zoo / "net1.safetensors").unlink()
    there, gone = reports("local/*", *keys, capsys=capsys, status=3)
    (plain,) = reports(zoo / "net0.safetensors", capsys=capsys)
    assert there["summary"] == plain["summary"]
    assert gone["verdict"] == "unreadable"
    (finding,) = gone["findings"]
    assert finding["reason"] == "not_found"
    assert str(zoo / "net1.safetensors") in finding["words"]


@pytest.mark.parametrize("sigma", [0.5, 1.0])
@pytest.mark.parametrize("sizes", [(64, 128, 128, 10), (300, 20, 500), (32, 32, 32, 32)])
def test_unequal_scales_of_rows_and_columns_are_no_training(
    sizes: tuple[int, ...], sigma: float, tmp_path: Path
) -> None:
    for seed in range(4):
        rng = torch.Generator().manual_seed(seed)
        net = {
            f"{depth}.weight": torch.randn(n, m, generator=rng)
            * torch.exp(sigma * torch.randn(*((1, m) if seed % 2 else (n, 1)), generator=rng))
            for depth, (m, n) in enumerate(itertools.pairwise(sizes))
        }
        assert verdict(net, tmp_path).verdict == "untrained"


def nets(kind: str) -> torch.nn.Module:
    """A fresh network, as its library initialises it."""
    if kind == "mlp":
        return torch.nn.Sequential(torch.nn.Linear(64, 96), torch.nn.LayerNorm(96), torch.nn.Linear(96, 10))
    if kind == "lstm":
        return torch.nn.LSTM(32, 48, 2)
    if kind == "resnet":
        convolutions = [torch.nn.Conv2d(16 if at else 3, 16, 3, bias=False) for at in range(8)]
        return torch.nn.Sequential(*convolutions, torch.nn.BatchNorm2d(16), torch.nn.Linear(16, 10))
    transformers = pytest.importorskip("transformers")
    sizes = {"vocab_size": 300}
    if kind == "gpt2":
        return transformers.GPT2Model(transformers.GPT2Config(n_layer=2, n_embd=64, n_head=2, **sizes))
    if kind == "vit":
        config = transformers.ViTConfig(
            hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128, image_size=32
        )
        return transformers.ViTModel(config)
    config = transformers.BertConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128, **sizes
    )
    return transformers.BertModel(config)


INITS = {
    "default": lambda _: None,
    "kaiming": torch.nn.init.kaiming_normal_,
    "xavier": torch.nn.init.xavier_uniform_,
    "orthogonal": torch.nn.init.orthogonal_,
    "sparse": lambda weight: torch.nn.init.sparse_(weight, 0.8) if weight.ndim == 2 else None,
}


def saved(net: torch.nn.Module, folder: Path) -> Path:
    state = {name: value.detach().clone().contiguous() for name, value in net.state_dict().items()}
    save_file(state, folder / "net.safetensors")
    return folder / "net.safetensors"


@pytest.mark.parametrize(
    ("kind", "init"),
    [
        *((kind, "default") for kind in ("mlp", "lstm", "resnet", "gpt2", "bert", "vit")),
        *(("mlp", init) for init in INITS if init != "default"),
        *((kind, "orthogonal") for kind in ("lstm", "resnet")),
        ("resnet", "kaiming"),
    ],
)
def test_untrained_nets_are_called_untrained(
    kind: str, init: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(len(kind) * 10 + len(init))
    net = nets(kind)
    for weight in net.parameters():
        if weight.ndim > 1:
            INITS[init](weight)
    (report,) = reports(saved(net, tmp_path), capsys=capsys, status=3)
    assert report["verdict"] == "untrained", report["summary"]
    assert [finding["reason"] for finding in report["findings"] if finding["severity"] == "error"] == ["untrained"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """A net trained on scikit-learn's digits until its weights have learned something."""
    from sklearn.datasets import load_digits

    torch.manual_seed(0)
    data = load_digits()
    images, labels = torch.tensor(data.data, dtype=torch.float32) / 16, torch.tensor(data.target)
    net = torch.nn.Sequential(
        *(layer for _ in range(4) for layer in (torch.nn.LazyLinear(64), torch.nn.ReLU())), torch.nn.LazyLinear(10)
    )
    net(images[:1])
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(images), labels).backward()
        optimizer.step()
    return {name: value.detach().clone() for name, value in net.state_dict().items()}


def verdict(state: dict[str, torch.Tensor], folder: Path) -> Report:
    save_file({name: value.contiguous() for name, value in state.items()}, folder / "net.safetensors")
    return quality(Subject("net", str(folder / "net.safetensors"), folder))


def test_a_trained_net_is_trained_and_what_was_done_to_a_layer_is_named(
    trained: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    whole = verdict(trained, tmp_path)
    assert whole.verdict == "trained"
    assert [finding for finding in whole.findings if finding.severity != "note"] == []
    generator = torch.Generator().manual_seed(1)
    layer = trained["4.weight"]
    damages = {
        "noise_layer": torch.randn(layer.shape, generator=generator) * layer.std(),
        "scale": layer * 1e-3,
        "copied_layer": trained["2.weight"].clone(),
    }
    for reason, damaged in damages.items():
        report = verdict({**trained, "4.weight": damaged}, tmp_path)
        named = {(finding.reason, finding.layer) for finding in report.findings if finding.severity != "note"}
        assert named == {(reason, "4")}, reason
        assert report.verdict == "trained"


def test_a_screen_holds_it(
    trained: dict[str, torch.Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    save_file(trained, tmp_path / "net.safetensors")
    assert main(["check", str(tmp_path / "net.safetensors")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert any("percentile" in line for line in lines)
