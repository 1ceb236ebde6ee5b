"""q, k and v of timm's nets are those that the net itself multiplies, heads first or not.

timm is imported in a process of its own (see tests/zoo/layers/test_architectures.py); no configuration is given, as in
a file of bare weights: shapes of neighbours must do.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]

NETS = (
    "levit_128s",
    "levit_conv_128s",
    "tiny_vit_5m_224",
    "efficientformer_l1",
    "coatnet_0_rw_224",
    "coatnet_rmlp_nano_rw_224",
    "maxvit_tiny_tf_224",
    "maxvit_rmlp_pico_rw_256",
    "vit_relpos_small_patch16_224",
    "swin_tiny_patch4_window7_224",
    "deit_tiny_patch16_224",
    "visformer_tiny",
    "hiera_tiny_224",
)

CODE = """
import sys, torch, numpy as np
from zoospectra.zoo.sources.packages.snapshots.stub import declare_operators
kept = declare_operators()
import timm
from torch.overrides import TorchFunctionMode
from zoospectra.zoo.checkpoint.tensor import TensorRef
from zoospectra.zoo.checkpoint.view import apply
from zoospectra.zoo.layers.choose import layers
timm.layers.set_fused_attn(False)

def values(array):
    flat = np.asarray(array, np.float64).ravel()
    return np.sort(flat / np.sqrt((flat ** 2).sum()))

def same(one, other):
    return one.shape == other.shape and np.allclose(one, other, atol=1e-5)

class Products(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.seen = []
    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, "__name__", "") in ("matmul", "__matmul__", "bmm"):
            self.seen.append(tuple(value.detach().numpy().copy() for value in args[:2]))
        return func(*args, **(kwargs or {}))

for name in sys.argv[1:]:
    torch.manual_seed(0)
    net = timm.create_model(name).eval()
    state = {key: value for key, value in net.state_dict().items() if value.is_floating_point()}
    refs = [TensorRef(key, "/x", "float32", tuple(value.shape), None, 0, 0) for key, value in state.items()]
    chosen, skips = layers(refs, {})
    fused = next(layer.ref.name for layer in chosen if layer.group == "qkv")
    parts = {layer.group: layer for layer in chosen if layer.ref.name == fused and layer.view}
    assert set(parts) == {"q", "k", "v"}, (name, fused, [s.detail for s in skips if s.reason == "unsplit"])
    module, seen = net.get_submodule(fused.removesuffix(".weight")), []
    with torch.no_grad(), Products() as products:
        for key, value in net.named_parameters():
            if key.endswith("bias"):
                value.zero_()
        hook = module.register_forward_hook(lambda m, a, out: seen.append((a[0], out, len(products.seen))))
        net(torch.randn(1, *net.default_cfg["input_size"]))
    x, out, first = seen[0]
    # BatchNorm behind the projection is the identity up to its eps; LeViT multiplies all heads of all places.
    x, weight = x.numpy(), state[fused].numpy()
    wanted = {}
    for role, layer in parts.items():
        matrix = apply(weight, layer.view).reshape(layer.shape[0], -1)
        wanted[role] = values(np.tensordot(matrix, x, (1, 1 if module.weight.ndim == 4 else x.ndim - 1)))
    after = products.seen[first:first + 4]
    score, mixed = after[0], after[1]
    assert any(same(wanted["q"], values(v)) for v in score), (name, "q")
    assert any(same(wanted["k"], values(v)) for v in score), (name, "k")
    assert any(same(wanted["v"], values(v)) for v in mixed), (name, "v")
print("done")
"""


@pytest.mark.slow
@pytest.mark.oracle
@pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")
def test_timms_nets(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE, *NETS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
