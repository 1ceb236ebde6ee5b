"""Published metrics: the paper's data against tables derived from it independently, and a run made on the spot."""

from __future__ import annotations

import csv
import gzip
import json
import math
import subprocess
import sys
from collections import Counter

import pytest

from zoospectra.zoo.model import published_hash
from zoospectra.zoo.sources.packages.snapshots import pytorchcv
from zoospectra.zoo.sources.tables import columns, layouts, table


@pytest.fixture(scope="module")
def trends(shared):
    folder = shared / "reference" / "raw" / "ww-trends-2020" / "data"
    return {one.name: one for one in layouts.read(str(folder), "ww-trends", "ww-trends-2020")}


def test_all_of_the_papers_data_is_read(trends):
    assert len(trends) == 21 + 19 + 311
    assert sum(len(one.published.slices) for one in trends.values()) == 6993
    assert sum(len(one.published.layers) for one in trends.values()) == 2193
    assert Counter(one.series for one in trends.values() if one.series) == {
        "VGG": 8, "ResNet": 5, "DenseNet": 4, "GPT2": 4, "ResNet-1K": 19,
    }  # fmt: skip
    assert {one.published.profile for one in trends.values()} == {"published/weightwatcher-0.2"}
    for name, one in trends.items():
        assert one.model_id == f"ww-trends-2020/{name}"
        assert one.extra["origin"] == one.published.origin
        assert one.published.averages
        assert one.path == ""
        assert one.weights_url is None


def test_every_slice_is_the_one_of_the_reference_layers(trends, shared):
    """layers.csv.gz was derived from the same files by other code: same rows, same numbers to its 9 digits."""
    with gzip.open(shared / "reference" / "layers.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    found = {}
    for one in trends.values():
        for row in one.published.slices:
            found[one.name, row.layer_id, row.slice_id] = (one, row)
    names = {"model", "series", "dataset", "model_by_shape", "layer_id", "slice_id", "layer_type", "N", "M", "NxM"}
    compared = 0
    for row in rows:
        name = f"resnet-1k/{row['model']}" if row["series"] == "ResNet-1K" else row["model"].replace("gpt2-", "gpt2 ")
        name = "gpt2 small" if name == "gpt2" else name
        one, ours = found[name, int(row["layer_id"]), int(row["slice_id"]) - 1]
        assert (int(row["N"]), int(row["M"])) == (ours.N, ours.M)
        for theirs in row.keys() - names:
            if row[theirs]:
                value = ours.values[columns.ours(theirs)]
                assert math.isclose(value, float(row[theirs]), rel_tol=1e-8, abs_tol=1e-12), (name, theirs)
                compared += 1
    assert len(rows) == 6993
    assert compared > 6993 * 15


def test_averages_are_those_of_the_reference_summaries(trends, shared):
    rows = list(csv.DictReader((shared / "reference" / "summaries.csv").open()))
    compared = 0
    for row in rows:
        name = f"resnet-1k/{row['model']}" if row["series"] == "ResNet-1K" else row["model"].replace("gpt2-", "gpt2 ")
        one = trends.get("gpt2 small" if name == "gpt2" else name)
        if one is None:
            continue
        for metric in ("alpha", "alpha_weighted", "log_norm", "log_alpha_norm", "log_spectral_norm", "stable_rank"):
            assert math.isclose(one.published.averages[metric], float(row[metric]), rel_tol=1e-7), (name, metric)
            compared += 1
    assert compared == 40 * 6


def test_osmr_averages_and_which_runs_were_normalised(trends, shared):
    rows = list(csv.DictReader((shared / "reference" / "osmr_metrics.csv").open()))
    assert len(rows) == 311
    for row in rows:
        one = trends[f"osmr/{row['model']}"]
        assert one.extra["normalised"] == int(row["run_with_normalize"])
        for theirs in (
            "lognorm",
            "spectralnorm",
            "logspectralnorm",
            "alpha",
            "alpha_weighted",
            "logpnorm",
            "alpha_compound",
        ):
            value = one.published.averages[columns.ours(theirs)]
            if value is None:  # igcv3_wd2 has a slice of zeros, whose log10 is -inf
                assert row["model"] == "igcv3_wd2"
                assert not math.isfinite(float(row[theirs] or "nan"))
            else:
                assert math.isclose(value, float(row[theirs]), rel_tol=1e-8), (row["model"], theirs)


def test_what_is_known_about_the_papers_files_is_said(trends):
    assert trends["densenet169"].extra["model_by_shape"] == "densenet161"
    assert trends["densenet169"].note == "by its shapes this is densenet161"
    assert 2208 in {side for row in trends["densenet169"].published.slices for side in (row.N, row.M)}
    gpt2 = trends["gpt2 small"]
    assert Counter(row.layer_type for row in gpt2.published.layers) == {"embedding": 2, "dense": 48}
    first = trends["vgg11"].published.layers[0]
    assert (first.N, first.M, first.Q, first.rf, first.slice_id) == (128, 64, 2.0, 9, None)
    assert [row.slice_id for row in trends["vgg11"].published.slices[:9]] == list(range(9))


def test_reported_errors_join_by_name(shared):
    reference = shared / "reference" / "raw"
    readme = (reference / "imgclsmob" / "pytorch-README.9c3f7bd7.md").read_text()
    models = pytorchcv.of_readme(readme, "osmr/imgclsmob 9c3f7bd7", "2021-01-08")
    found = layouts.read(str(reference / "ww-trends-2020" / "data"), "ww-trends", "ww", models)
    osmr = {model.name: model for model in found if model.name.startswith("osmr/")}
    assert sum(model.series is not None for model in osmr.values()) == 311
    errors = {one.metric: one.value for one in osmr["osmr/resnet18"].metrics}
    assert errors == {"top1_error": 26.94, "top5_error": 8.96}
    resnet10 = next(model for model in found if model.name == "resnet-1k/resnet10")
    assert {one.metric: one.value for one in resnet10.metrics}["top1_error"] == 32.76
    assert resnet10.series == "ResNet-1K"


RUN = """
import warnings; warnings.filterwarnings('ignore')
import sys, torch, weightwatcher
torch.manual_seed(0)
linear = [torch.nn.Linear(64, 48), torch.nn.Linear(48, 10), torch.nn.Linear(60, 6)]
net = torch.nn.Sequential(torch.nn.Conv2d(8, 40, 3), *linear)
with torch.no_grad():
    net[2].weight.zero_()
details = weightwatcher.WeightWatcher(model=net).analyze(min_evals=2)
details.to_csv(sys.argv[1] + '/run.csv', index=False)
details.to_csv(sys.argv[1] + '/indexed.csv')
details.to_parquet(sys.argv[1] + '/run.parquet')
details.to_json(sys.argv[1] + '/truth.json', orient='records')
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Details tables of a real WeightWatcher run, made in a process of its own."""
    pytest.importorskip("weightwatcher")
    folder = tmp_path_factory.mktemp("run")
    subprocess.run([sys.executable, "-c", RUN, str(folder)], check=True, capture_output=True, timeout=200)
    truth = json.loads((folder / "truth.json").read_text())
    (folder / "truth.json").unlink()
    return folder, truth


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["run.csv", "indexed.csv", "run.parquet"])
def test_a_details_table_of_a_real_run(run, name):
    folder, truth = run
    (one,) = layouts.read(str(folder / name))
    assert (one.published.profile, one.published.slices) == ("published/weightwatcher-0.7", ())
    assert one.extra["origin"] == f"weightwatcher-0.7 details table {name}"
    assert len(one.published.layers) == len(truth) == 4
    assert [row["status"] for row in truth].count("failed") == 1
    for row, theirs in zip(one.published.layers, truth, strict=True):
        assert (row.layer_id, row.longname, row.N, row.M, row.rf) == (
            theirs["layer_id"], theirs["longname"], theirs["N"], theirs["M"], theirs["rf"],
        )  # fmt: skip
        assert row.layer_type in ("conv2d", "dense")
        if theirs["status"] == "success":
            assert row.values["status"] == "success"
            for metric in ("alpha", "D", "sigma", "xmin", "log_norm", "alpha_weighted", "entropy", "num_pl_spikes"):
                assert math.isclose(row.values[metric], theirs[metric], rel_tol=1e-9), metric
        else:
            assert row.values["status"] == "failed: published without a fit"
            assert row.values["alpha"] is None
            assert row.values["xmin"] is None
    assert len({published_hash(one, row.layer_id) for row in one.published.layers}) == len(one.published.layers)


@pytest.mark.oracle
def test_a_folder_of_tables_is_a_zoo(run):
    folder, _ = run
    with pytest.raises(ValueError, match="two tables for run; keep one table a model"):
        layouts.read(str(folder), name="mine")
    (folder / "run.parquet").rename(folder / "columns.parquet")
    models = layouts.read(str(folder), name="mine")
    assert [model.model_id for model in models] == ["mine/columns", "mine/indexed", "mine/run"]


def test_a_failed_fit_is_nothing_and_keeps_its_norms():
    values = columns.metrics(
        {
            "layer_id": 1,
            "alpha": -1,
            "D": -1,
            "xmin": -1.0,
            "log_norm": 2.5,
            "status": "failed",
            "warning": "over-trained",
        }
    )
    assert values == {
        "alpha": None,
        "D": None,
        "xmin": None,
        "log_norm": 2.5,
        "status": "failed: published without a fit",
        "warning": None,
    }


def test_excel_tables(tmp_path, shared):
    pytest.importorskip("openpyxl")
    file = shared / "reference" / "raw" / "ww-trends-2020" / "data" / "osmr" / "data_400-16_2020-01-16.xlsx"
    found = {one.name: one for one in layouts.read(str(file))}
    assert found["wrn28_10_svhn"].published.averages["alpha_weighted"] == pytest.approx(-5.239291624853689, rel=1e-12)
    assert found["wrn28_10_svhn"].extra["normalised"] == 1


def test_cells_become_plain_values():
    cells = {
        "7": 7,
        "-3": -3,
        "0.5": 0.5,
        "1e3": 1000.0,
        "nan": None,
        "inf": None,
        "": None,
        "True": 1,
        "resnet": "resnet",
    }
    assert {cell: table.plain(cell) for cell in cells} == cells
    assert table.plain(float("-inf")) is None
    assert table.plain(None) is None
    assert table.plain(True) == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"x,y\n1,2\n", "not a table of WeightWatcher"),
        ("a.csv", b"layer_id,alpha,D\n", "holds no rows"),
        ("a.csv", b"layer_id,alpha,D,N,M\none,2,0.1,4,3\n", "column layer_id holds 'one'"),
        ("a.csv", b"layer_id,alpha,D,N,M\n1,2,0.1,0,3\n", "column N holds 0"),
        ("a.csv", b"\xff\xfe\x00", "cannot be read as .csv"),
        ("a.parquet", b"PAR1", "not a Parquet file"),
        ("a.xlsx", b"PK", "cannot be read as .xlsx"),
        ("a.ods", b"", "no reader for tables that end in '.ods'"),
    ],
)
def test_files_that_are_no_details_tables_are_refused(tmp_path, name, content, said):
    if name.endswith("xlsx"):
        pytest.importorskip("openpyxl")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=said):
        layouts.read(str(tmp_path / name))


def test_misuse_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="known: details, ww-trends"):
        layouts.read(str(tmp_path), "tables")
    with pytest.raises(ValueError, match="holds no table"):
        layouts.read(str(tmp_path))
    with pytest.raises(ValueError, match="no such file"):
        layouts.read(str(tmp_path / "none"))


def test_averages_that_are_code_are_not_run(tmp_path):
    (tmp_path / "vgg11.csv").write_text("layer_id,alpha,D,N,M,layer_type\n1,2.5,0.1,8,4,DENSE\n")
    (tmp_path / "vgg11.txt").write_text("__import__('os').mkdir('" + str(tmp_path / "made") + "')")
    with pytest.raises(ValueError, match="expected a dictionary of numbers"):
        layouts.read(str(tmp_path), "ww-trends")
    assert not (tmp_path / "made").exists()
