"""The main job on real files, the same tests in every place: one process, Ray here, a real cluster of two nodes.

What it finds, what it keeps, what it does not do twice, and what it survives; every place leaves the tables of one
undisturbed process. Faults of nodes: test_cluster.py; deadlines, memory and deaths of tasks: test_executors.py.
"""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from math import log10
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
import torch
from safetensors.torch import save_file

from tests.jobs import places
from tests.jobs.places import Place
from tests.jobs.zoos import make_zoo, weights
from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query

TABLES = ("models", "reported_metrics", "layers", "layer_metrics", "model_metrics", "skipped", "spectra")
NOW = "warehouse.log_seconds=0.001"
"""A result is on disk at once."""
RUN_COLUMNS = {"written", "first_seen", "last_seen", "snapshot", "path", "run_id"}
BAD = {"cut.safetensors", "text.pth", "empty.pt", "net.onnx", "hostile.pkl", "nan.safetensors"}
COPIES = ("copy.safetensors", "same.pth")
"""The bytes of net0 under other names."""


def words(zoo: Path, warehouse: Path, *more: str) -> list[str]:
    return ["scan", "zoo=local", f"zoo.path={zoo}", f"warehouse.dir={warehouse}", *more]


def scan(zoo: Path, warehouse: Path, *more: str) -> int:
    """In this process."""
    return main([*words(zoo, warehouse, *more), "cluster=inline"])


def contents(warehouse: Path) -> dict[str, pa.Table]:
    """Everything a scan says about its models, without what names the run."""
    found = {}
    for table in TABLES:
        rows = query(warehouse, f"SELECT * FROM {table} ORDER BY ALL")
        found[table] = rows.select([name for name in rows.column_names if name not in RUN_COLUMNS])
    return found


def assert_same(one: Path, other: Path) -> None:
    """The same rows, bit for bit."""
    left, right = contents(one), contents(other)
    for table in TABLES:
        assert left[table].equals(right[table]), table


def counts(warehouse: Path) -> dict[str, int]:
    return query(
        warehouse, "SELECT models, layers, skipped, failed, exit_status FROM runs ORDER BY started DESC LIMIT 1"
    ).to_pylist()[0]


def copied(scanned: tuple[Path, Path], folder: Path) -> tuple[Path, Path]:
    """A zoo and its warehouse to change."""
    zoo, data = (shutil.copytree(path, folder / path.name, copy_function=shutil.copy2) for path in scanned)
    return zoo, data


@pytest.fixture(scope="module", params=[places.INLINE, places.LOCAL, places.NODES])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with places.place(request.param) as opened:
        yield opened


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five nets, one of them three times."""
    zoo = make_zoo(tmp_path_factory.mktemp("good") / "zoo", models=5)
    shutil.copy(zoo / "net0.safetensors", zoo / COPIES[0])
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in weights(0).items()}}, zoo / COPIES[1])
    return zoo


@pytest.fixture(scope="module")
def undisturbed(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Warehouse of one process."""
    data = tmp_path_factory.mktemp("undisturbed") / "data"
    assert scan(zoo, data) == 0
    return data


@pytest.fixture(scope="module")
def scanned(place: Place, zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The zoo and its warehouse, by a scan in that place in many small tasks."""
    data = tmp_path_factory.mktemp("scanned") / "data"
    status, output = place.run(*words(zoo, data, "shard_seconds=0.001"))
    assert status == 0
    assert "(20 tensors analysed now, 0 fitted from stored spectra)" in output
    return zoo, data


def test_every_place_leaves_the_same_tables_bit_for_bit(scanned: tuple[Path, Path], undisturbed: Path) -> None:
    assert_same(scanned[1], undisturbed)


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


def test_the_same_bytes_are_analysed_once_and_fill_every_row(scanned: tuple[Path, Path]) -> None:
    names = ", ".join(f"'local/{name}'" for name in ("net0.safetensors", *COPIES))
    sql = f"SELECT count(*) AS n, count(DISTINCT alpha) AS d FROM layer_metrics WHERE model_id IN ({names})"
    rows = query(scanned[1], f"{sql} AND longname <> 'fc2' GROUP BY longname").to_pylist()
    assert [(row["n"], row["d"]) for row in rows] == [(3, 1)] * 3


def test_the_numbers_are_those_of_numpy(scanned: tuple[Path, Path]) -> None:
    _, data = scanned
    row = query(
        data, "SELECT * FROM layer_metrics WHERE model_id = 'local/net0.safetensors' AND longname = 'fc1'"
    ).to_pylist()[0]
    values = torch.linalg.svdvals(weights(0)["fc1.weight"].double()).numpy() ** 2
    assert (row["N"], row["M"], row["Q"], row["rf"], row["num_evals"]) == (128, 64, 2.0, 1, 64)
    assert row["log_norm"] == pytest.approx(log10(values.sum()), rel=1e-12)
    assert row["log_spectral_norm"] == pytest.approx(log10(values.max()), rel=1e-12)
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
    assert query(data, "SELECT DISTINCT series FROM models ORDER BY 1")["series"].to_pylist() == ["even", "odd", None]


def test_an_unchanged_zoo_is_not_read_again(zoo: Path, undisturbed: Path, tmp_path: Path) -> None:
    zoo, data = copied((zoo, undisturbed), tmp_path)
    assert scan(zoo, data) == 0  # the copy has other paths, so this scan looks at every file once
    before = contents(data)
    for file in zoo.glob("*.safetensors"):  # same size and time, other bytes: whoever reads them fails
        stat = file.stat()
        file.write_bytes(b"\xff" * stat.st_size)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert scan(zoo, data) == 0
    after = contents(data)
    assert all(before[table].equals(after[table]) for table in TABLES)


@pytest.mark.parametrize("place", [places.INLINE, places.LOCAL_SLOW, places.NODES], indirect=True)
def test_a_rescan_computes_what_is_new_or_lost_only(scanned: tuple[Path, Path], place: Place, tmp_path: Path) -> None:
    zoo, data = copied(scanned, tmp_path)
    save_file(weights(77), zoo / "late.safetensors")
    analysed = "(4 tensors analysed now, 0 fitted from stored spectra)"
    status, output = place.run(*words(zoo, data))
    assert (status, analysed in output) == (0, True), output
    before = contents(data)
    late = max((data / "parts" / "log").glob("layer_metrics-*.parquet"))
    max((data / "parts" / "log").glob("spectra-*.parquet")).unlink()
    late.unlink()
    stamps = {path: path.stat().st_mtime_ns for path in (data / "parts" / "log").glob("*.parquet")}
    status, output = place.run(*words(zoo, data))
    assert (status, analysed in output) == (0, True), output
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    after = contents(data)
    assert all(before[table].equals(after[table]) for table in TABLES)


@pytest.fixture(scope="module")
def corrected(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """Fits of a scan under other profiles, one of them by slices, in one process."""
    data = tmp_path_factory.mktemp("corrected")
    assert scan(zoo, data, "profiles=corrected,natcomm2021") == 0
    return fits(data)


def fits(data: Path) -> list[dict[str, object]]:
    sql = "SELECT * EXCLUDE (written) FROM {} WHERE profile <> 'weightwatcher' ORDER BY ALL"
    return [row for table in ("layer_metrics", "slice_metrics") for row in query(data, sql.format(table)).to_pylist()]


@pytest.mark.parametrize("place", [places.INLINE, places.LOCAL_SLOW, places.NODES], indirect=True)
def test_a_refit_without_weights_equals_a_scan(
    scanned: tuple[Path, Path], place: Place, corrected: list[dict[str, object]], tmp_path: Path
) -> None:
    zoo, data = copied(scanned, tmp_path)
    shutil.rmtree(zoo)
    refit = ["refit", "profiles=corrected,natcomm2021", f"warehouse.dir={data}"]
    status, output = place.run(*refit)
    assert (status, "20 tensors fitted under corrected, natcomm2021, 0 known already" in output) == (0, True), output
    assert fits(data) == corrected
    assert "0 tensors fitted under corrected, natcomm2021, 20 known already" in place.run(*refit)[1]


def test_bad_files_are_rows_and_the_good_ones_stay(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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
    status, output = place.run(*words(zoo, data))
    assert status == 3
    rows = {
        (row["model_id"], row["tensor"]): row for row in query(data, "SELECT * FROM skipped WHERE failed").to_pylist()
    }
    assert rows[("local/cut.safetensors", None)]["reason"] == "unreadable"
    assert rows[("local/text.pth", None)]["reason"] == "unreadable"
    assert rows[("local/empty.pt", None)]["reason"] == "unreadable"
    assert rows[("local/net.onnx", None)]["reason"] == "unsupported_format"
    assert rows[("local/nan.safetensors", "fc1.weight")]["reason"] == "non_finite"
    assert ("local/hostile.pkl", None) in rows
    assert {model.removeprefix("local/") for model, _ in rows} == BAD
    assert not marker.exists()
    assert "Traceback" not in "".join([output, *capsys.readouterr()])
    fitted = query(data, "SELECT DISTINCT model_id FROM layer_metrics WHERE status = 'success'")["model_id"].to_pylist()
    assert {"local/net0.safetensors", "local/net1.safetensors", "local/nan.safetensors"} <= set(fitted)
    assert place.run(*words(zoo, data))[0] == 3, "what failed is still failed in a second scan"


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


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zoo whose scan lasts long enough to be disturbed."""
    return make_zoo(tmp_path_factory.mktemp("wide") / "zoo", models=8, width=512)


@pytest.fixture(scope="module")
def whole(wide: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its warehouse, of one undisturbed process."""
    data = tmp_path_factory.mktemp("whole")
    assert scan(wide, data) == 0
    return data


def begun(job: subprocess.Popen[str], data: Path) -> None:
    """Wait until a job has kept its first results."""
    while not list(data.glob("parts/log/layer_metrics-*.parquet")):
        assert job.poll() is None, job.communicate()[1]
        time.sleep(0.005)


@pytest.mark.parametrize("place", [places.INLINE_SLOW, places.LOCAL, places.NODES], indirect=True)
def test_kill_the_driver_then_rerun_equals_an_uninterrupted_run(
    place: Place, wide: Path, whole: Path, tmp_path: Path
) -> None:
    job = place.start(*words(wide, tmp_path, NOW, "shard_seconds=0.01"))
    begun(job, tmp_path)
    job.send_signal(signal.SIGKILL)
    job.communicate()
    assert not list(tmp_path.glob("warehouse*.duckdb")), "killed too late to show anything"
    status, output = place.run(*words(wide, tmp_path))
    assert status == 0, output
    assert "(32 tensors analysed now" not in output, "what was kept is not computed again"
    assert_same(tmp_path, whole)


@pytest.mark.slow
@pytest.mark.parametrize("place", [places.LOCAL, places.NODES], indirect=True)
def test_kill_a_worker_and_the_scan_goes_on(place: Place, wide: Path, whole: Path, tmp_path: Path) -> None:
    job = place.start(*words(wide, tmp_path, NOW, "shard_seconds=0.01"))
    begun(job, tmp_path)
    killed = False
    while not killed and job.poll() is None:
        roots = place.nodes.roots() if place.nodes else [psutil.Process(job.pid)]
        for child in [child for root in roots for child in root.children(recursive=True)]:
            try:
                if not killed and child.name().startswith(("ray::open", "ray::analyse")):
                    child.kill()
                    killed = True
            except psutil.NoSuchProcess:
                continue
    _, errors = job.communicate(timeout=250)
    assert killed, "no worker was seen at work"
    assert job.returncode == 0, errors
    assert_same(tmp_path, whole)


@pytest.mark.parametrize("place", [places.INLINE, places.LOCAL_SLOW, places.NODES], indirect=True)
def test_interrupt_keeps_what_is_finished(place: Place, wide: Path, whole: Path, tmp_path: Path) -> None:
    job = place.start(*words(wide, tmp_path, NOW, "shard_seconds=0.01"))
    begun(job, tmp_path)
    job.send_signal(signal.SIGINT)
    _, errors = job.communicate(timeout=60)
    assert job.returncode == 130, errors
    assert "Traceback" not in errors
    assert errors.strip().splitlines()[-1].startswith("zoospectra scan: interrupted; what was finished is kept")
    assert place.run(*words(wide, tmp_path))[0] == 0
    assert counts(tmp_path) == {"models": 8, "layers": 32, "skipped": 32, "failed": 0, "exit_status": 0}
    assert_same(tmp_path, whole)
