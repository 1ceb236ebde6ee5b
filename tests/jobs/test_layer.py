"""The verb layer: its tables against numpy on the weights themselves, and messages that help."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.jobs.zoos import make_zoo, weights
from zoospectra.jobs.call import call
from zoospectra.jobs.main import main
from zoospectra.warehouse.query import query


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("layer")
    zoo = make_zoo(folder / "zoo", models=2)
    words = ["zoo=local", f"zoo.path={zoo}", f"warehouse.dir={folder / 'data'}", "cluster=inline"]
    assert main(["scan", *words, "profiles=weightwatcher,thorough"]) == 0
    return folder / "data"


def rows(data: Path, *words: str) -> list[dict]:
    (table,) = call("layer", "local/net0*", *words, f"warehouse.dir={data}").tables.values()
    return list(table.to_pylist())


def eigenvalues(name: str) -> np.ndarray:
    return np.sort(np.linalg.svd(weights(0)[name].double().numpy(), compute_uv=False) ** 2)


def test_the_esd_is_that_of_the_weights_with_law_and_noise(data: Path) -> None:
    lam = eigenvalues("fc1.weight")
    (fit, copy, _) = rows(data, "fc1")
    found = rows(data, "fc1", "what=esd")
    layer = [row for row in found if row["of"] == "layer"]
    assert [row["eigenvalue"] for row in layer] == pytest.approx(lam.tolist(), rel=1e-9)
    assert [row["share_above"] for row in layer] == pytest.approx([float(np.mean(lam >= x)) for x in lam])
    tail = [row for row in layer if row["power_law_density"] is not None]
    assert len(tail) == fit["num_pl_spikes"] == int(np.sum(lam >= fit["xmin"] * (1 - 1e-9)))
    shares, x = [row["power_law_share_above"] for row in tail], lam[-len(tail) :]
    assert shares == pytest.approx((len(tail) / 64 * (x / fit["xmin"]) ** (1 - fit["alpha"])).tolist())
    step = 1e-6
    slope = [(a * (1 + step) ** (1 - fit["alpha"]) - a) / (-step * v) for a, v in zip(shares, x, strict=True)]
    assert [row["power_law_density"] for row in tail] == pytest.approx(slope, rel=1e-4)
    assert fit["lambda_max"] == pytest.approx(lam[-1])
    assert copy["of"] == "shuffled 0"
    assert copy["alpha"] is None
    assert copy["lambda_max"] == max(row["eigenvalue"] for row in found if row["of"] == "shuffled 0")
    assert sum(row["eigenvalue"] for row in found if row["of"] == "shuffled 0") == pytest.approx(lam.sum())


def test_the_noise_is_that_of_marchenko_and_pastur(data: Path) -> None:
    """A shuffled copy's edges by the formula, and its share of noise above the edges."""
    copy = rows(data, "fc1")[1]
    ratio = np.sqrt(64 / 128)
    assert copy["bulk_max"] == pytest.approx(copy["bulk_sigma"] ** 2 * 128 * (1 + ratio) ** 2)
    assert copy["bulk_min"] == pytest.approx(copy["bulk_sigma"] ** 2 * 128 * (1 - ratio) ** 2)
    noise = [row for row in rows(data, "fc1", "what=esd") if row["of"] == "shuffled 0"]
    assert all(row["noise_density"] == 0 for row in noise if row["eigenvalue"] > copy["bulk_max"])
    inside = [row for row in noise if copy["bulk_min"] < row["eigenvalue"] < copy["bulk_max"]]
    for row in inside[::8]:
        x = row["eigenvalue"] / (copy["bulk_sigma"] ** 2 * 128)
        law = np.sqrt(((1 + ratio) ** 2 - x) * (x - (1 - ratio) ** 2)) / (2 * np.pi * 0.5 * x)
        share = 1 - copy["num_spikes"] / 64
        assert row["noise_density"] == pytest.approx(share * law / (copy["bulk_sigma"] ** 2 * 128))


def test_the_curve_has_its_minimum_at_the_chosen_xmin(data: Path) -> None:
    lam = eigenvalues("fc1.weight")
    (fit, *_), found = rows(data, "fc1"), rows(data, "fc1", "what=curve")
    best = min(found, key=lambda row: row["D"])
    assert [row["xmin"] for row in found if row["chosen"]] == [best["xmin"]] == [fit["xmin"]]
    assert (best["D"], best["alpha"]) == (pytest.approx(fit["D"]), pytest.approx(fit["alpha"]))
    for row in found[::13]:  # the fit of Clauset, Shalizi and Newman, by its formulas
        x = lam[lam >= row["xmin"] * (1 - 1e-12)]
        alpha = 1 + len(x) / np.log(x / x[0]).sum()
        D = np.max(np.abs(1 - (x / x[0]) ** (1 - alpha) - np.arange(len(x)) / len(x)))
        assert (row["n_tail"], row["alpha"], row["D"]) == (len(x), pytest.approx(alpha), pytest.approx(D))


def test_profiles_that_do_not_pool_have_their_slices(data: Path) -> None:
    found = rows(data, "features.0", "profiles=natcomm2021")
    assert [row["slice_id"] for row in found if row["of"] == "layer"] == list(range(9))


def test_the_verb_and_the_metrics_agree(data: Path) -> None:
    sql = "SELECT alpha, xmin, D, num_pl_spikes FROM layer_metrics WHERE model_id = 'local/net0.safetensors'"
    (kept,) = query(data, f"{sql} AND longname = 'fc1' AND profile = 'weightwatcher'").to_pylist()
    found = rows(data, "fc1")[0]
    assert {name: found[name] for name in kept} == kept


def test_spectra_by_name_in_sql(data: Path) -> None:
    sql = """SELECT unnest(evals) AS lam FROM layer_spectra WHERE model_id = 'local/net0.safetensors'
             AND longname = 'fc2' AND unfold = 'slices' ORDER BY 1"""
    found = [row["lam"] for row in query(data, sql).to_pylist()]
    assert found == pytest.approx(eigenvalues("fc2.weight").tolist(), rel=1e-9)
    (count,) = query(data, "SELECT count(DISTINCT (model_id, longname)) AS n FROM layer_spectra").to_pylist()
    assert count["n"] == 2 * 4


def test_all_is_one_table_for_machines_and_three_for_people(data: Path, tmp_path: Path, capfdbinary) -> None:
    words = ["layer", "local/net1.safetensors", "fc2", "what=all", f"warehouse.dir={data}"]
    assert main([*words, "format=json"]) == 0
    found = json.loads(capfdbinary.readouterr().out)
    assert {row["table"] for row in found} == {"fit", "curve", "esd"}
    assert main([*words, "format=parquet"]) == 0
    (tmp_path / "layer.parquet").write_bytes(capfdbinary.readouterr().out)
    assert pq.read_table(tmp_path / "layer.parquet").num_rows == len(found)
    assert main(words) == 0
    assert capfdbinary.readouterr().out.count(b"longname fc2, profile weightwatcher") == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["local/net0*"], "expected MODEL NAME"),
        (["local/net*", "fc1"], "MODEL 'local/net*' matches 2 of 2 models with layers"),
        (["local/net0.safetensor", "fc1"], "did you mean 'local/net0.safetensors'?"),
        (["local/net0*", "fc"], "NAME 'fc' matches 0 of 4 layers of local/net0.safetensors (did you mean 'fc2'?)"),
        (["local/net0*", "fc1", "what=hist"], "what=hist: expected one of fit, curve, esd, all"),
        (["local/net0*", "fc1", "profiles=bogus"], "unknown profile 'bogus'"),
    ],
)
def test_misuse(words: list[str], message: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["layer", *words, f"warehouse.dir={data}"]) == 2
    assert message in capsys.readouterr().err


def test_a_spectrum_that_is_not_kept_says_which_are(data: Path, tmp_path: Path, capsys) -> None:
    folder = tmp_path / "profile"
    folder.mkdir()
    (folder / "tall.yaml").write_text("name: tall\nunfold: stacked\n")
    words = ["layer", "local/net0*", "fc1", "profiles=tall", f"--config-dir={tmp_path}", f"warehouse.dir={data}"]
    assert main(words) == 2
    err = capsys.readouterr().err
    assert "no spectrum by unfold rule stacked is kept, only by slices, slices+shuffled0, slices+shuffled1" in err
