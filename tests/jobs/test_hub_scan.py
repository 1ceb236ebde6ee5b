"""A scan of a hub over loopback: headers and wanted ranges travel, faults are survived, the rest are rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.loopback import Loopback, Repo
from tests.zoo.fetch import models
from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query

FILES = {
    "openai-community/gpt2": {
        "config.json": b'{"model_type": "gpt2"}',
        "model.safetensors": models.safetensors(models.gpt2()),
    },
    "meta/llama": {"config.json": b'{"model_type": "llama"}', **models.sharded(models.llama(), 3)},
    "mistral/mixtral": {"config.json": b'{"model_type": "mixtral"}', **models.sharded(models.mixtral(), 2)},
}
HEADER = 100_100  # bytes of a file that are asked for before its header's length is known
QUICK = ["fetch.rate=1000", "fetch.max_wait=5", "fetch.timeout=5"]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Loopback:  # type: ignore[misc]
    with Loopback() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setenv("ZOOSPECTRA_FETCH", "")
        monkeypatch.delenv("ZOOSPECTRA_FETCH")
        server.content.repos = [
            *(Repo(name, files, {"config": {"model_type": name.partition("/")[2]}}) for name, files in FILES.items()),
            Repo("meta/closed", FILES["meta/llama"], gated="manual"),
        ]
        yield server


def scan(data: Path, *words: str) -> int:
    return main(["scan", "zoo=huggingface", f"warehouse.dir={data}", "cluster=inline", *QUICK, *words])


def weights(path: str) -> bool:
    return path.endswith(".safetensors")


def test_only_headers_and_wanted_ranges_travel(hub: Loopback, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert scan(data, "zoo.ids=openai-community/gpt2,meta/llama,mistral/mixtral") == 0
    read = query(data, "SELECT count(DISTINCT model_id) AS n FROM layer_metrics").to_pylist()[0]["n"]
    assert read == 3
    for name, files in FILES.items():
        sizes = [len(body) for file, body in files.items() if weights(file)]
        got = [seen for seen in hub.requests(name) if weights(seen.path) and seen.sent]
        assert got
        assert all(seen.status == 206 for seen in got), "a whole file was sent"
        assert sum(seen.sent for seen in got) < sum(sizes) + HEADER * len(sizes)
    before = len([seen for seen in hub.requests("resolve") if weights(seen.path)])
    assert scan(data, "zoo.ids=openai-community/gpt2,meta/llama,mistral/mixtral") == 0
    after = len([seen for seen in hub.requests("resolve") if weights(seen.path)])
    assert after == before, "nothing of an analysed commit is fetched again"


def test_a_remote_model_has_the_numbers_of_the_local_one(hub: Loopback, tmp_path: Path) -> None:
    assert scan(tmp_path / "remote", "zoo.ids=openai-community/gpt2") == 0
    folder = tmp_path / "zoo" / "gpt2"
    folder.mkdir(parents=True)
    for name, body in FILES["openai-community/gpt2"].items():
        (folder / name).write_bytes(body)
    words = ["zoo=local", f"zoo.path={tmp_path / 'zoo'}", f"warehouse.dir={tmp_path / 'local'}", "cluster=inline"]
    assert main(["scan", *words]) == 0
    columns = "SELECT * EXCLUDE (model_id, revision, written) FROM layer_metrics ORDER BY ALL"
    assert query(tmp_path / "remote", columns).equals(query(tmp_path / "local", columns))


def test_a_gated_model_is_a_row_and_the_others_stay(hub: Loopback, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert scan(data, "zoo.ids=meta/closed,openai-community/gpt2") == 3
    (row,) = query(data, "SELECT reason, detail FROM skipped WHERE failed").to_pylist()
    assert row["reason"] == "gated"
    assert len(hub.requests("meta/closed")) <= 2, "no storm of retries"
    assert query(data, "SELECT count(*) AS n FROM model_metrics").to_pylist()[0]["n"] == 1


@pytest.mark.parametrize("kind", ["throttle", "unavailable", "cut"])
def test_faults_are_survived(hub: Loopback, tmp_path: Path, kind: str) -> None:
    glob = "*gpt2/resolve/*/model.safetensors"
    if kind == "throttle":
        hub.script.add(glob, "status", 1, status=429, headers={"Retry-After": "1"})
    elif kind == "unavailable":
        hub.script.add(glob, "status", 1, 2, status=503)
    else:
        hub.script.add(glob, "cut", 2, after=50_000)
    assert scan(tmp_path / "data", "zoo.ids=openai-community/gpt2") == 0


def test_an_unreachable_model_is_tried_again_by_the_next_run(hub: Loopback, tmp_path: Path) -> None:
    data = tmp_path / "data"
    hub.script.add("*gpt2/resolve/*/model.safetensors", "status", *range(1, 30), status=503)
    assert scan(data, "zoo.ids=openai-community/gpt2", "fetch.attempts=2") == 3
    assert query(data, "SELECT reason FROM skipped WHERE failed").to_pylist() == [{"reason": "unreachable"}]
    hub.script.clear()
    assert scan(data, "zoo.ids=openai-community/gpt2") == 0
