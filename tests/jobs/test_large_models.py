"""A model too large for one task: the same rows as for a small one, by pieces that are read once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from tests.jobs.test_scan import contents, counts, scan
from tests.jobs.zoos import weights
from zoospectra.jobs.work import engine, pieces
from zoospectra.jobs.work.analyse import analyse
from zoospectra.jobs.work.pieces import Piece, ReadPiece, read_piece
from zoospectra.warehouse.parts import list_parts
from zoospectra.warehouse.query import query
from zoospectra.zoo.checkpoint.trouble import CheckpointError
from zoospectra.zoo.sources import fingerprint


def tensors() -> dict[str, torch.Tensor]:
    """Everything that reading tells: copies, a transpose, zeros, NaN, a table of sinusoids, ties."""
    state = weights(0)
    zeros = torch.zeros(64, 48)
    angles = torch.arange(40)[:, None] / 10 ** (torch.arange(16)[None, :] / 4)
    damaged = torch.randn(20, 20)
    damaged[3, 3] = torch.nan
    state |= {"module.fc1.weight": state["fc1.weight"].clone(), "turned.weight": state["fc1.weight"].T.contiguous()}
    state |= {"zeros.0.weight": zeros, "zeros.1.weight": zeros.clone(), "zeros.2.weight": zeros.T.contiguous()}
    state |= {"bad.weight": damaged, "table": torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)}
    return state | {"half.weight": torch.randn(96, 40).bfloat16(), "head.weight": state["embed.weight"].clone()}


def save(folder: Path, state: dict[str, torch.Tensor]) -> None:
    """A model's folder with its tensors in two shards."""
    folder.mkdir(parents=True, exist_ok=True)
    names = list(state)
    shards = {f"model-0000{n}-of-00002.safetensors": names[n - 1 :: 2] for n in (1, 2)}
    for file, own in shards.items():
        save_file({name: state[name] for name in own}, folder / file)
    where = {name: file for file, own in shards.items() for name in own}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    (folder / "config.json").write_text('{"model_type": "toy"}')


def stored(data: Path) -> list[tuple[str, ...]]:
    """Content, unfold rule and slice of every spectrum in the parts."""
    names = ["content_hash", "unfold", "slice_id"]
    tables = [pq.read_table(part.path, columns=names) for part in list_parts(data, ["spectra"])]
    return [tuple(row.values()) for table in tables for row in table.to_pylist()]


def told(data: Path) -> dict[str, list[dict[str, object]]]:
    """What a scan says of its layers, but for what pins the bytes."""
    own = {"revision", "weights_sha256"}
    spectra = "SELECT * FROM spectra SEMI JOIN layers USING (content_hash) ORDER BY ALL"
    tables = contents(data) | {"spectra": query(data, spectra)}
    return {name: table.drop_columns(own & set(table.column_names)).to_pylist() for name, table in tables.items()}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The warehouse of a zoo with one model, read in one go; the zoo lies beside it."""
    folder = tmp_path_factory.mktemp("small")
    save(folder / "zoo" / "net", tensors())
    assert scan(folder / "zoo", folder / "data") == 3
    return folder / "data"


@pytest.fixture(autouse=True)
def large(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model of files counts as large."""
    monkeypatch.setattr(fingerprint, "LARGE", 0)


def test_both_ways_give_the_same_rows(small: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert scan(small.parent / "zoo", data) == 3
    expected, rows = told(small), told(data)
    for name, table in expected.items():
        assert rows[name] == table, name
    assert counts(small) == counts(data)
    reasons = {row["tensor"]: row["reason"] for row in rows["skipped"]}
    assert reasons["turned.weight"] == reasons["module.fc1.weight"] == "copy"
    assert reasons["bad.weight"] == "non_finite"
    sketches = "SELECT * EXCLUDE (written) FROM sketches ORDER BY content_hash"
    assert query(small, sketches).equals(query(data, sketches))
    (model,) = query(data, "SELECT revision, weights_sha256 FROM models").to_pylist()
    assert model["revision"].startswith("files-")
    assert model["weights_sha256"] is None


@pytest.mark.slow
def test_a_changed_tensor_is_computed_alone_and_a_twin_stores_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo, data = tmp_path / "zoo", tmp_path / "data"
    save(zoo / "net", weights(0))
    assert scan(zoo, data) == 0
    save(zoo / "net", weights(0) | {"fc2.weight": torch.randn(10, 128)})
    save(zoo / "twin", weights(0))
    capsys.readouterr()
    assert scan(zoo, data) == 0
    assert "(1 tensors analysed now, 0 fitted from stored spectra)" in capsys.readouterr().out
    assert len(stored(data)) == len(set(stored(data)))
    assert len({content_hash for content_hash, *_ in stored(data)}) == 5


def test_an_interrupted_scan_goes_on_and_bytes_that_change_meanwhile_are_met(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo, data = shutil.copytree(small.parent / "zoo", tmp_path / "zoo"), tmp_path / "data"
    shard = zoo / "net" / "model-00001-of-00002.safetensors"
    begun: list[Piece] = []

    def interrupted(piece: Piece) -> ReadPiece:
        if len(begun) == 3:
            raise KeyboardInterrupt
        begun.append(piece)
        return read_piece(piece)

    def meanwhile(piece: Piece) -> ReadPiece:
        begun.append(piece)
        os.utime(shard)
        return read_piece(piece)

    def names() -> list[str]:
        return [item.layer.longname for piece in begun for item in piece.items if item.layer]

    apart = "shard_seconds=0.00001"
    monkeypatch.setattr(engine, "read_piece", interrupted)
    assert scan(zoo, data, apart) == 130
    first = set(names())
    assert len(first) == 3
    begun.clear()
    monkeypatch.setattr(engine, "read_piece", lambda piece: begun.append(piece) or read_piece(piece))
    assert scan(zoo, data, apart) == 3
    assert not first & set(names()), "read twice"
    assert told(data) == told(small)
    assert len(stored(data)) == len(set(stored(data)))

    os.utime(shard)
    monkeypatch.setattr(engine, "read_piece", meanwhile)
    assert scan(zoo, data) == 3
    rows = query(data, "SELECT reason FROM skipped WHERE tensor IS NULL").to_pylist()
    assert rows == [{"reason": "changed_meanwhile"}]
    monkeypatch.setattr(pieces, "analyse", lambda shard_: (os.utime(shard), analyse(shard_))[1])
    with pytest.raises(CheckpointError, match="changed while"):
        read_piece(next(piece for piece in begun if piece.items[0].layer.ref.path == str(shard)))


KILLED = """import sys
from zoospectra.jobs.main import main
from zoospectra.zoo.sources import fingerprint
fingerprint.LARGE = 0
sys.exit(main())
"""


@pytest.mark.slow
def test_a_driver_killed_early_leaves_what_is_finished_and_nothing_twice(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 once the first, and once some layers are on disk: the next run analyses none of these again."""
    zoo, data = small.parent / "zoo", tmp_path / "data"
    words = ["scan", "zoo=local", f"zoo.path={zoo}", "cluster=inline", f"warehouse.dir={data}", "shard_seconds=0.00001"]
    command = [sys.executable, "-c", KILLED, *words, "warehouse.log_seconds=0.001"]
    for least in (1, 3):
        job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while job.poll() is None and len(list(data.glob("parts/log/spectra-*.parquet"))) < least:
            time.sleep(0.001)
        job.kill()
        assert job.wait() == -signal.SIGKILL
    before, done = {content_hash for content_hash, *_ in stored(data)}, set[str]()
    assert before

    def counted(piece: Piece) -> ReadPiece:
        read = read_piece(piece)
        computed = read.analysed.tables.get("spectra")
        done.update(computed["content_hash"].to_pylist() if computed else ())
        return read

    monkeypatch.setattr(engine, "read_piece", counted)
    assert scan(zoo, data) == 3
    assert done
    assert not done & before, "spectra computed twice; what a kill left between its parts is fitted only"
    assert told(data) == told(small)
    assert len(stored(data)) == len(set(stored(data)))
