"""The contest's nets: a folder in the layout of its archives, made on the spot."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from zoospectra.zoo.sources import Crawl, pgdl, source

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


def test_a_folder_under_any_name_of_a_zoo(contents, tmp_path):
    for name, content in contents.items():
        where = tmp_path / name
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_bytes(content)
    models = pgdl.crawl(str(tmp_path))
    check(models)
    again = source("pgdl")
    renamed = again.crawl(again.options(path=str(tmp_path)), Crawl("mine", tmp_path, print))
    assert [model.model_id for model in renamed] == [f"mine/{model.name}" for model in models]
    stem = "public_data/input_data/task1_v4/model_20/"
    digest = hashlib.sha256(contents[stem + "weights.hdf5"]).hexdigest()
    assert models[0].revision == models[0].weights_sha256 == digest
    assert models[0].path == str(tmp_path / stem / "weights.hdf5")
    assert models[0].extra["initial_weights"] == str(tmp_path / stem / "weights_init.hdf5")
    assert "initial_weights" not in models[2].extra


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
