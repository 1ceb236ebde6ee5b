"""Rows of a layer's figures against their formulas, for pooled slices and one by one, with shuffled copies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from zoospectra.analysis.figure import curve_rows, esd_rows, fit_rows
from zoospectra.analysis.layer import analyse_layer, esds
from zoospectra.analysis.marchenko_pastur import cdf, density, fit_bulk
from zoospectra.analysis.spectrum import spectrum
from zoospectra.analysis.unfold.shuffled import shuffle


@pytest.fixture(scope="module", params=["weightwatcher", "natcomm2021"])
def held(request: pytest.FixtureRequest, profile):
    """ESDs, analysis and profile of two slices of 40 x 24 with heavy tails and planted signals, and of a copy."""
    rng = np.random.default_rng(0)
    matrices = rng.standard_t(3, (2, 40, 24)) + 3.0 * np.outer(rng.normal(size=40), rng.normal(size=24))
    kind = replace(profile(request.param), min_M=1)
    raw, copies = spectrum(matrices), [spectrum(shuffle(matrices, 5, replica)) for replica in range(2)]
    made = esds(raw, "conv1d", kind, shuffled=copies, seed=5)
    return made, analyse_layer(raw, "conv1d", kind, shuffled=copies, seed=5), kind


def rows_of(held) -> list:
    made, analysis, kind = held
    return list(zip([None] if kind.pool else [0, 1], made, analysis.slices or (analysis.layer,), strict=True))


def test_one_row_a_fit(held) -> None:
    made, analysis, kind = held
    found = list(fit_rows(made, analysis))
    wanted = rows_of(held)
    assert len(found) == 3 * len(wanted) == (3 if kind.pool else 6)
    for i, (slice_id, esd, row) in enumerate(wanted):
        for k, name in enumerate(("layer", "shuffled 0", "shuffled 1")):
            evals = esd.evals if k == 0 else np.sort(esd.shuffled[k - 1], axis=None)
            bulk, one = fit_bulk(evals, 40, 24, 2 if kind.pool else 1), found[3 * i + k]
            assert (one["slice_id"], one["of"], one["N"], one["M"], one["rf"]) == (slice_id, name, 40, 24, 2)
            assert (one["num_evals"], one["lambda_max"]) == (len(evals), evals.max())
            for column in ("alpha", "xmin", "xmax", "D", "sigma", "num_pl_spikes", "status"):
                assert one[column] == (row[column] if k == 0 else None)
            assert one["bulk_sigma"] == pytest.approx(bulk.sigma2**0.5)
            assert [one[c] for c in ("bulk_min", "bulk_max", "spike_edge", "num_spikes")] == [
                bulk.bulk_min, bulk.bulk_max, bulk.spike_edge, bulk.num_spikes
            ]  # fmt: skip
    assert found[0]["num_spikes"] > 0


def test_one_row_a_candidate(held) -> None:
    made, analysis, kind = held
    found = list(curve_rows(made, analysis, kind))
    for slice_id, esd, row in rows_of(held):
        mine = [one for one in found if one["slice_id"] == slice_id]
        assert {one["of"] for one in mine} == {"layer"}
        assert [one["xmin"] for one in mine] == sorted(one["xmin"] for one in mine)
        for one in mine:
            tail = esd.fitted[esd.fitted >= one["xmin"]]
            slope = len(tail) / np.log(tail / tail[0]).sum()
            law = 1 - (tail / tail[0]) ** -slope
            law /= law[-1] if kind.fit == "natcomm2021" else 1.0
            assert (one["n_tail"], one["alpha"]) == (len(tail), pytest.approx(1 + slope))
            assert one["D"] == pytest.approx(np.abs(law - np.arange(len(tail)) / len(tail)).max())
            assert one["chosen"] == (one["xmin"] == row["xmin"])
        assert sum(one["chosen"] for one in mine) == 1
        assert len(mine) == len(esd.fitted) - 1


def test_one_row_an_eigenvalue(held) -> None:
    made, analysis, kind = held
    found = list(esd_rows(made, analysis))
    for slice_id, esd, row in rows_of(held):
        for name in ("layer", "shuffled 0", "shuffled 1"):
            evals = esd.evals if name == "layer" else np.sort(esd.shuffled[int(name[-1])], axis=None)
            mine = [one for one in found if (one["slice_id"], one["of"]) == (slice_id, name)]
            K, bulk = len(evals), fit_bulk(evals, 40, 24, 2 if kind.pool else 1)
            scale, noise = bulk.sigma2 * 40, 1 - bulk.num_spikes / K
            assert [one["eigenvalue"] for one in mine] == evals.tolist()
            assert [one["share_above"] for one in mine] == [(K - i) / K for i in range(K)]
            for one in mine:
                value = one["eigenvalue"]
                if name != "layer" or value < row["xmin"]:
                    assert one["power_law_density"] is one["power_law_share_above"] is None
                else:
                    share, a, least = row["num_pl_spikes"] / K, row["alpha"], row["xmin"]
                    assert one["power_law_density"] == pytest.approx(share * (a - 1) / least * (value / least) ** -a)
                    assert one["power_law_share_above"] == pytest.approx(share * (value / least) ** (1 - a))
                x = np.array([value / scale])
                assert one["noise_density"] == pytest.approx(noise * density(x, 0.6)[0] / scale)
                assert one["noise_share_above"] == pytest.approx(1 - noise * cdf(x, 0.6)[0])
    assert len(found) == 3 * 48


def test_what_has_no_fit_has_no_law_and_no_noise(profile) -> None:
    kind = profile("weightwatcher")
    raw = spectrum(np.zeros((1, 12, 9)))
    made, analysis = esds(raw, "dense", kind), analyse_layer(raw, "dense", kind)
    (one,) = fit_rows(made, analysis)
    assert [one[c] for c in ("alpha", "bulk_sigma", "bulk_min", "bulk_max", "spike_edge", "num_spikes")] == [None] * 6
    assert list(curve_rows(made, analysis, kind)) == []
    for row in esd_rows(made, analysis):
        laws = ("power_law_density", "power_law_share_above", "noise_density", "noise_share_above")
        assert [row[law] for law in laws] == [None] * 4
