"""Every study's SELECT against plain Python over the rows of a made-up warehouse."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from tests.warehouse.plain import (
    counted,
    grouped,
    in_means,
    layers,
    mean,
    measured,
    models,
    same,
    snapshots,
)
from tests.warehouse.world import answer, day, warehouse
from zoospectra.warehouse.studies import selects


def test_drift(made) -> None:
    raw, connection = made
    known, texts = models(raw), selects("drift")
    many = {m for (m,), rows in grouped(list(known.values()), "model_id").items() if len(rows) > 1}
    expected = [
        {"model_id": m, "revision": r, "profile": p, "layers": len(rows), "alpha": mean([x["alpha"] for x in rows])}
        for (m, r, p), rows in grouped(
            [r for r in measured(raw, "layer_metrics") if r["counted"] and r["model_id"] in many],
            "model_id",
            "revision",
            "profile",
        ).items()
    ]
    rows = answer(connection, texts["averages"])
    same([{name: row[name] for name in expected[0]} for row in rows], expected)
    rows = answer(connection, texts["models"])
    never = day(-9)
    for (model,), own in grouped(rows, "model_id").items():
        assert [r["nth"] for r in own] == list(range(1, len(own) + 1))
        assert {r["revisions"] for r in own} == {sum(key[0] == model for key in known)}
        dated = [(r["last_seen"], r["first_seen"], r["revision"]) for r in own if r["last_seen"]]
        assert dated == sorted(dated)
    for zoo in "pq":
        seen = {r["zoo_seen"] for r in rows if r["zoo"] == zoo}
        assert seen == {max(r.get("last_seen", never) for r in known.values() if r.get("zoo") == zoo)}
    seen = snapshots(raw)
    history = {
        tuple(r[k] for k in ("model_id", "dataset", "metric", "source", "source_date", "snapshot", "value"))
        for r in raw["reported_metrics"]
    }
    values = defaultdict(set)
    for *key, _, value in history:
        values[tuple(key)].add(value)
    expected = sorted(
        str((m, d, metric, seen[snap][0], value))
        for m, d, metric, source, date, snap, value in history
        if len(values[m, d, metric, source, date]) > 1
    )
    rows = answer(connection, texts["reported"])
    assert (
        sorted(str((r["model_id"], r["dataset"], r["metric"], r["first_seen"], r["value"])) for r in rows) == expected
    )


def test_flow_and_alpha_hat(made) -> None:
    raw, connection = made
    flow, hat, pairs = [], [], []
    for (model, profile), rows in counted(raw).items():
        alphas = np.array([row["alpha"] for row in rows])
        depth = np.linspace(0, 1, len(rows)) if len(rows) > 1 else np.zeros(1)
        slope = float(np.polyfit(depth, alphas, 1)[0]) if len(rows) > 1 else None
        base = {"model_id": model, "profile": profile}
        steps = np.abs(np.diff(alphas))
        flow.append(base | {"layers": len(rows), "slope": slope, "dispersion": float(alphas.std())})
        flow[-1] |= {"median": float(np.median(alphas)), "mad": float(np.median(np.abs(alphas - np.median(alphas))))}
        flow[-1] |= {"roughness": float(steps.mean()) if len(steps) else None, "outliers": float((alphas > 4.0).mean())}
        flow[-1] |= {"largest": float(alphas.max())}
        weighted = [r["alpha_weighted"] for r in rows]
        known = [value for value in weighted if value is not None]
        plain = [None if r["log_alpha_norm"] is None else r["log_alpha_norm"] / r["alpha"] for r in rows]
        hat.append(
            base
            | {"num_layers": len(rows), "alpha_hat": mean(weighted), "alpha_hat_sum": sum(known) if known else None}
        )
        hat[-1] |= {
            "log_alpha_norm": mean([r["log_alpha_norm"] for r in rows]),
            "log_alpha_norm_without_exponent": mean(plain),
        }
        hat[-1] |= {"basis": "layer rows" if profile.startswith("published/") else "weights"}
        pairs += [
            {"longname": r["longname"], "alpha_weighted": r["alpha_weighted"], "log_alpha_norm": r["log_alpha_norm"]}
            for r in rows
            if r["alpha_weighted"] is not None and r["log_alpha_norm"] is not None
        ]
    threshold = next(row["alpha"] for rows in counted(raw).values() for row in rows)
    for largest in (4.0, threshold):  # a layer at the threshold is no outlier
        for row, rows in zip(flow, counted(raw).values(), strict=True):
            row["outliers"] = sum(r["alpha"] > largest for r in rows) / len(rows)
        mine = answer(connection, selects("flow")["flow"], largest=largest)
        same([{name: row[name] for name in flow[0]} for row in mine], flow)
    mine = answer(connection, selects("alpha_hat")["averages"])
    same([{name: row[name] for name in hat[0]} for row in mine], hat)
    mine = answer(connection, selects("alpha_hat")["layers"])
    same([{name: row[name] for name in pairs[0]} for row in mine], pairs)


def test_what_studies_measure(made) -> None:
    raw, connection = made
    latest = [row for row in measured(raw, "layer_metrics") if row["latest"]]
    by_slice = {row["profile"] for row in raw["slice_metrics"]}
    admitted = [row for row in latest if in_means(row["layer_type"], row["left_out"], None)]
    expected = [
        {"model_id": r["model_id"], "profile": r["profile"], "longname": r["longname"], "alpha": r["alpha"]}
        for r in admitted
    ]
    rows = answer(connection, selects("", ("measured",))["measured"])
    same([{name: row[name] for name in expected[0]} for row in rows], expected)
    assert {row["profile"] for row in rows if row["by_slice"]} == by_slice & {row["profile"] for row in rows}
    listed = models(raw)
    rows = answer(connection, selects("figures")["layers"])
    same([{name: row[name] for name in expected[0]} for row in rows], expected)
    for row in rows:
        assert row["name"] == next(m for m in listed.values() if m["latest"] and m["model_id"] == row["model_id"]).get(
            "name"
        )
    for model, other in ((None, None), ("p/*", None), ("p/m0", "q/*")):
        rows = answer(connection, selects("pair")["layers"], model=model, other=other)
        starts = [glob.rstrip("*") for glob in (model, other) if glob]
        expected = [
            {"model_id": r["model_id"], "profile": r["profile"], "longname": r["longname"], "counted": r["counted"]}
            for r in latest
            if r["layer_type"] != "embedding" and r["outcome"] == "fit"
            and (model is None or any(r["model_id"].startswith(start) for start in starts))
        ]  # fmt: skip
        same([{name: row[name] for name in expected[0]} for row in rows], expected)


def test_averages_say_what_they_are_made_of(made) -> None:
    raw, connection = made
    slices = grouped([r for r in measured(raw, "slice_metrics") if r["latest"] and r["counted"]], "model_id", "profile")
    expected = []
    for key, rows in slices.items():
        alphas = [r["alpha"] for r in rows if r["alpha"] is not None]
        if alphas:
            expected.append((*key, mean(alphas)))
    done = {row[:2] for row in expected}
    expected += [(*key, mean([r["alpha"] for r in rows])) for key, rows in counted(raw).items() if key not in done]
    rows = answer(connection, selects("", ("averages",))["averages"])
    assert sorted((r["model_id"], r["profile"], r["alpha"]) for r in rows) == [
        (*row[:2], pytest.approx(row[2])) for row in sorted(expected)
    ]
    assert all((r["basis"] == "layer rows") == r["profile"].startswith("published/") for r in rows)


def test_the_language_tables(made) -> None:
    raw, _ = made
    for row in raw["models"]:
        row["series"] = {"x": "GPT", "y": "other"}.get(row["series"])
    with warehouse(raw) as connection:
        rows = answer(connection, selects("natcomm2021")["language"])
        named = {row["model_id"]: row.get("series") for row in models(raw).values() if row["latest"]}
        expected = [
            {"layer_id": r["layer_id"], "alpha": r["alpha"]}
            for r in measured(raw, "slice_metrics")
            if r["latest"] and r["profile"] == "published/weightwatcher-0.2" and named[r["model_id"]] == "GPT"
            and (r["counted"] or r["layer_type"] == "embedding")
        ]  # fmt: skip
        same([{name: row[name] for name in ("layer_id", "alpha")} for row in rows], expected)
        last = {}
        for row in sorted(layers(raw), key=lambda r: r["layer_id"]):
            if row["latest"] and row["layer_type"] == "dense":
                last[row["model_id"]] = row["layer_id"]
        rows = answer(connection, selects("natcomm2021")["classifiers"])
        assert sorted(row["layer_id"] for row in rows) == sorted(last.values())


def test_spectra_of_invariance_are_those_of_the_first_contents(made) -> None:
    raw, _ = made
    evals = [
        {
            "content_hash": f"h{i}",
            "unfold": unfold,
            "slice_id": s,
            "N": 8,
            "M": 4,
            "evals": [float(s)],
            "code_version": "1",
        }
        for i in range(14)
        for unfold in ("slices", "slices/shuffled-0")
        for s in (1, 0)
    ]
    own: dict[str, str | None] = {}
    for row in sorted(layers(raw), key=lambda r: (r["model_id"], r["layer_id"])):
        if row["latest"] and row["model_id"][0] == "p" and in_means(row["layer_type"], None, None):
            own.setdefault(row["content_hash"], row["layer_type"])
    with warehouse(raw | {"spectra": evals}) as connection:
        for count in (2, 99):
            rows = answer(connection, selects("invariance")["spectra"], model="p/*", layers=count)
            assert [row["content_hash"] for row in rows] == sorted(own)[:count]
            assert all(row["evals"] == [[0.0], [1.0]] for row in rows)
            assert [row["layer_type"] for row in rows] == [own[row["content_hash"]] for row in rows]
        assert answer(connection, "SELECT DISTINCT num_slices FROM spectra_index") == [{"num_slices": 2}]
