"""A warehouse on the hub: the real client commits to the loopback server, and what it holds is read back."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from tests.jobs.zoos import make_zoo
from tests.loopback import Loopback
from tests.warehouse.test_travel import installed
from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query

NAME = "someone/spectra"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("publish")
    make_zoo(folder / "zoo", models=2, width=32)
    words = ["zoo=local", f"zoo.path={folder / 'zoo'}", "cluster=inline", f"warehouse.dir={folder / 'data'}"]
    assert main(["scan", *words]) == 0
    return folder / "data"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with Loopback() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", "hf_writer")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        yield server


def files(hub: Loopback) -> dict[str, bytes]:
    repo = hub.content.repo(f"datasets/{NAME}")
    assert repo is not None
    return {name: body for name, body in repo.files.items() if isinstance(body, bytes)}


def published(data: Path, *words: str) -> int:
    return main(["publish", NAME, f"warehouse.dir={data}", *words])


def test_tables_and_card_are_committed_and_read_back(data: Path, hub: Loopback) -> None:
    assert published(data) == 0
    held = files(hub)
    assert set(held) == {
        "README.md",
        *(
            f"data/{name}.parquet"
            for name in ("models", "reported_metrics", "layers", "layer_metrics", "model_metrics")
        ),
        *("data/skipped.parquet", "data/runs.parquet"),
    }
    sent = pq.read_table(io.BytesIO(held["data/layer_metrics.parquet"]))
    kept = query(data, "SELECT * FROM layer_metrics ORDER BY model_id, revision, layer_id, unfold, profile")
    assert sent.to_pylist() == kept.to_pylist()
    assert sent.schema.field("alpha").metadata[b"unit"] == b"1"
    _, front, text = held["README.md"].decode().split("---\n", 2)
    card = yaml.safe_load(front)
    configurations = {entry["config_name"]: entry["data_files"] for entry in card["configs"]}
    assert set(configurations.values()) == set(held) - {"README.md"}
    assert all(f"## {name}" in text for name in configurations)
    assert "Exponent of the power law" in text
    repo = hub.content.repo(f"datasets/{NAME}")
    assert repo is not None
    assert repo.fields["visibility"] == "private"


def test_nothing_of_this_machine_is_sent(data: Path, hub: Loopback) -> None:
    assert published(data, "spectra=true") == 0
    place = str(data.parent).encode()
    for name, body in files(hub).items():
        texts = [body] if name.endswith(".md") else [str(pq.read_table(io.BytesIO(body)).to_pylist()).encode()]
        assert not any(place in text for text in texts), name


def test_only_what_changed_is_sent_again(data: Path, hub: Loopback, capsys: pytest.CaptureFixture[str]) -> None:
    assert published(data, "spectra=true") == 0
    parts = {name for name in files(hub) if name.startswith("parts/")}
    assert parts
    assert (
        sum(len(pq.read_table(io.BytesIO(files(hub)[name]))) for name in parts)
        == query(data, "SELECT count(*) AS n FROM spectra")["n"][0].as_py()
    )
    hub.log.clear()
    capsys.readouterr()
    assert published(data, "spectra=true") == 0
    assert "0 files, 0 bytes sent" in capsys.readouterr().out
    assert not [seen for seen in hub.log if seen.method != "GET"]
    repo = hub.content.repo(f"datasets/{NAME}")
    assert repo is not None
    changed = {**repo.files, "data/models.parquet": b"another", "data/gone.parquet": b"old", "mine.txt": b"kept"}
    repo.files = changed
    repo.__dict__.pop("hashes", None)
    assert published(data, "spectra=true") == 0
    out = capsys.readouterr().out
    assert "sent data/models.parquet\nremoved data/gone.parquet\n1 files" in out
    assert files(hub)["mine.txt"] == b"kept"
    assert "data/gone.parquet" not in files(hub)
    assert len([seen for seen in hub.log if seen.method == "PUT"]) <= 1


def test_dry_sends_nothing(data: Path, hub: Loopback, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    assert published(data, "dry=true") == 0
    assert "would send data/models.parquet" in capsys.readouterr().out
    assert not [seen for seen in hub.log if seen.method != "GET"]


@pytest.mark.parametrize(
    ("token", "words", "status", "message"),
    [
        ("hf_writer", ["nope"], 2, "expected OWNER/NAME"),
        (None, [NAME], 2, "HF_TOKEN is not set"),
        ("hf_other", [NAME], 1, "Invalid username or password"),
        ("hf_writer", [NAME, "warehouse.dir=none"], 2, "no warehouse at"),
    ],
)
def test_refusals_are_one_line(
    token: str | None, words: list[str], status: int, message: str, data: Path, hub: Loopback, capsys, monkeypatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    assert main(["publish", f"warehouse.dir={data}", *words]) == status
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


LOAD = """
import sys
sys.path.insert(0, sys.argv[1])
from datasets import load_dataset
rows = load_dataset(sys.argv[2], "model_metrics", split="train")
print(rows.num_rows, rows[0]["model_id"], rows[0]["alpha"])
"""


@pytest.mark.slow
def test_the_library_of_data_sets_reads_it(data: Path, hub: Loopback, tmp_path: Path) -> None:
    libraries = installed(tmp_path / "libraries", "datasets")
    assert published(data) == 0
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-c", LOAD, str(libraries), NAME]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = query(data, "SELECT * FROM model_metrics ORDER BY model_id").to_pylist()
    assert done.stdout.split() == [str(len(rows)), rows[0]["model_id"], str(rows[0]["alpha"])]
