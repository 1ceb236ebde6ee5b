"""20,000 models: memory of the driver, files on disk and an unchanged night. Times are printed, not judged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from zoospectra.warehouse.query import query

ROOT = Path(__file__).resolve().parents[2]
MODELS = 20_000
MEGABYTES = 400
FILES = 200
SCAN = """
import resource, sys, time
from zoospectra.jobs.main import main
status = main()
used = resource.getrusage(resource.RUSAGE_SELF)
print(f"driver: {status} {used.ru_maxrss // 1024} {time.process_time():.1f}")
"""


def scan(zoo: Path, data: Path) -> list[float]:
    """Exit status, peak memory (MB) and CPU seconds of the driver."""
    words = ["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", "cluster=local"]
    command = [sys.executable, "-c", SCAN, *words]
    out = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [float(word) for word in out.splitlines()[-1].split()[1:]]


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(3600)
def test_the_driver_does_not_grow_with_the_zoo(tmp_path: Path) -> None:
    zoo, data = tmp_path / "zoo", tmp_path / "data"
    zoo.mkdir()
    for number in range(MODELS):
        rng = np.random.default_rng(number)
        shapes = {"fc1.weight": (32, 16), "fc2.weight": (48, 24), "fc1.bias": (32,)}
        tensors = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
        (zoo / f"m{number:05d}.safetensors").write_bytes(save(tensors))
    for night in ("first", "unchanged"):
        status, memory, seconds = scan(zoo, data)
        files = sum(path.is_file() for path in data.rglob("*"))
        print(f"{night} night: {seconds} CPU s, {memory} MB, {files} files")
        assert status == 0
        assert memory < MEGABYTES
        assert files < FILES
    assert query(data, "SELECT count(*) AS n FROM layer_metrics").to_pylist() == [{"n": 2 * MODELS}]
