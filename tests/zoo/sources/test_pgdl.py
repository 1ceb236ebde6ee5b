"""The contest's nets: a folder and a real archive in its layout, made on the spot; ranges over a loopback server."""

from __future__ import annotations

import hashlib
import json
import threading
import urllib.request
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from zoospectra.zoo import archive
from zoospectra.zoo.sources import pgdl

LAYERS = [{"layer_name": "Conv2D", "filters": 4, "kernel_size": 3}, {"layer_name": "Dense", "units": 10}]
IMAGES = 3_000_000


def weights(seed):
    """Keras HDF5 bytes of two kernels."""
    h5py = pytest.importorskip("h5py")
    generator = np.random.default_rng(seed)
    file = h5py.File(f"weights-{seed}", "w", driver="core", backing_store=False)
    file["conv2d/conv2d/kernel:0"] = generator.standard_normal((3, 3, 3, 4)).astype("f4")
    file["dense/dense/kernel:0"] = generator.standard_normal((64, 10)).astype("f4")
    file.flush()
    content = file.id.get_file_image()
    file.close()
    return content


def configs(ids):
    return {
        key: {
            "hparams": {
                "batchsize": {"current_value": 32 * (1 + index), "possible_values": [32, 64]},
                "Weight Decay": {"current_value": 0.001, "possible_values": [0.0, 0.001]},
                "path": {"current_value": 2, "possible_values": [1, 2]},
                "dropout": {"current_value": True, "possible_values": [True, False]},
            },
            "metrics": {"train_acc": 0.99, "test_acc": 0.75 + 0.05 * index, "train_loss": 0.01, "other": 3},
        }
        for index, key in enumerate(ids)
    }


@pytest.fixture(scope="module")
def contents():
    """Path inside the archive -> bytes, with both spellings of ids and the metrics apart from the models."""
    files = {"public_data/input_data/task1_v4/dataset_1/train/shard_0.bin": np.random.default_rng(0).bytes(IMAGES)}
    for task, ids in {"task1_v4": ["20", "21"], "task2_v1": ["7"]}.items():
        for key in ids:
            folder = f"public_data/input_data/{task}/model_{key}"
            files[f"{folder}/config.json"] = json.dumps(LAYERS).encode()
            files[f"{folder}/weights.hdf5"] = weights(int(key))
            files[f"{folder}/weights_init.hdf5"] = weights(100 + int(key))
    files["public_data/reference_data/task1_v4/model_configs.json"] = json.dumps(configs(["20", "21"])).encode()
    files["public_data/reference_data/task2_v1/model_configs.json"] = json.dumps(configs(["model_7"])).encode()
    del files["public_data/input_data/task2_v1/model_7/weights_init.hdf5"]
    return files


@pytest.fixture(scope="module")
def packed(contents, tmp_path_factory):
    path = tmp_path_factory.mktemp("pgdl") / "public_data.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in contents.items():
            file.writestr(name, content)
    return path


def check(models):
    assert [model.name for model in models] == ["task1_v4/model_20", "task1_v4/model_21", "task2_v1/model_7"]
    first, second, other = models
    assert (first.model_id, first.series, first.dataset) == ("pgdl/task1_v4/model_20", "task1_v4", "cifar-10")
    assert (other.series, other.dataset, other.licence) == ("task2_v1", "svhn", "Apache-2.0")
    assert [model.extra["batchsize"] for model in models] == [32, 64, 32]
    assert (first.extra["weight_decay"], first.extra["hp_path"], first.extra["dropout"]) == (0.001, 2, 1)
    for model, test in ((first, 0.75), (second, 0.8), (other, 0.75)):
        numbers = {one.metric: (one.value, one.higher_is_better) for one in model.metrics}
        assert set(numbers) == {"train_accuracy", "test_accuracy", "train_loss", "generalisation_gap"}
        assert numbers["train_accuracy"] == (0.99, True)
        assert numbers["test_accuracy"] == (pytest.approx(test), True)
        assert numbers["train_loss"] == (0.01, False)
        assert numbers["generalisation_gap"] == (pytest.approx(0.99 - test), False)


def test_a_folder(contents, tmp_path):
    for name, content in contents.items():
        where = tmp_path / name
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(content)
    models = pgdl.crawl(str(tmp_path))
    check(models)
    stem = "public_data/input_data/task1_v4/model_20/"
    digest = hashlib.sha256(contents[stem + "weights.hdf5"]).hexdigest()
    assert models[0].revision == models[0].weights_sha256 == digest
    assert models[0].path == str(tmp_path / stem / "weights.hdf5")
    assert models[0].extra["initial_weights"] == str(tmp_path / stem / "weights_init.hdf5")
    assert "initial_weights" not in models[2].extra


class Ranges(BaseHTTPRequestHandler):
    """A file server that knows Range, and forgets it when told to."""

    def do_GET(self):
        content = self.server.content
        self.server.requests.append(self.headers["Range"])
        if self.server.ignores_range:
            start, stop, status = 0, len(content), 200
        else:
            first, last = self.headers["Range"].removeprefix("bytes=").split("-")
            start, stop, status = int(first), int(last) + 1, 206
        self.send_response(status)
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        self.wfile.write(content[start:stop])

    def log_message(self, *words):
        pass


@pytest.fixture
def server(packed):
    http = ThreadingHTTPServer(("127.0.0.1", 0), Ranges)
    http.content, http.requests, http.ignores_range = packed.read_bytes(), [], False
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield http
    http.shutdown()
    thread.join()
    http.server_close()


def read_range(url, start, stop):
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-{stop - 1}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read()


def test_an_archive_far_away_costs_its_directory_and_what_is_wanted(server, contents, tmp_path):
    url = f"http://127.0.0.1:{server.server_port}/public_data.zip"
    far = archive.open_archive(url, len(server.content), read_range)
    models = pgdl.crawl_archive(far, url)
    check(models)
    first, _, other = models
    assert (first.weights_url, first.path, first.weights_sha256) == (url, "", None)
    wanted = contents[first.extra["member"]]
    assert first.extra["member_bytes"] == len(wanted)
    target = tmp_path / "weights.hdf5"
    assert archive.fetch_member(far, first.extra["member"], target, limit=len(wanted)) == target
    assert target.read_bytes() == wanted
    assert archive.fetch_member(far, first.extra["initial_member"], target, limit=1 << 20).read_bytes() != wanted
    assert "initial_member" not in other.extra
    assert list(tmp_path.iterdir()) == [target]
    cost = sum(int(b) - int(a) + 1 for a, b in (words[6:].split("-") for words in server.requests))
    assert cost < IMAGES / 3 < len(server.content)


def test_a_server_that_ignores_range_is_found_out(server):
    server.ignores_range = True
    url = f"http://127.0.0.1:{server.server_port}/public_data.zip"
    with pytest.raises(ValueError, match="is Range ignored"):
        archive.open_archive(url, len(server.content), read_range)


def near(content):
    return lambda url, start, stop: content[start:stop]


def test_a_wrong_checksum_leaves_nothing_behind(packed, contents, tmp_path):
    content = bytearray(packed.read_bytes())
    member = "public_data/input_data/task1_v4/model_20/weights.hdf5"
    with zipfile.ZipFile(packed) as whole:
        info = whole.getinfo(member)
    middle = info.header_offset + 30 + len(member) + info.compress_size // 2
    content[middle] ^= 0xFF
    far = archive.open_archive("far", len(content), near(bytes(content)))
    with pytest.raises(ValueError, match="cannot be unpacked"):
        archive.fetch_member(far, member, tmp_path / "weights.hdf5", limit=1 << 20)
    assert list(tmp_path.iterdir()) == []


def test_bounds(packed, tmp_path):
    content = packed.read_bytes()
    member = "public_data/input_data/task1_v4/model_20/weights.hdf5"
    with pytest.raises(ValueError, match="more than 1000 bytes"):
        archive.open_archive("far", len(content), near(content), budget=1000)
    far = archive.open_archive("far", len(content), near(content))
    with pytest.raises(ValueError, match="more than the 100 that are allowed"):
        archive.fetch_member(far, member, tmp_path / "w", limit=100)
    with pytest.raises(ValueError, match="cannot be unpacked"):
        archive.fetch_member(far, "../outside", tmp_path / "w", limit=100)
    with pytest.raises(ValueError, match="no ZIP archive"):
        archive.open_archive("far", 5000, near(b"\0" * 5000))
    with pytest.raises(ValueError, match="no ZIP archive"):
        archive.open_archive("far", len(content) - 100, near(content))


def test_a_member_that_lies_about_its_size_is_cut_off(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("task1_v4/model_1/weights.hdf5", b"\0" * 5_000_000)
    content = path.read_bytes().replace((5_000_000).to_bytes(4, "little"), (50).to_bytes(4, "little"))
    far = archive.open_archive("far", len(content), near(content))
    with pytest.raises(ValueError, match="unpack"):
        archive.fetch_member(far, "task1_v4/model_1/weights.hdf5", tmp_path / "w", limit=100)
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("content", [b"{", b"[1]", b'{"1": 3}', b'{"1": {"hparams": []}}'])
def test_a_malformed_model_configs_is_named(tmp_path, content):
    folder = tmp_path / "task1_v4" / "model_1"
    folder.mkdir(parents=True)
    (folder / "weights.hdf5").write_bytes(b"x")
    (tmp_path / "task1_v4" / "model_configs.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"task1_v4/model_configs\.json"):
        pgdl.crawl(str(tmp_path))


def test_a_folder_without_models_or_with_links_that_leave_it(tmp_path):
    with pytest.raises(ValueError, match="no such folder"):
        pgdl.crawl(str(tmp_path / "none"))
    inside = tmp_path / "zoo" / "task1_v4" / "model_1"
    inside.mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"x")
    (inside / "weights.hdf5").symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match=r"holds no <task>/model_<id>/weights\.hdf5"):
        pgdl.crawl(str(tmp_path / "zoo"))
