"""Real architectures with random weights: every tensor is a layer or has a reason, and groups are the architecture's.

Each library is imported in a process of its own: torchvision's wheels for another torch are met with declared operators
(see zoo.sources.packages.snapshots.stub), which must not leak into other tests.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.layer import Layer
from zoospectra.zoo.layers.values import layer_hash, read_layer

ROOT = Path(__file__).resolve().parents[3]

TRANSFORMERS = """
import json, sys, torch
from zoospectra.zoo.sources.packages.snapshots.stub import declare_operators
kept = declare_operators()
import transformers as T
from transformers.utils import logging
logging.disable_progress_bar()
torch.manual_seed(0)
blocks = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4)
small = dict(intermediate_size=48, vocab_size=64, max_position_embeddings=32, **blocks)
seen = dict(intermediate_size=48, image_size=32, patch_size=8, **blocks)
gpt = dict(n_embd=32, n_layer=2, n_head=4, vocab_size=64, n_positions=32)
pair = dict(d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
            encoder_ffn_dim=48, decoder_ffn_dim=48, vocab_size=64)
models = {
    "gpt2": T.GPT2LMHeadModel(T.GPT2Config(**gpt)),
    "bert": T.BertModel(T.BertConfig(**small)),
    "roberta": T.RobertaForSequenceClassification(T.RobertaConfig(**small)),
    "distilbert": T.DistilBertModel(T.DistilBertConfig(dim=32, n_layers=2, n_heads=4, hidden_dim=48, vocab_size=64)),
    "albert": T.AlbertModel(T.AlbertConfig(embedding_size=16, **small)),
    "llama": T.LlamaForCausalLM(T.LlamaConfig(num_key_value_heads=2, **small)),
    "mixtral": T.MixtralForCausalLM(T.MixtralConfig(num_key_value_heads=2, num_local_experts=4, **small)),
    "gpt_oss": T.GptOssForCausalLM(T.GptOssConfig(num_key_value_heads=2, num_local_experts=4, head_dim=8, **small)),
    "phi3": T.Phi3ForCausalLM(T.Phi3Config(num_key_value_heads=2, pad_token_id=0, **small)),
    "bloom": T.BloomForCausalLM(T.BloomConfig(hidden_size=32, n_layer=2, n_head=4, vocab_size=64)),
    "gpt_neox": T.GPTNeoXForCausalLM(T.GPTNeoXConfig(**small)),
    "opt": T.OPTForCausalLM(T.OPTConfig(ffn_dim=48, word_embed_proj_dim=32, vocab_size=64, **blocks)),
    "t5": T.T5ForConditionalGeneration(T.T5Config(d_model=32, d_kv=8, num_layers=2, num_heads=4, d_ff=48, vocab_size=64,
                                                 feed_forward_proj="gated-gelu")),
    "bart": T.BartForConditionalGeneration(T.BartConfig(max_position_embeddings=32, **pair)),
    "vit": T.ViTForImageClassification(T.ViTConfig(**seen)),
    "clip": T.CLIPModel(T.CLIPConfig(text_config=small, vision_config=seen)),
    "codegen": T.CodeGenForCausalLM(T.CodeGenConfig(rotary_dim=4, **gpt)),
    "modernbert": T.ModernBertModel(T.ModernBertConfig(pad_token_id=0, **small)),
}
for name, model in models.items():
    model.save_pretrained(f"{sys.argv[1]}/{name}")
"""

EXPECTED: dict[str, dict[str, int]] = {
    "gpt2": {"qkv": 2, "q": 2, "k": 2, "v": 2, "o": 2, "up": 2, "down": 2},
    "bert": {"q": 2, "k": 2, "v": 2, "o": 2, "up": 2, "down": 2},
    "roberta": {"q": 2, "k": 2, "v": 2, "o": 2, "up": 2, "down": 2, "head": 2},
    "distilbert": {"q": 2, "k": 2, "v": 2, "o": 2, "up": 2, "down": 2},
    "albert": {"q": 1, "k": 1, "v": 1, "o": 1, "up": 1, "down": 1},
    "llama": {"q": 2, "k": 2, "v": 2, "o": 2, "gate": 2, "up": 2, "down": 2, "head": 1},
    "mixtral": {"q": 2, "k": 2, "v": 2, "o": 2, "router": 2, "head": 1} | {f"expert {e}": 6 for e in range(4)},
    "gpt_oss": {"q": 2, "k": 2, "v": 2, "o": 2, "router": 2, "head": 1} | {f"expert {e}": 6 for e in range(4)},
    "phi3": {"qkv": 2, "q": 2, "k": 2, "v": 2, "o": 2, "gate_up": 2, "gate": 2, "up": 2, "down": 2, "head": 1},
    "bloom": {"qkv": 2, "q": 2, "k": 2, "v": 2, "o": 2, "up": 2, "down": 2},
    "gpt_neox": {"qkv": 2, "q": 2, "k": 2, "v": 2, "o": 2, "up": 2, "down": 2, "head": 1},
    "opt": {"q": 2, "k": 2, "v": 2, "o": 2, "up": 2, "down": 2},
    "t5": {"q": 6, "k": 6, "v": 6, "o": 6, "gate": 4, "up": 4, "down": 4},
    "bart": {"q": 6, "k": 6, "v": 6, "o": 6, "up": 4, "down": 4},
    "vit": {"q": 2, "k": 2, "v": 2, "o": 2, "up": 2, "down": 2, "stem": 1, "head": 1},
    "clip": {"q": 4, "k": 4, "v": 4, "o": 4, "up": 4, "down": 4, "stem": 1},
    "codegen": {"qkv": 2, "q": 2, "k": 2, "v": 2, "o": 2, "up": 2, "down": 2, "head": 1},
    "modernbert": {"qkv": 2, "q": 2, "k": 2, "v": 2, "o": 2, "gate_up": 2, "gate": 2, "up": 2, "down": 2},
}
"""Layers of each role in two blocks (one, shared, in ALBERT)."""

VISION = """
import sys, torch
from zoospectra.zoo.sources.packages.snapshots.stub import declare_operators
kept = declare_operators()
library, names = sys.argv[2], sys.argv[3:]
def make(name):
    if library == "torchvision":
        import torchvision
        quick = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        return torchvision.models.get_model(name, weights=None, **quick)
    if library == "timm":
        import timm
        return timm.create_model(name)
    from pytorchcv.model_provider import get_model
    return get_model(name, pretrained=False)
for name in names:
    with torch.device("meta"):
        state = make(name).state_dict()
    random = {key: torch.empty_like(value, device="cpu") for key, value in state.items()}
    for value in random.values():
        value.normal_() if value.is_floating_point() else value.zero_()
    torch.save(random, f"{sys.argv[1]}/{name}.pth")
"""

VISION_NAMES: dict[str, dict[str, tuple[int, dict[str, int]]]] = {
    "torchvision": {
        "alexnet": (8, {"head": 3}),
        "vgg11_bn": (11, {"head": 3}),
        "resnet18": (21, {"stem": 1, "conv1": 8, "conv2": 8, "shortcut": 3, "head": 1}),
        "resnet50": (54, {"stem": 1, "conv1": 16, "conv2": 16, "conv3": 16, "shortcut": 4, "head": 1}),
        "densenet121": (121, {"stem": 1, "conv1": 58, "conv2": 58, "transition": 3, "head": 1}),
        "squeezenet1_1": (26, {"head": 1}),
        "googlenet": (64, {"head": 1}),
        "mobilenet_v2": (53, {"head": 1}),
        "mobilenet_v3_small": (54, {"head": 2}),
        "shufflenet_v2_x0_5": (57, {"head": 1}),
        "efficientnet_b0": (82, {"head": 1}),
        "convnext_tiny": (59, {"head": 1}),
        "swin_t": (101, {"qkv": 12, "q": 12, "o": 12, "up": 12, "down": 12, "head": 1}),
        "swin_v2_t": (113, {"qkv": 12, "v": 12, "position": 24, "up": 12, "head": 1}),
        "mnasnet0_5": (53, {"head": 1}),
        "r3d_18": (21, {"stem": 1, "shortcut": 3, "head": 1}),
    },
    "timm": {
        "deit_tiny_patch16_224": (87, {"stem": 1, "qkv": 12, "k": 12, "o": 12, "up": 12, "down": 12, "head": 1}),
        "levit_128s": (90, {"qkv": 9, "q": 9, "k": 9, "v": 9, "head": 1}),
        "mixer_s32_224": (34, {"stem": 1, "up": 16, "down": 16, "head": 1}),
        "xcit_nano_12_p16_224": (126, {"qkv": 12, "q": 14, "up": 14, "head": 1}),
        "poolformer_s12": (29, {"stem": 1, "up": 12, "down": 12, "head": 1}),
        "ghostnet_100": (96, {"stem": 1, "squeeze": 14, "head": 1}),
        "repvgg_a0": (45, {"head": 1}),
        "mobilevit_xxs": (99, {"qkv": 9, "o": 9, "up": 9, "down": 9, "head": 1}),
        "efficientformer_l1": (43, {"qkv": 1, "q": 1, "v": 1, "head": 1}),
        "edgenext_xx_small": (60, {"qkv": 3, "up": 12, "down": 12, "head": 1}),
        "botnet26t_256": (47, {"qkv": 3, "v": 3, "shortcut": 4, "head": 1}),
        "convit_tiny": (77, {"v": 12, "o": 12, "up": 12, "down": 12, "head": 1}),
        "pit_ti_224": (91, {"qkv": 12, "o": 12, "head": 1}),
        "volo_d1_224": (136, {"o": 20, "up": 20, "down": 20, "head": 1}),
    },
    "pytorchcv": {
        "resnet10": (13, {"stem": 1, "conv1": 4, "conv2": 4, "shortcut": 3, "head": 1}),
        "preresnet18": (21, {"stem": 1, "conv1": 8, "conv2": 8, "shortcut": 3, "head": 1}),
        "densenet121": (121, {"stem": 1, "conv1": 58, "conv2": 58, "transition": 3, "head": 1}),
        "seresnet50": (86, {"stem": 1, "conv2": 16, "squeeze": 32, "shortcut": 4, "head": 1}),
        "dpn68": (72, {"stem": 1, "conv1": 22, "conv2": 22, "conv3": 22, "head": 1}),
        "xception": (75, {"stem": 2, "shortcut": 4, "head": 1}),
        "mobilenet_w1": (28, {"stem": 1, "head": 1}),
        "shufflenet_g1_w1": (50, {"stem": 1, "head": 1}),
        "sknet50": (102, {"stem": 1, "conv1": 16, "conv3": 16, "shortcut": 4, "head": 1}),
        "diracnet18v2": (18, {"stem": 1, "head": 1}),
        "menet108_8x1_g3": (98, {"stem": 1, "head": 1}),
        "condensenet74_c4_g4": (74, {"stem": 1, "conv1": 36, "conv2": 36, "head": 1}),
    },
}
"""Architecture -> its layers (weights beyond vectors, and the parts of fused ones), and how many of some roles."""


def make(code: str, folder: Path, *words: str) -> None:
    """Run code in a process of its own; the test is skipped where the libraries are not installed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(folder), *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin", "HOME": str(folder)},
    )
    assert done.returncode == 0, done.stderr[-2000:]


def taken_apart(path: Path) -> list[Layer]:
    """Layers of a checkpoint, after everything in it was accounted for."""
    checkpoint = open_checkpoint(str(path))
    found, skips = layers(checkpoint.tensors, checkpoint.config)
    listed = Counter([layer.ref.name for layer in found] + [skip.tensor for skip in skips])
    assert set(listed) == {ref.name for ref in checkpoint.tensors}
    assert not {layer.ref.name for layer in found} & {skip.tensor for skip in skips}
    wrong = [(skip.tensor, skip.reason, skip.detail) for skip in skips if skip.failed]
    assert not wrong, wrong
    matrices = {
        ref.name for ref in checkpoint.tensors if ref.name.endswith("weight") and sum(n > 1 for n in ref.shape) > 1
    }
    assert matrices <= {layer.ref.name for layer in found}, "every weight matrix is a layer"
    assert len({layer.longname for layer in found}) == len(found)
    return found


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="transformers is not installed")
def test_transformers_families(tmp_path: Path) -> None:
    make(TRANSFORMERS, tmp_path)
    for name, roles in EXPECTED.items():
        found = taken_apart(tmp_path / name)
        counted = Counter(layer.group for layer in found)
        del counted[None]
        assert dict(counted) == roles, name
        assert len({layer_hash(layer) for layer in found}) == len(found), f"{name}: random weights are all different"
        for layer in found:
            assert read_layer(layer).shape == layer.shape
        config: dict[str, Any] = json.loads((tmp_path / name / "config.json").read_text())
        embeddings = {layer.shape[0] for layer in found if layer.layer_type == "embedding"}
        assert config.get("vocab_size", 64) in embeddings or name == "vit"


@pytest.mark.slow
@pytest.mark.parametrize("library", VISION_NAMES)
def test_vision_architectures(tmp_path: Path, library: str) -> None:
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    make(VISION, tmp_path, library, *VISION_NAMES[library])
    for name, (count, roles) in VISION_NAMES[library].items():
        found = taken_apart(tmp_path / f"{name}.pth")
        counted = Counter(layer.group for layer in found)
        assert {role: counted[role] for role in roles} == roles, name
        assert len(found) == count, name
        (tmp_path / f"{name}.pth").unlink()
