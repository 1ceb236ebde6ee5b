"""The main job on real files: what it finds, what it keeps, what it does not do twice, and what it survives."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
import torch
from safetensors.torch import save_file

from tests.jobs.zoos import make_zoo, weights
from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query

TABLES = ("models", "reported_metrics", "layers", "layer_metrics", "model_metrics", "skipped", "spectra")
NOW = "warehouse.log_seconds=0.001"
"""A result is on disk at once."""
RUN_COLUMNS = {"written", "first_seen", "last_seen", "snapshot", "path", "run_id"}


def scan(zoo: Path, warehouse: Path, *words: str, cluster: str = "inline") -> int:
    return main(["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={warehouse}", f"cluster={cluster}", *words])


def contents(warehouse: Path) -> dict[str, pa.Table]:
    """Everything a scan says about its models, without what names the run."""
    found = {}
    for table in TABLES:
        rows = query(warehouse, f"SELECT * FROM {table} ORDER BY ALL")
        found[table] = rows.select([name for name in rows.column_names if name not in RUN_COLUMNS])
    return found


def counts(warehouse: Path) -> dict[str, int]:
    return query(
        warehouse, "SELECT models, layers, skipped, failed, exit_status FROM runs ORDER BY started DESC LIMIT 1"
    ).to_pylist()[0]


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("scanned")
    zoo = make_zoo(folder / "zoo", models=5)
    assert scan(zoo, folder / "data") == 0
    return zoo, folder / "data"


def test_every_tensor_is_a_layer_or_a_skip_with_a_reason(scanned: tuple[Path, Path]) -> None:
    _zoo, data = scanned
    for number in range(5):
        model_id = f"local/net{number}.safetensors"
        layers = query(data, f"SELECT tensor FROM layers WHERE model_id = '{model_id}'")["tensor"].to_pylist()
        skipped = query(data, f"SELECT tensor, reason FROM skipped WHERE model_id = '{model_id}'").to_pylist()
        assert sorted([*layers, *(row["tensor"] for row in skipped)]) == sorted(weights(number))
        reasons = {row["tensor"]: row["reason"] for row in skipped}
        assert reasons["features.0.bias"] == "vector"
        assert reasons["features.1.running_mean"] == "buffer"
        assert reasons["features.1.num_batches_tracked"] == "buffer"


def test_the_numbers_are_those_of_numpy(scanned: tuple[Path, Path]) -> None:
    _, data = scanned
    row = query(
        data, "SELECT * FROM layer_metrics WHERE model_id = 'local/net0.safetensors' AND longname = 'fc1'"
    ).to_pylist()[0]
    values = torch.linalg.svdvals(weights(0)["fc1.weight"].double()).numpy() ** 2
    assert (row["N"], row["M"], row["Q"], row["rf"], row["num_evals"]) == (128, 64, 2.0, 1, 64)
    assert row["log_norm"] == pytest.approx(__import__("math").log10(values.sum()), rel=1e-12)
    assert row["log_spectral_norm"] == pytest.approx(__import__("math").log10(values.max()), rel=1e-12)
    assert row["status"] == "success"


def test_model_averages_leave_embeddings_out(scanned: tuple[Path, Path]) -> None:
    _, data = scanned
    averages = query(data, "SELECT model_id, num_layers, alpha, rule FROM model_metrics ORDER BY model_id").to_pylist()
    mean = """SELECT avg(alpha) AS alpha, count(*) AS n FROM layer_metrics
              WHERE model_id = 'local/net0.safetensors' AND layer_type <> 'embedding' AND status = 'success'"""
    (expected,) = query(data, mean).to_pylist()
    assert averages[0]["alpha"] == pytest.approx(expected["alpha"], rel=1e-12)
    assert averages[0]["num_layers"] == expected["n"]
    assert "embedding" in averages[0]["rule"]


def test_the_catalog_is_in_the_warehouse(scanned: tuple[Path, Path]) -> None:
    _, data = scanned
    rows = query(
        data, "SELECT model_id, metric, value, higher_is_better FROM reported_metrics ORDER BY model_id"
    ).to_pylist()
    assert rows[3] == {
        "model_id": "local/net3.safetensors",
        "metric": "top1_error",
        "value": 13.0,
        "higher_is_better": False,
    }
    assert query(data, "SELECT DISTINCT series FROM models ORDER BY 1")["series"].to_pylist() == ["even", "odd"]


def test_an_unchanged_zoo_is_not_read_again(scanned: tuple[Path, Path], tmp_path: Path) -> None:
    zoo, data = (shutil.copytree(path, tmp_path / path.name, copy_function=shutil.copy2) for path in scanned)
    scan(zoo, data)  # the copy has other paths, so this scan looks at every file once
    before = contents(data)
    for file in zoo.glob("*.safetensors"):  # same size and time, other bytes: whoever reads them fails
        stat = file.stat()
        file.write_bytes(b"\xff" * stat.st_size)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert scan(zoo, data) == 0
    after = contents(data)
    assert all(before[table].equals(after[table]) for table in TABLES)


def test_removing_a_part_computes_what_was_in_it_only(
    scanned: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo, data = (shutil.copytree(path, tmp_path / path.name, copy_function=shutil.copy2) for path in scanned)
    save_file(weights(77), zoo / "late.safetensors")
    assert scan(zoo, data) == 0
    before = contents(data)
    late = max((data / "parts" / "log").glob("layer_metrics-*.parquet"))
    late.with_name(late.name.replace("layer_metrics", "spectra")).unlink()
    late.unlink()
    stamps = {path: path.stat().st_mtime_ns for path in (data / "parts" / "log").glob("*.parquet")}
    capsys.readouterr()
    assert scan(zoo, data) == 0
    assert "(4 tensors analysed now, 0 fitted from stored spectra)" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    after = contents(data)
    assert all(before[table].equals(after[table]) for table in TABLES)


def test_the_same_bytes_are_analysed_once_and_fill_every_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo = make_zoo(tmp_path / "zoo", models=1)
    shutil.copy(zoo / "net0.safetensors", zoo / "copy.safetensors")
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in weights(0).items()}}, zoo / "same.pth")
    assert scan(zoo, tmp_path / "data") == 0
    assert "(4 tensors analysed now, 0 fitted from stored spectra)" in capsys.readouterr().out
    rows = query(
        tmp_path / "data", "SELECT longname, count(*) AS n, count(DISTINCT alpha) AS d FROM layer_metrics GROUP BY 1"
    )
    assert {(row["n"], row["d"]) for row in rows.to_pylist() if row["longname"] != "fc2"} == {(3, 1)}


@pytest.mark.ray
@pytest.mark.parametrize("words", [["cluster.cpus=2"], ["cluster.cpus=1", "shard_seconds=0.001"]])
def test_ray_and_inline_agree_bit_for_bit(scanned: tuple[Path, Path], tmp_path: Path, words: list[str]) -> None:
    zoo, data = scanned
    assert scan(zoo, tmp_path / "data", *words, cluster="local") == 0
    one, other = contents(data), contents(tmp_path / "data")
    for table in TABLES:
        assert one[table].equals(other[table]), table


def test_a_retrained_file_is_a_new_revision_and_the_newest_counts(tmp_path: Path) -> None:
    zoo, data = make_zoo(tmp_path / "zoo", models=2), tmp_path / "data"
    assert scan(zoo, data) == 0
    save_file(weights(77), zoo / "net0.safetensors")
    assert scan(zoo, data) == 0
    count = query(data, "SELECT count(*) AS n FROM layers WHERE model_id = 'local/net0.safetensors'").to_pylist()[0][
        "n"
    ]
    assert count == 4
    assert query(data, "SELECT count(*) AS n FROM layers_history").to_pylist()[0]["n"] == 3 * 4
    revisions = "SELECT count(*) AS n FROM models WHERE model_id = 'local/net0.safetensors'"
    assert query(data, revisions).to_pylist()[0]["n"] == 2


def test_bad_files_are_rows_and_the_good_ones_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo, data = make_zoo(tmp_path / "zoo", models=2), tmp_path / "data"
    whole = (zoo / "net0.safetensors").read_bytes()
    (zoo / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (zoo / "text.pth").write_text("this is not a checkpoint")
    (zoo / "empty.pt").write_bytes(b"")
    (zoo / "net.onnx").write_bytes(b"\x08\x07\x12\x07pytorch")
    marker = tmp_path / "executed"

    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {marker}",)

    (zoo / "hostile.pkl").write_bytes(pickle.dumps({"state_dict": Hostile()}))
    bad = weights(5)
    bad["fc1.weight"][3, 3] = float("nan")
    save_file(bad, zoo / "nan.safetensors")
    assert scan(zoo, data) == 3
    rows = {
        (row["model_id"], row["tensor"]): row for row in query(data, "SELECT * FROM skipped WHERE failed").to_pylist()
    }
    assert rows[("local/cut.safetensors", None)]["reason"] == "unreadable"
    assert rows[("local/text.pth", None)]["reason"] == "unreadable"
    assert rows[("local/empty.pt", None)]["reason"] == "unreadable"
    assert rows[("local/net.onnx", None)]["reason"] == "unsupported_format"
    assert rows[("local/nan.safetensors", "fc1.weight")]["reason"] == "non_finite"
    assert ("local/hostile.pkl", None) in rows
    assert not marker.exists()
    assert "Traceback" not in "".join(capsys.readouterr())
    fitted = query(data, "SELECT DISTINCT model_id FROM layer_metrics WHERE status = 'success'")["model_id"].to_pylist()
    assert {"local/net0.safetensors", "local/net1.safetensors", "local/nan.safetensors"} <= set(fitted)
    assert scan(zoo, data) == 3, "what failed is still failed in a second scan"


@pytest.mark.ray
def test_kill_the_driver_then_rerun_equals_an_uninterrupted_run(tmp_path: Path) -> None:
    zoo = make_zoo(tmp_path / "zoo", models=10, width=512)
    data = tmp_path / "killed"
    words = ["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", "cluster=local", NOW]
    process = subprocess.Popen(
        [sys.executable, "-m", "zoospectra", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not list(data.glob("parts/log/layer_metrics-*.parquet")):
        assert process.poll() is None, "the scan ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(list(data.glob("parts/log/layer_metrics-*.parquet")))
    assert done < 10, "killed too late to show anything"
    assert not list(data.glob("warehouse*.duckdb"))
    assert scan(zoo, data) == 0
    assert scan(zoo, tmp_path / "whole") == 0
    one, other = contents(data), contents(tmp_path / "whole")
    for table in TABLES:
        assert one[table].equals(other[table]), table


@pytest.mark.ray
def test_kill_a_worker_and_the_scan_goes_on(tmp_path: Path) -> None:
    zoo = make_zoo(tmp_path / "zoo", models=10, width=512)
    data = tmp_path / "data"
    words = ["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", "cluster=local", NOW]
    process = subprocess.Popen(
        [sys.executable, "-m", "zoospectra", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    killed = 0
    deadline = time.monotonic() + 120
    while not killed and process.poll() is None and time.monotonic() < deadline:
        for child in psutil.Process(process.pid).children(recursive=True):
            try:
                if child.name().startswith("ray::analyse") and list(data.glob("parts/log/layer*.parquet")):
                    child.kill()
                    killed += 1
            except psutil.NoSuchProcess:
                continue
    _output, errors = process.communicate(timeout=200)
    assert killed, "no worker was seen at work"
    assert process.returncode == 0, errors
    assert scan(zoo, tmp_path / "whole") == 0
    one, other = contents(data), contents(tmp_path / "whole")
    for table in TABLES:
        assert one[table].equals(other[table]), table


def heed_interrupts() -> None:
    """In a child: a process started in the background inherits a deaf ear for SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_interrupt_keeps_what_is_finished(tmp_path: Path) -> None:
    zoo = make_zoo(tmp_path / "zoo", models=10, width=512)
    data = tmp_path / "data"
    words = ["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={data}", "cluster=inline", NOW]
    process = subprocess.Popen(
        [sys.executable, "-m", "zoospectra", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509 - it sets one signal and allocates nothing
    )
    while not list(data.glob("parts/log/layer_metrics-*.parquet")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert errors.strip().splitlines()[-1].startswith("zoospectra scan: interrupted; what was finished is kept")
    assert scan(zoo, data) == 0
    assert counts(data) == {"models": 10, "layers": 40, "skipped": 40, "failed": 0, "exit_status": 0}
