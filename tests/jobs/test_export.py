"""Recipes for other tools: each formula written anew with numpy on the weights, each file read by its consumer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch.nn.utils import prune

from zoospectra.jobs.call import call
from zoospectra.jobs.main import main

BLOCKS, KINDS = 5, {"self_attn.q_proj": (48, 32), "mlp.up_proj": (64, 32), "mlp.down_proj": (32, 64), "o": (32, 40)}


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    """Twenty layers of different tails and scales."""
    rng = np.random.default_rng(0)
    return {
        f"model.layers.{block}.{kind}": (rng.standard_t(3 + block, size=shape) * (0.02 * (1 + block))).astype("float32")
        for block in range(BLOCKS)
        for kind, shape in KINDS.items()
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, weights: dict[str, np.ndarray]) -> Path:
    zoo, data = tmp_path_factory.mktemp("zoo"), tmp_path_factory.mktemp("data")
    tensors = {f"{name}.weight": W for name, W in weights.items()}
    save_file(tensors | {"lm_head.bias": np.ones(8, dtype=np.float32)}, zoo / "net.safetensors")
    assert main(["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", "cluster=inline"]) == 0
    return data


def export(data: Path, what: str, *words: str) -> str:
    return call("export", "local/net.safetensors", f"what={what}", f"warehouse.dir={data}", *words)


def module(weights: dict[str, np.ndarray]) -> Any:
    """A torch module whose layers have these names and weights, an embedding and a head."""
    root = torch.nn.Module()
    ends = {"model.embed_tokens": np.ones((9, 32), np.float32), "lm_head": np.ones((9, 32), np.float32)}
    for name, W in (weights | ends).items():
        *path, last = name.split(".")
        holder = root
        for part in path:
            if not hasattr(holder, part):
                holder.add_module(part, torch.nn.Module())
            holder = getattr(holder, part)
        linear = torch.nn.Linear(W.shape[1], W.shape[0], bias=False)
        linear.weight.data = torch.tensor(W)
        holder.add_module(last, linear)
    return root


def near(values: dict[str, float]) -> object:
    return pytest.approx(values, rel=1e-6)


def singular(W: np.ndarray) -> np.ndarray:
    return np.linalg.svd(W.astype(np.float64), compute_uv=False)


def hill(W: np.ndarray) -> float:
    """Alpha as AlphaPruning's fix_finger='xmin_mid' has it, largest last."""
    lam = np.sort(singular(W) ** 2)
    half = lam[len(lam) // 2 :]
    return 1 + len(half) / np.log(half / half[0]).sum()


def test_spectrum_chooses_the_layers_with_most_signal(data: Path, weights: dict[str, np.ndarray]) -> None:
    yaml = pytest.importorskip("yaml")
    chosen = yaml.safe_load(export(data, "spectrum", "amounts.top=40"))["unfrozen_parameters"]
    expected = ["^lm_head.weight$", "^model.embed_tokens.weight$"]
    for kind, shape in KINDS.items():
        scores = {}
        for block in range(BLOCKS):
            S = singular(weights[f"model.layers.{block}.{kind}"])
            sigma = (np.percentile(S, 75) - np.percentile(S, 25)) / 1.349
            bound = sigma * np.sqrt((1 + np.sqrt(min(shape) / max(shape))) ** 2)
            scores[f"model.layers.{block}.{kind}"] = S[bound < S].sum() / S[bound >= S].sum() / S[0]
        expected += sorted(scores, key=scores.get, reverse=True)[:2]
    assert len(chosen) == len(expected)
    assert set(chosen) == set(expected)


@pytest.mark.slow
def test_axolotl_trains_the_chosen_layers_alone(data: Path, weights: dict[str, np.ndarray]) -> None:
    freeze = pytest.importorskip("axolotl.utils.freeze")
    yaml = pytest.importorskip("yaml")
    net, chosen = module(weights), yaml.safe_load(export(data, "spectrum"))["unfrozen_parameters"]
    freeze.freeze_layers_except(net, chosen)
    trained = {name for name, weight in net.named_parameters() if weight.requires_grad}
    assert trained == {f"{name.strip('^$').removesuffix('.weight')}.weight" for name in chosen}
    assert len(trained) == 2 + len(KINDS) * (BLOCKS // 2)


def test_pruning_is_that_of_alphapruning(data: Path, weights: dict[str, np.ndarray]) -> None:
    ratios = json.loads(export(data, "pruning", "amounts.sparsity=0.7", "amounts.epsilon=0.2"))
    alpha = {name: hill(W) for name, W in weights.items()}
    means = [np.mean([alpha[f"model.layers.{block}.{kind}"] for kind in KINDS]) for block in range(BLOCKS)]
    score = np.array([means[int(name.split(".")[2])] for name in weights])
    size = np.array([W.size for W in weights.values()])
    shape = (score - score.min()) / (score.max() - score.min()) * 0.4 + 0.8
    assert ratios == near(dict(zip(weights, (shape * size.sum() * 0.7 / (size * shape).sum()).tolist(), strict=True)))
    assert sum(ratios[name] * W.size for name, W in weights.items()) / size.sum() == pytest.approx(0.7)
    net = module(weights)
    for name, ratio in ratios.items():
        prune.l1_unstructured(net.get_submodule(name), "weight", amount=ratio)
        zeros = int((net.get_submodule(name).weight == 0).sum())
        assert zeros == round(ratio * weights[name].size)


@pytest.mark.parametrize("what", ["learning_rates", "decays"])
def test_rates_are_those_of_tempbalance(data: Path, weights: dict[str, np.ndarray], what: str) -> None:
    rates = json.loads(export(data, what, "amounts.rate=0.1"))
    alpha = [hill(W) for W in weights.values()]
    expected = np.interp(alpha, [min(alpha), max(alpha)], [0.05, 0.15])
    assert rates == near(dict(zip(weights, expected.tolist(), strict=True)))
    key = "lr" if what == "learning_rates" else "weight_decay"
    groups = [{"params": [torch.nn.Parameter(torch.tensor(weights[name]))], key: rate} for name, rate in rates.items()]
    assert [group[key] for group in torch.optim.SGD(groups, lr=0.1).param_groups] == list(rates.values())


def test_bits_make_errors_equal(data: Path, weights: dict[str, np.ndarray]) -> None:
    widths = json.loads(export(data, "bits", "amounts.bits=3.5"))
    size = np.array([W.size for W in weights.values()])
    power = np.array([(W.astype(np.float64) ** 2).mean() for W in weights.values()])
    expected = 3.5 + 0.5 * np.log2(power) - (size * 0.5 * np.log2(power)).sum() / size.sum()
    assert widths == near(dict(zip(weights, expected.tolist(), strict=True)))
    errors = power * 4.0 ** -np.array([widths[name] for name in weights])
    assert errors.max() / errors.min() == pytest.approx(1.0)
    assert min(json.loads(export(data, "bits", "amounts.bits=0.2")).values()) == 0.0


def test_ranks_are_read_by_peft(data: Path, weights: dict[str, np.ndarray]) -> None:
    config = json.loads(export(data, "ranks", "amounts.energy=0.8"))
    expected = {}
    for name, W in weights.items():
        energy = np.cumsum(singular(W) ** 2)
        expected[name] = int(np.argmax(energy / energy[-1] >= 0.64)) + 1
    assert config["rank_pattern"] == expected
    peft = pytest.importorskip("peft")
    loaded = peft.LoraConfig.from_peft_type(**config)
    assert (loaded.rank_pattern, loaded.r) == (expected, max(expected.values()))
    adapted = peft.get_peft_model(module(weights), loaded)
    made = {name: W.shape[0] for name, W in adapted.named_parameters() if "lora_A" in name}
    assert {
        name.removeprefix("base_model.model.").partition(".lora_A")[0]: rank for name, rank in made.items()
    } == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["local/net.safetensors", "what=all"], "what=all: expected one of spectrum, pruning"),
        (["nobody"], "nobody: no dense layer with a stored spectrum"),
        (["local/net.safetensors", "amounts.top=0"], "amounts.top=0: expected above 0, at most 100"),
    ],
)
def test_misuse_is_one_line(data: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert main(["export", *words, f"warehouse.dir={data}"]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
