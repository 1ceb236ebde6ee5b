"""Two checkpoints of the shapes of a 7-billion language model are compared within the planned memory, pair by pair.

Four of its 32 blocks, its embedding and its head. The files are sparse: two layers hold values, the others zeros that
take no disk. Peaks are sampled from /proc.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from math import prod
from pathlib import Path

import ml_dtypes
import numpy as np
import psutil
import pytest

from zoospectra.jobs.work.compare import opened
from zoospectra.jobs.work.pair import planned_bytes
from zoospectra.jobs.work.plan import TASK_BYTES

BLOCKS, WIDTH, INNER, WORDS = 4, 4096, 11008, 32000
SHAPES = {"model.embed_tokens.weight": (WORDS, WIDTH), "lm_head.weight": (WORDS, WIDTH)} | {
    f"model.layers.{block}.{name}.weight": shape
    for block in range(BLOCKS)
    for name, shape in {
        **{f"self_attn.{part}_proj": (WIDTH, WIDTH) for part in "qkvo"},
        "mlp.gate_proj": (INNER, WIDTH),
        "mlp.up_proj": (INNER, WIDTH),
        "mlp.down_proj": (WIDTH, INNER),
    }.items()
}
MOVED = "model.layers.2.mlp.down_proj.weight"
"""The layer that differs, of the largest plan."""
SAME = "model.layers.3.self_attn.v_proj.weight"
"""One that does not."""
DRIVER = 200 << 20
"""Anonymous memory of a driver: what it imports, and a row a layer."""
TINY = (64, 32)
"""Shape of the layer by which is measured what a worker holds that has compared."""
LIBRARIES = 500 << 20
"""Pages of libraries, which VmHWM counts too, as it does those of the mapped files."""
CLUSTER = ("cluster=local", "cluster.cpus=2", "format=json")
"""Words that both comparisons share."""


def write(path: Path, values: dict[str, np.ndarray], shapes: dict[str, tuple[int, int]]) -> None:
    """A sparse safetensors file of bfloat16."""
    header, start = {}, 0
    for name, shape in shapes.items():
        size = 2 * prod(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [start, start + size]}
        start += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.truncate(8 + len(text) + start)
        file.write(len(text).to_bytes(8, "little") + text)
        for name, array in values.items():
            file.seek(8 + len(text) + header[name]["data_offsets"][0])
            file.write(array.tobytes())


class Peaks(threading.Thread):
    """Largest RssAnon and VmHWM of a process and of its Ray workers, bytes."""

    def __init__(self, process: psutil.Process) -> None:
        super().__init__(daemon=True)
        self.process, self.done = process, threading.Event()
        self.driver, self.worker = [0, 0], [0, 0]

    def run(self) -> None:
        while not self.done.wait(0.02):
            self._look(self.process.pid, self.driver)
            for child in self.process.children(recursive=True):
                try:
                    if child.name().startswith("ray::"):
                        self._look(child.pid, self.worker)
                except psutil.Error:
                    continue

    @staticmethod
    def _look(process: int, peaks: list[int]) -> None:
        try:
            text = Path(f"/proc/{process}/status").read_text()
        except OSError:
            return
        for n, key in enumerate(("RssAnon", "VmHWM")):
            if match := re.search(rf"{key}:\s+(\d+)", text):
                peaks[n] = max(peaks[n], int(match[1]) << 10)


def idle(folder: Path, rng: np.random.Generator) -> int:
    """Anonymous memory, bytes, of a worker that has compared a tiny layer: imports, threads, heap."""
    for name in "ab":
        values = rng.standard_normal(TINY, dtype=np.float32).astype(ml_dtypes.bfloat16)
        write(folder / f"{name}.safetensors", {"fc.weight": values}, {"fc.weight": TINY})
    rows, peaks = run(["compare", "a.safetensors", "b.safetensors", *CLUSTER], folder)
    assert [row["status"] for row in rows] == ["compared"]
    return peaks.worker[0]


def run(words: Sequence[str], folder: Path) -> tuple[list[dict], Peaks]:
    command = [sys.executable, "-m", "zoospectra", *words]
    with (folder / "out.json").open("w") as out:
        job = subprocess.Popen(command, stdout=out, cwd=folder)
        peaks = Peaks(psutil.Process(job.pid))
        peaks.start()
        assert job.wait() == 0
    peaks.done.set()
    peaks.join()
    return json.loads((folder / "out.json").read_text()), peaks


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(3000)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc to tell memory from files")
def test_two_models_of_seven_billion_stay_within_the_plan(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    base = {
        name: rng.standard_normal(SHAPES[name], dtype=np.float32).astype(ml_dtypes.bfloat16) for name in (MOVED, SAME)
    }
    tuned = base | {MOVED: (base[MOVED].astype(np.float32) * 1.5).astype(ml_dtypes.bfloat16)}
    paths = [tmp_path / f"{name}.safetensors" for name in ("base", "tuned")]
    write(paths[0], base, SHAPES)
    write(paths[1], tuned, SHAPES)
    sides = [opened(str(path), path.stem).layers for path in paths]
    plans = {name: planned_bytes(old, sides[1][name]) for name, old in sides[0].items()}
    planned = plans[MOVED.removesuffix(".weight")]
    assert planned == max(plan for name, plan in plans.items() if "layers" in name)
    files = [path.name for path in paths]
    before = idle(tmp_path, rng)
    rows, peaks = run(["compare", *files, *CLUSTER], tmp_path)
    sizes = [[size >> 20 for size in peak] for peak in (peaks.driver, peaks.worker)]
    held = f"an idle worker holds {before >> 20} MiB"
    print(f"planned {planned >> 20} MiB; {held}; RssAnon and VmHWM of driver and worker, MiB: {sizes}")
    by_name = {row["longname"]: row for row in rows}
    assert len(rows) == len(SHAPES)
    assert {row["longname"] for row in rows if row["status"] == "compared"} == {MOVED.removesuffix(".weight")}
    first = base[MOVED].astype(np.float64)
    expected = np.linalg.norm(tuned[MOVED].astype(np.float64) - first) / np.linalg.norm(first)
    assert by_name[MOVED.removesuffix(".weight")]["distance"] == pytest.approx(expected, rel=1e-9)
    assert by_name[SAME.removesuffix(".weight")]["cosine"] == 1.0
    assert planned / 2 < peaks.worker[0] - before <= planned + TASK_BYTES
    assert peaks.driver[0] <= DRIVER
    assert peaks.worker[1] <= planned + before + LIBRARIES + sum(path.stat().st_size for path in paths)
