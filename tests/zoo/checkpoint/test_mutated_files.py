"""Files of every format with bytes flipped, cut, put in, repeated and numbers made huge: a model or one line."""

from __future__ import annotations

import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import gguf
import h5py
import numpy as np
import onnx
import pytest
import torch
from safetensors.numpy import save_file

from zoospectra.jobs.main import main

HERE = Path(__file__).parent
MUTATIONS: tuple[Callable[[bytearray, random.Random, int], bytearray], ...] = (
    lambda data, rng, head: data[: rng.randrange(len(data))],
    lambda data, rng, head: (
        data[: (i := rng.randrange(head))] + bytes([data[i] ^ 1 << rng.randrange(8)]) + data[i + 1 :]
    ),
    lambda data, rng, head: data[: (i := rng.randrange(head))] + b"\xff" * 8 + data[i + 8 :],
    lambda data, rng, head: data[: (i := rng.randrange(head))] + data[i + rng.choice((1, 4, 8)) :],
    lambda data, rng, head: data[: (i := rng.randrange(head))] + rng.randbytes(rng.choice((1, 4, 9))) + data[i:],
    lambda data, rng, head: (
        data[: (i := rng.randrange(head))] + data[(j := rng.randrange(head)) : j + 24] + data[i + 24 :]
    ),
    lambda data, rng, head: (
        data[: (i := rng.randrange(head))]
        + rng.choice((2**31 - 1, 2**31, 2**32 - 1, 2**30)).to_bytes(4, "little")
        + data[i + 4 :]
    ),
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One small file a format, each by the library that owns it."""
    folder = tmp_path_factory.mktemp("whole")
    net = torch.nn.Sequential(torch.nn.Linear(24, 16), torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8))
    state = net.state_dict()
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    torch.save(state, folder / "zip.pt")
    torch.save(
        {"epoch": 3, "state_dict": state, "optimizer": torch.optim.Adam(net.parameters()).state_dict()},
        folder / "t.pth",
    )
    torch.save(state, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    save_file(arrays, folder / "a.safetensors")
    np.savez(folder / "a.npz", **arrays)
    np.save(folder / "a.npy", arrays["0.weight"])
    (folder / "a.pkl").write_bytes(pickle.dumps(arrays))
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("model_weights/dense/dense/kernel:0", data=arrays["0.weight"].T)
        file.create_dataset("model_weights/conv/conv/kernel:0", data=np.ones((3, 3, 3, 8), "f4"), compression="gzip")
    weights = [onnx.numpy_helper.from_array(arrays["0.weight"].T.copy(), "w")]
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"], name="dense")
    ends = [onnx.helper.make_tensor_value_info(name, 1, [1, n]) for name, n in (("x", 24), ("y", 16))]
    graph = onnx.helper.make_graph([node], "net", ends[:1], ends[1:], weights)
    onnx.save(onnx.helper.make_model(graph), str(folder / "a.onnx"))
    writer = gguf.GGUFWriter(folder / "a.gguf", "llama")
    codes = gguf.quants.quantize(np.ones((32, 64), "f4"), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("blk.0.attn_k.weight", codes, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("blk.0.attn_q.weight", np.ones((32, 64), "f4"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    for name in ("float32", "int8"):
        shutil.copy(HERE / "formats" / "tflite" / f"{name}.tflite", folder)
    return sorted(folder.iterdir())


@pytest.mark.parametrize("trials", [20, pytest.param(400, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])])
def test_a_damaged_file_is_a_model_or_one_line(
    files: list[Path], trials: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng, seen = random.Random(trials), set()
    for trial in range(trials):
        whole = files[trial % len(files)]
        data = bytearray(whole.read_bytes())
        head = len(data) if rng.random() < 0.4 else min(len(data), 4096)
        path = tmp_path / f"{trial}{whole.suffix}"
        path.write_bytes(rng.choice(MUTATIONS)(data, rng, head))
        status = main(["describe", str(path)])
        printed = capsys.readouterr()
        assert status in (0, 2, 3), (whole.name, trial, printed.err)
        assert "Traceback" not in printed.err
        assert (status == 2) == (printed.err.count("\n") == 1), printed.err
        seen.add(status)
        path.unlink()
    assert seen >= {0, 2}
