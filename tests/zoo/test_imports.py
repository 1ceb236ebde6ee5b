"""What importing the readers costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parents[2]

HEAVY = ("torch", "scipy", "pyarrow", "h5py", "onnx", "gguf", "sklearn", "safetensors", "httpx", "httpx2")

DESCRIBED = """
import sys
from zoospectra.zoo.checkpoint.formats import open_checkpoint
from zoospectra.zoo.layers.choose import layers
from zoospectra.zoo.layers.values import layer_hash, read_layer

checkpoint = open_checkpoint(sys.argv[1])
chosen, skips = layers(checkpoint.tensors, checkpoint.config)
print([layer.longname for layer in chosen], len(skips), read_layer(chosen[0]).shape, len(layer_hash(chosen[0])))
print(sorted({name.partition(".")[0] for name in sys.modules} & set(sys.argv[2:])))
"""


def test_a_safetensors_file_is_described_without_heavy_packages(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file({"fc.weight": np.ones((3, 2), np.float32), "fc.bias": np.ones(3, np.float32)}, path)
    output = subprocess.run(
        [sys.executable, "-c", DESCRIBED, str(path), *HEAVY], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert output.splitlines() == ["['fc'] 1 (3, 2) 64", "[]"]
