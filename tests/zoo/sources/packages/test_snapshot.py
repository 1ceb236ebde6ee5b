"""Snapshots: the file format, versions side by side, and that the files at hand are what the packages say."""

from __future__ import annotations

import gzip
import subprocess
import sys
from dataclasses import replace
from importlib import metadata

import pytest

from zoospectra.zoo.model import Model, ReportedMetric
from zoospectra.zoo.sources.packages.snapshots import make, pytorchcv, table
from zoospectra.zoo.sources.packages.snapshots.table import Snapshot

METRIC = ReportedMetric("cifar-10", "top1_error", 8.5, False, "paper 1.0", "2024-05-06", "8.50")
MODEL = Model(
    "shop/net/v1", "shop", "net", "v1", "", "Net", "cifar-10", "image-classification", "https://x/net.pth",
    licence="MIT", note='says "fine", mostly\nfine', metrics=(METRIC,), extra={"checksum": "sha1:ab", "depth": 3},
)  # fmt: skip


def snapshot(version: str, *models: Model) -> Snapshot:
    return Snapshot("shop", "shop-package", version, "2024-05-06", "https://x", "MIT", models)


def test_what_is_written_is_read(tmp_path):
    written = snapshot("1.0", MODEL, replace(MODEL, model_id="shop/net/v2", revision="v2", metrics=(), note=None))
    path = table.write(written, tmp_path)
    assert path.name == "shop-1.0.csv.gz"
    assert table.read(path) == written
    first = path.read_bytes()
    assert table.write(written, tmp_path).read_bytes() == first


def test_versions_are_ordered_as_numbers_and_stand_side_by_side(tmp_path):
    newer = replace(MODEL, note="new words", metrics=(replace(METRIC, value=8.4, text="8.40", source="paper 1.10"),))
    gone = replace(MODEL, model_id="shop/old/v1", name="old")
    for version, models in {"1.10": (newer,), "1.9": (MODEL, gone), "1.10rc1": (MODEL,)}.items():
        table.write(snapshot(version, *models), tmp_path)
    table.write(replace(snapshot("7.0"), zoo="shop-two"), tmp_path)
    assert table.versions("shop", tmp_path) == ("1.9", "1.10rc1", "1.10")
    (newest,) = table.load("shop", folder=tmp_path)
    assert (newest.note, [metric.value for metric in newest.metrics]) == ("new words", [8.4])
    both = table.load("shop", ["1.10", "1.9"], tmp_path)
    assert [model.name for model in both] == ["net", "old"]
    assert both[0].note == "new words"
    assert [(metric.value, metric.source) for metric in both[0].metrics] == [(8.5, "paper 1.0"), (8.4, "paper 1.10")]


def test_a_version_that_is_not_at_hand_lists_those_that_are(tmp_path):
    table.write(snapshot("1.0", MODEL), tmp_path)
    with pytest.raises(ValueError, match=r"no snapshot of shop 2\.0 .* known: 1\.0; make one with"):
        table.load("shop", ["2.0"], tmp_path)
    with pytest.raises(ValueError, match="known: none"):
        table.load("other", folder=tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no gzip", "no snapshot of a catalog"),
        (gzip.compress(b"name,revision\n", mtime=0), "expected '# key: value'"),
        (gzip.compress(b"# zoo: a\n" * 6, mtime=0), "expected the lines zoo, package"),
    ],
)
def test_files_that_are_no_snapshots_are_refused(tmp_path, content, said):
    path = tmp_path / "a-1.csv.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=said):
        table.read(path)


def test_a_row_that_was_edited_badly_is_named_by_its_line(tmp_path):
    path = table.write(snapshot("1.0", replace(MODEL, note=None)), tmp_path)
    text = gzip.decompress(path.read_bytes()).replace(b"8.5,", b'""eight"",')
    path.write_bytes(gzip.compress(text))
    with pytest.raises(ValueError, match="line 8: not a row of a snapshot"):
        table.read(path)


def test_no_number_may_be_nan(tmp_path):
    with pytest.raises(ValueError, match="Out of range float"):
        table.write(snapshot("1.0", replace(MODEL, metrics=(replace(METRIC, value=float("nan")),))), tmp_path)


@pytest.mark.oracle
@pytest.mark.parametrize("package", make.COLLECTORS)
def test_the_snapshot_at_hand_is_what_the_installed_package_says(package, tmp_path):
    try:
        version = metadata.version(package).partition("+")[0]
    except metadata.PackageNotFoundError:
        pytest.skip(f"{package} is not installed")
    if version not in table.versions(package):
        pytest.skip(f"{package} {version} has no snapshot")
    at_hand = table.FOLDER / f"{package}-{version}.csv.gz"
    made = make.make(package, table.read(at_hand).released, tmp_path)
    assert table.read(made) == table.read(at_hand)


def test_a_wheel_that_breaks_on_import_ends_as_one_line(tmp_path, monkeypatch):
    (tmp_path / "timm").mkdir()
    (tmp_path / "timm" / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    (tmp_path / "timm-9.9.dist-info").mkdir()
    (tmp_path / "timm-9.9.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: timm\nVersion: 9.9\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ValueError, match=r"timm cannot be imported .*torchvision::nms does not exist"):
        make.make("timm", folder=tmp_path)
    (tmp_path / "timm" / "__init__.py").write_text("import os\nos.abort()\n")
    with pytest.raises(ValueError, match="catalog of timm could not be read"):
        make.make("timm", folder=tmp_path)
    assert not list(tmp_path.glob("*.csv.gz"))


def test_make_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="known: pytorchcv, torchvision, timm"):
        make.make("keras")
    with pytest.raises(ValueError, match="expected YYYY-MM-DD"):
        make.make("timm", "yesterday")
    assert make.main([]) == 2


def test_listing_a_zoo_imports_none_of_its_packages():
    code = (
        "import sys\n"
        "from zoospectra.zoo.sources.packages import pytorchcv, timm, torchvision\n"
        "assert len(pytorchcv.crawl()) and len(timm.crawl()) and len(torchvision.crawl())\n"
        "print([name for name in ('pytorchcv', 'timm', 'torchvision') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_metainfos_file_of_another_layout_is_named():
    readme = "## List of implemented models\n- Net (['A net'](x))\n"
    with pytest.raises(ValueError, match="no column 'checksum'"):
        pytorchcv.of_metainfos([{"model_name": "a"}], readme, "test")
    row = {"model_name": "a", "checksum": "0" * 40, "test_dataset": "in1k", "error_value": "0752"}
    row |= {"repo_release_tag": "v1", "model_caption": "Net-1", "net_weights": "7"}
    (model,) = pytorchcv.of_metainfos([row], readme, "test")
    assert (model.series, model.metrics[0].value, model.metrics[0].text) == ("Net", 7.52, "0752")
    with pytest.raises(ValueError, match="two rows with weights for pytorchcv/a/00000000"):
        pytorchcv.of_metainfos([row, row], readme, "test")
