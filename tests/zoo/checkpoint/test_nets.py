"""Which nets a file holds: training checkpoints as scripts, Lightning, DeepSpeed and others write them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.checkpoint.read import read
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.layers.choose import layers

State = dict[str, Any]


def net(scale: float = 1.0, width: int = 16) -> State:
    """State dict of three layers."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        OrderedDict(conv1=torch.nn.Conv2d(3, width, 3), fc=torch.nn.Linear(64, 32), fc2=torch.nn.Linear(32, 20))
    )
    return {name: value * scale for name, value in module.state_dict().items()}


def trained(kind: type[torch.optim.Optimizer], **options: Any) -> State:
    """State dict of an optimizer after a step."""
    module = torch.nn.Linear(20, 32)
    optimizer = kind(module.parameters(), lr=0.1, **options)  # type: ignore[call-arg]
    module(torch.ones(1, 20)).sum().backward()
    optimizer.step()
    return optimizer.state_dict()


def under(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": value for name, value in state.items()}


ADAM: Callable[[], State] = lambda: trained(torch.optim.AdamW)  # noqa: E731
SGD: Callable[[], State] = lambda: trained(torch.optim.SGD, momentum=0.9)  # noqa: E731

# name -> (what torch.save is given, listed nets, nets that are copies)
CHECKPOINTS: dict[str, tuple[Callable[[], Any], list[str], list[str]]] = {
    "plain": (net, [""], []),
    "imagenet script": (
        lambda: {"epoch": 9, "state_dict": under("module.", net()), "best": torch.tensor(7.0), "optimizer": SGD()},
        ["state_dict"],
        [],
    ),
    "timm with averages": (
        lambda: {"state_dict": net(), "state_dict_ema": net(0.9), "optimizer": ADAM(), "metric": torch.ones(3)},
        ["state_dict"],
        ["state_dict_ema"],
    ),
    "swa": (
        lambda: {"model_state_dict": net(), "swa_model": {**under("module.", net(2)), "n_averaged": torch.tensor(3)}},
        ["model_state_dict"],
        ["swa_model"],
    ),
    "parameters of an average in a list": (
        lambda: {"model": net(), "ema": {"decay": 0.9, "shadow_params": list(net(0.5).values())}},
        ["model"],
        ["ema"],
    ),
    "gradients": (
        lambda: {"model": net(), "grads": net(3), "loss": torch.tensor(0.1)},
        ["model"],
        ["grads"],
    ),
    "few masks": (
        lambda: {"state_dict": net(), "masks": {"fc.weight": torch.ones(32, 64)}, "epoch": 1},
        ["state_dict"],
        ["masks"],
    ),
    "teacher and student": (lambda: {"student": net(), "teacher": net(0.9)}, ["student", "teacher"], []),
    "teacher beside the model": (lambda: {"model": net(), "teacher": net(1, 8)}, ["model", "teacher"], []),
    "gan": (
        lambda: {"netG": net(), "netD": net(0.5, 8), "optimG": ADAM(), "optimD": ADAM()},
        ["netG", "netD"],
        [],
    ),
    "stylegan": (
        lambda: {"g": net(), "d": net(1, 8), "g_ema": net(0.9), "g_optim": ADAM(), "ada_aug_p": 0.1},
        ["g", "d"],
        ["g_ema"],
    ),
    "containers of containers": (
        lambda: {"G": {"state_dict": net(), "optimizer": ADAM()}, "D": {"state_dict": net(2), "optimizer": ADAM()}},
        ["G", "D"],
        [],
    ),
    "jepa": (
        lambda: {
            "encoder": under("module.", net()),
            "predictor": under("module.", net(1, 8)),
            "target_encoder": under("module.", net(0.9)),
            "opt": ADAM(),
            "scaler": None,
            "epoch": 3,
        },
        ["encoder", "predictor", "target_encoder"],
        [],
    ),
    "single layers": (
        lambda: {
            "actor": torch.nn.Linear(8, 4).state_dict(),
            "critic": torch.nn.Linear(8, 5).state_dict(),
            "step": 7,
        },
        ["actor", "critic"],
        [],
    ),
    "list of snapshots": (lambda: [net(), net(2), net(3)], ["0", "1", "2"], []),
    "list of tensors": (lambda: [torch.randn(8, 4), torch.randn(4, 8)], [""], []),
    "lightning": (
        lambda: {
            "state_dict": under("model.", net()),
            "optimizer_states": [ADAM()],
            "lr_schedulers": [{"base_lrs": [0.1]}],
            "callbacks": {"EMA": {"ema_weights": list(net(0.9).values())}},
            "hyper_parameters": {"class_weights": torch.ones(5)},
        },
        ["state_dict"],
        ["callbacks"],
    ),
    "lightning with an average inside": (
        lambda: {"state_dict": under("model.", net()) | under("ema_model.", net(0.9)), "global_step": 3},
        ["state_dict"],
        ["state_dict.ema_model"],
    ),
    "lightning gan": (
        lambda: {"state_dict": under("generator.", net()) | under("discriminator.", net(1, 8)), "epoch": 1},
        ["state_dict.generator", "state_dict.discriminator"],
        [],
    ),
    "autoencoder with the networks of its loss": (
        lambda: under("encoder.", net()) | under("decoder.", net(2, 8)) | under("loss.discriminator.", net(3)),
        [""],
        ["loss"],
    ),
    "momentum contrast": (
        lambda: {"state_dict": under("module.encoder_q.", net()) | under("module.encoder_k.", net(0.9)), "arch": "r"},
        ["state_dict"],
        ["state_dict.encoder_k"],
    ),
    "diffusion pipeline": (
        lambda: (
            under("model.diffusion_model.", net())
            | {f"model_ema.diffusion_model{name.replace('.', '')}": value for name, value in net(0.9).items()}
            | under("first_stage_model.", net(1, 8))
        ),
        ["", "first_stage_model"],
        ["model_ema"],
    ),
    "deepspeed": (
        lambda: {
            "module": net(),
            "buffer_names": [],
            "optimizer": None,
            "param_shapes": [OrderedDict(a=torch.Size([3]))],
        },
        ["module"],
        [],
    ),
    "fsdp": (
        lambda: {
            "model": {name.replace(".", "._fsdp_wrapped_module.", 1): value for name, value in net().items()},
            "optim": {"state": {"fc.weight": {"exp_avg": torch.ones(32, 64), "step": torch.tensor(1.0)}}},
        },
        ["model"],
        [],
    ),
    "optimizers of other names": (
        lambda: {
            "weights": net(),
            "adam": ADAM(),
            "history": {"sgd": SGD()},
            "muon": {0: {"momentum_buffer": torch.ones(9, 8)}},
        },
        ["weights"],
        [],
    ),
    "fairseq": (
        lambda: {
            "args": {"lr": 1},
            "model": net(),
            "last_optimizer_state": ADAM(),
            "extra_state": {"x": torch.ones(2)},
        },
        ["model"],
        [],
    ),
    "results beside the model": (
        lambda: {"net": net(), "predictions": {"train": torch.randn(500, 10)}, "targets": torch.ones(500, 10)},
        ["net"],
        [],
    ),
    "megatron": (
        lambda: {
            "args": {"hidden_size": 8},
            "model": {
                "language_model": {"embedding": {"word_embeddings": {"weight": torch.ones(9, 8)}}, "encoder": net()}
            },
            "optimizer": {"optimizer": ADAM(), "fp32_from_fp16_params": [[torch.ones(9, 8)]]},
            "rng_state": [{"torch_rng_state": torch.ones(5, dtype=torch.uint8)}],
        },
        ["model"],
        [],
    ),
    "nested parameters": (
        lambda: {"encoder": {"l1": {"kernel": torch.randn(8, 4)}}, "decoder": {"l1": {"kernel": torch.randn(8, 4)}}},
        [""],
        [],
    ),
    "nested parameters beside an optimizer": (
        lambda: {"params": {"l1": {"w": torch.randn(8, 4)}, "l2": {"w": torch.randn(4, 4)}}, "opt_state": [{"mu": {}}]},
        ["params"],
        [],
    ),
    "folds": (
        lambda: {"fold0": {"state_dict": net(), "accuracy": 0.9}, "fold1": {"state_dict": net(2), "accuracy": 0.8}},
        ["fold0", "fold1"],
        [],
    ),
    "nets of any name": (lambda: {"left": net(), "right": net(2, 8)}, ["left", "right"], []),
    "two towers": (
        lambda: {"visual": net(), "text": net(1, 8), "logit_scale": torch.tensor(2.0)},
        ["visual", "text"],
        [],
    ),
    "an agent and what it saw": (
        lambda: {"agent": net(), "replay": {"obs": torch.randn(90, 64), "action": torch.randn(90, 4)}, "obs_rms": {}},
        ["agent"],
        [],
    ),
    "an optimizer of no known words": (
        lambda: {
            "model": net(),
            "trainer": {"state": {n: {"first": torch.ones(n, 3), "hessian": torch.ones(n, 3)} for n in (9, 8)}},
            "soap": {"0": {"Q": [torch.randn(32, 32), torch.randn(64, 64)], "exp_avg": torch.randn(32, 64)}},
        },
        ["model"],
        [],
    ),
    "averages in fairseq's extra state": (
        lambda: {"model": net(), "extra_state": {"ema": net(0.9), "ema_fp32_params": net(0.9)}, "args": None},
        ["model"],
        ["extra_state.ema", "extra_state.ema_fp32_params"],
    ),
    "composer": (
        lambda: {
            "state": {
                "model": net(),
                "optimizers": {"DecoupledAdamW": {"state": {"fc.weight": {"exp_avg": torch.ones(32, 64)}}}},
                "algorithms": [("EMA", {"ema_model": {"named_parameters_dict": net(0.9)}})],
            },
            "rng": [{"torch": torch.zeros(5, dtype=torch.uint8)}],
        },
        ["state.model"],
        ["state.algorithms"],
    ),
    "a teacher of another width in one state dict": (
        lambda: {"state_dict": under("student.", net()) | under("teacher.", net(1, 24)), "epoch": 1},
        ["state_dict", "state_dict.teacher"],
        [],
    ),
    "numbers in a state dict": (lambda: {**net(), "epoch": 3, "optimizer": ADAM()}, [""], []),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_nets_of_training_checkpoints(tmp_path: Path, name: str) -> None:
    make, listed, copies = CHECKPOINTS[name]
    torch.save(make(), tmp_path / "x.pt")
    checkpoint = open_checkpoint(str(tmp_path / "x.pt"))
    assert checkpoint.contents is not None
    assert [entry.name for entry in checkpoint.contents.nets if entry.listed] == listed
    assert [entry.name for entry in checkpoint.contents.nets if not entry.listed] == copies
    # Every tensor is in exactly one net, or in what is none.
    rest = sum(row.tensors for row in checkpoint.contents.rest)
    assert sum(len(entry.leaves) for entry in checkpoint.contents.nets) + rest == count(make())
    for entry in checkpoint.contents.nets:
        opened = open_checkpoint(f"{tmp_path}/x.pt#{entry.name}") if entry.name else checkpoint
        assert len(opened.tensors) == len(entry.leaves)
        assert all(entry.why for entry in checkpoint.contents.nets)


def count(value: object) -> int:
    """Tensors anywhere in a value."""
    if isinstance(value, torch.Tensor):
        return 1
    if isinstance(value, dict):
        return sum(map(count, value.values()))
    return sum(map(count, value)) if isinstance(value, (list, tuple)) and not isinstance(value, torch.Size) else 0


OTHER_NETS = ("single", "nested", "mega")
CONTAINED = [name for name in CHECKPOINTS if CHECKPOINTS[name][1][0] and not name.startswith(OTHER_NETS)]


@pytest.mark.parametrize("name", CONTAINED)
def test_the_model_has_its_own_values_and_names(tmp_path: Path, name: str) -> None:
    make, _, _ = CHECKPOINTS[name]
    torch.save(make(), tmp_path / "x.pt")
    checkpoint = open_checkpoint(str(tmp_path / "x.pt"))
    found, _ = layers(checkpoint.tensors)
    assert [layer.longname.rpartition(".")[2] for layer in found] == ["conv1", "fc", "fc2"]
    for layer, value in zip(found, list(net().values())[::2], strict=True):
        assert torch.equal(torch.from_numpy(read(layer.ref).copy()), value)


@pytest.mark.parametrize(
    "make",
    [
        ADAM,
        SGD,
        lambda: {"optimizer": ADAM(), "scheduler": {"last": 1}},
        lambda: {"step": torch.tensor(3.0), "opt": SGD()},
    ],
)
def test_a_file_of_training_state_holds_no_model(tmp_path: Path, make: Callable[[], Any]) -> None:
    torch.save(make(), tmp_path / "optimizer.pt")
    with pytest.raises(CheckpointError, match="optimizer") as caught:
        open_checkpoint(str(tmp_path / "optimizer.pt"))
    assert caught.value.reason == "no_tensors"


@pytest.mark.parametrize(
    ("names", "plain"),
    [
        (["module.a.weight", "module.b.weight"], ["a.weight", "b.weight"]),
        (["model.module._orig_mod.a.w", "model.module._orig_mod.b.w"], ["a.w", "b.w"]),
        (["state_dict.model.a.w", "state_dict.model.b.w"], ["a.w", "b.w"]),
        (["module.a.w", "b.w"], ["module.a.w", "b.w"]),
        (["blocks.0._checkpoint_wrapped_module.a.w", "head.w"], ["blocks.0.a.w", "head.w"]),
        (["a._orig_mod.w", "a.w"], ["a._orig_mod.w", "a.w"]),
        (["model.", "model.a"], ["model.", "model.a"]),
    ],
)
def test_prefixes_of_wrappers_go_where_every_name_has_them(tmp_path: Path, names: list[str], plain: list[str]) -> None:
    torch.save({name: torch.ones(3, 3) for name in names}, tmp_path / "x.pt")
    assert [ref.name for ref in open_checkpoint(str(tmp_path / "x.pt")).tensors] == plain


def test_a_file_whose_name_has_a_hash_mark_is_a_file(tmp_path: Path) -> None:
    torch.save(net(), tmp_path / "x#netG.pt")
    assert len(open_checkpoint(str(tmp_path / "x#netG.pt")).tensors) == 6
