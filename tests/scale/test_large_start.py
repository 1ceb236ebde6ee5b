"""A 70-billion checkpoint: analysed within seconds of its start, in the memory that was declared. Slow: `-m slow -s`.

Sparse files of 141 GB: two layers are true, the others are zeros, which are read, hashed and sketched like any.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import psutil
import pytest

from tests.jobs.places import heed_interrupts
from tests.scale.large import llama, write
from zoospectra.jobs.words.profiles import load_profiles
from zoospectra.jobs.work.index import IndexRequest
from zoospectra.jobs.work.pieces import Underway, list_layers, pieces
from zoospectra.warehouse.build import build
from zoospectra.warehouse.identity import ModelId
from zoospectra.warehouse.known import Knowledge
from zoospectra.warehouse.query import query

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
TRUE = tuple(f"model.layers.{block}.self_attn.{side}_proj.weight" for block in (0, 79) for side in "kv")
"""Tensors that are no zeros, the smallest of all: one of them comes first, its block is not promised."""
AFTER = 30.0
"""Seconds that are watched once the first layer is on disk."""
SLACK = 300 << 20
"""Bytes beyond what was declared: the allocator's, and what a worker holds from its last task."""


def anonymous(process: psutil.Process) -> int:
    """Memory that is no file's, bytes: what a mapped file has in memory is given back when it is wanted."""
    return int(re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) << 10


def watch(run: subprocess.Popen, parts: Path) -> tuple[float | None, int, dict[str, int], int]:
    """Seconds to the first layer, the driver's peak, and the peak of every task by its name above an idle worker's."""
    began, first = time.monotonic(), None
    driver, idle = 0, 1 << 60
    tasks: dict[str, int] = defaultdict(int)
    while run.poll() is None and time.monotonic() < began + 900:
        if first is None and list(parts.glob("log/layer_metrics-*")):
            first = time.monotonic() - began
        if first is not None and time.monotonic() > began + first + AFTER:
            break
        for process in psutil.Process(run.pid).children(recursive=True):
            try:
                title = " ".join(process.cmdline()).strip()
                if title.startswith("ray::IDLE"):
                    idle = min(idle, anonymous(process))
                elif title.startswith("ray::read"):
                    name = title.removeprefix("ray::")
                    tasks[name] = max(tasks[name], anonymous(process))
            except (psutil.Error, OSError, TypeError):
                continue
        driver = max(driver, psutil.Process(run.pid).memory_info().rss)
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    run.wait(600)
    return first, driver, tasks, idle


def test_a_70b_checkpoint_starts_within_seconds(tmp_path: Path) -> None:
    zoo, data = tmp_path / "zoo", tmp_path / "data"
    size = write(zoo / "llama", llama(), TRUE)
    words = [f"zoo.path={zoo}", f"warehouse.dir={data}", "zoo=local", "warehouse.log_seconds=0.5"]
    with (tmp_path / "output").open("w") as output:
        command = [sys.executable, "-m", "zoospectra", "scan", *words]
        run = subprocess.Popen(command, stdout=output, stderr=output, preexec_fn=heed_interrupts)  # noqa: PLW1509
        first, driver, tasks, idle = watch(run, data / "parts")
    print((tmp_path / "output").read_text()[-600:])
    request = IndexRequest(ModelId("local/llama", "r"), str(zoo / "llama"))
    underway = Underway(request, list_layers(request))
    knowledge = Knowledge(tmp_path)
    made = pieces(underway, knowledge, tuple(load_profiles(["weightwatcher"])), 1.0, 1 << 40, 1)
    declared = {
        f"read local/llama {piece.items[0].layer.longname}"[:80]: max(item.cost.peak_bytes for item in piece.items)
        for piece in made
        if piece.items[0].layer
    }
    print(f"{size / 1e9:.0f} GB, {len(made)} tasks; first layer after {first} s, driver {driver >> 20} MiB")
    for name, peak in sorted(tasks.items()):
        print(f"{name}: {(peak - idle) >> 20} MiB of {declared[name] >> 20}")
    assert first is not None
    assert driver < 500e6
    assert tasks
    for name, peak in tasks.items():
        assert peak - idle <= declared[name] + SLACK, name
    build(data)
    rows = query(data, "SELECT longname, status FROM layer_metrics").to_pylist()
    assert {row["longname"] + ".weight" for row in rows if row["status"] == "success"}.intersection(TRUE)
