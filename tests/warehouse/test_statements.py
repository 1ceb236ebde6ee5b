"""Every table, view and study's SELECT against plain Python over the rows of a made-up warehouse."""

from __future__ import annotations

import itertools
import math
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from tests.warehouse.world import Row, answer, day, warehouse, world
from zoospectra.warehouse.definitions import names, text
from zoospectra.warehouse.studies import selects

SEEDS = (0, 1)


@pytest.fixture(scope="module", params=SEEDS)
def made(request: pytest.FixtureRequest) -> Iterator[tuple[dict[str, list[Row]], duckdb.DuckDBPyConnection]]:
    raw = world(request.param)
    with warehouse(raw) as connection:
        yield raw, connection


def grouped(rows: list[Row], *keys: str) -> dict[tuple, list[Row]]:
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in keys)].append(row)
    return groups


def newest(rows: list[Row], *keys: str) -> list[Row]:
    """Of several parts that hold the same thing those of the newest one; of the same time the first file's."""
    kept = []
    for own in grouped(rows, *keys).values():
        last = max(row["written"] for row in own)
        first = min(row.get("filename", "f") for row in own if row["written"] == last)
        kept += [row for row in own if row["written"] == last and row.get("filename", "f") == first]
    return kept


def snapshots(raw: dict[str, list[Row]]) -> dict[str, tuple]:
    """Snapshot -> when it was first and last seen, and by how many runs."""
    seen = {}
    for (name,), rows in grouped(raw["models"], "snapshot").items():
        runs = [run for run in newest(raw["runs"], "run_id") if run["snapshot"] == name]
        first = min([run["started"] for run in runs] or [row["written"] for row in rows])
        last = max([run["finished"] or run["started"] for run in runs] or [row["written"] for row in rows])
        seen[name] = (first, last, len(runs))
    return seen


def models(raw: dict[str, list[Row]]) -> dict[tuple[str, str], Row]:
    """(model, revision) -> its words by the newest catalog, when it was seen, whether it is the latest."""
    seen = snapshots(raw)
    found: dict[tuple[str, str], Row] = {}
    for key, rows in grouped(raw["models"], "model_id", "revision").items():
        words = max(rows, key=lambda row: (seen[row["snapshot"]][1], row["written"], row["snapshot"]))
        first = min(seen[row["snapshot"]][0] for row in rows)
        found[key] = words | {"first_seen": first, "last_seen": max(seen[row["snapshot"]][1] for row in rows)}
    for key, rows in grouped(newest(raw["layers"], "model_id", "revision"), "model_id", "revision").items():
        written = max(row["written"] for row in rows)
        found.setdefault(key, {"model_id": key[0], "revision": key[1], "written": written})
        tensors = grouped(rows, "tensor").values()
        found[key]["params"] = sum(max(row["params"] for row in own) for own in tensors)
    never = day(-9)
    for _, rows in grouped(list(found.values()), "model_id").items():

        def order(row: Row) -> tuple:
            return row.get("last_seen", never), row.get("first_seen", never), row["written"], row["revision"]

        for row in rows:
            row["latest"] = row is max(rows, key=order)
    return found


def layers(raw: dict[str, list[Row]]) -> list[Row]:
    known = models(raw)
    rows = newest(raw["layers"], "model_id", "revision")
    return [row | {"latest": known[row["model_id"], row["revision"]]["latest"]} for row in rows]


def in_means(kind: str | None, left_out: str | None, narrow: bool | None) -> bool:
    out = (left_out or "").split(", ")
    plain = kind is None or not (kind == "embedding" or kind.endswith("_part"))
    return plain and kind not in out and not (narrow and "degenerate_tail" in out)


def measured(raw: dict[str, list[Row]], kind: str) -> list[Row]:
    """Layers of every revision joined with the newest result of their content, and whether they count."""
    results = defaultdict(list)
    for rows in grouped(raw[kind], "content_hash", "unfold", "profile").values():
        top = max((row["written"], row["code_version"]) for row in rows)
        results[rows[0]["content_hash"]] += [r for r in rows if (r["written"], r["code_version"]) == top]
    found = []
    for layer in layers(raw):
        for result in results[layer["content_hash"]]:
            outcome = result["outcome"] or ("failed" if result["alpha"] is None else "fit")
            row = layer | result | {"outcome": outcome}
            counts = in_means(row["layer_type"], row["left_out"], row["degenerate_tail"])
            row["counted"] = counts and (outcome == "fit" or kind == "slice_metrics")
            found.append(row)
    return found


def mean(values: list) -> float | None:
    known = [float(value) for value in values if value is not None]
    return statistics.fmean(known) if known else None


def same(mine: list[Row], expected: list[Row]) -> None:
    """Equal rows in any order, numbers to 12 digits."""

    def key(row: Row) -> str:
        return str([f"{value:.9g}" if isinstance(value, float) else str(value) for value in row.values()])

    mine, expected = sorted(mine, key=key), sorted(expected, key=key)
    assert len(mine) == len(expected)
    for one, other in zip(mine, expected, strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():
            if isinstance(value, float) and math.isnan(value):  # a slope through one layer
                assert other[name] is None, (name, one, other)
            elif isinstance(value, float) and other[name] is not None:
                assert math.isclose(value, other[name], rel_tol=1e-11, abs_tol=1e-11), (name, one, other)
            else:
                assert value == other[name], (name, one, other)


def test_snapshots_and_models(made) -> None:
    raw, connection = made
    rows = answer(connection, "SELECT snapshot, first_seen, last_seen, runs FROM snapshots")
    assert {row.pop("snapshot"): tuple(row.values()) for row in rows} == snapshots(raw)
    columns = ("model_id", "revision", "name", "series", "first_seen", "last_seen", "params", "latest")
    expected = [{name: row.get(name) for name in columns} for row in models(raw).values()]
    same(answer(connection, f"SELECT {', '.join(columns)} FROM models"), expected)
    assert answer(connection, "SELECT DISTINCT exit_status, count(*) AS n FROM runs GROUP BY 1") == [
        {"exit_status": 0, "n": 5}
    ]


@pytest.mark.parametrize("kind", ["layer_metrics", "slice_metrics"])
def test_metrics_are_those_of_the_newest_part_and_count_by_the_rule(made, kind: str) -> None:
    raw, connection = made
    columns = ("model_id", "revision", "layer_id", "profile", "code_version", "alpha", "outcome", "counted", "latest")
    rows = measured(raw, kind)
    expected = [{name: row[name] for name in columns} for row in rows]
    same(answer(connection, f"SELECT {', '.join(columns)} FROM {kind}_history"), expected)
    same(answer(connection, f"SELECT alpha, counted FROM {kind}"), [
        {"alpha": row["alpha"], "counted": row["counted"]} for row in rows if row["latest"]
    ])  # fmt: skip


def test_averages_of_models(made) -> None:
    raw, connection = made
    expected = []
    for (model, profile), rows in grouped(
        [r for r in measured(raw, "layer_metrics") if r["latest"]], "model_id", "profile"
    ).items():
        admitted = [r for r in rows if in_means(r["layer_type"], r["left_out"], None)]
        fits = [r for r in rows if in_means(r["layer_type"], None, None) and r["outcome"] == "fit"]
        counted = [r for r in rows if r["counted"]]
        alphas = [r["alpha"] for r in counted if r["alpha"] is not None]
        expected.append(
            {
                "model_id": model,
                "profile": profile,
                "num_layers": len(counted),
                "num_left_out": len(fits) - len(counted),
            }
            | {"num_embeddings": sum(r["layer_type"] == "embedding" for r in rows)}
            | {"num_failed": sum(r["outcome"] != "fit" for r in admitted)}
            | {"share_warned": mean([r["degenerate_tail"] for r in admitted]), "alpha": mean(alphas)}
            | {"alpha_median": statistics.median(alphas) if alphas else None}
            | {"log_norm": mean([r["log_norm"] for r in counted])}
        )
    names = ", ".join(expected[0])
    same(answer(connection, f"SELECT {names} FROM model_metrics"), expected)


def test_averages_of_slices(made) -> None:
    raw, connection = made
    expected = []
    for (model, profile), rows in grouped(
        [r for r in measured(raw, "slice_metrics") if r["latest"]], "model_id", "profile"
    ).items():
        counted = [r for r in rows if r["counted"]]
        warned = [r["degenerate_tail"] for r in rows if in_means(r["layer_type"], r["left_out"], None)]
        expected.append(
            {"model_id": model, "profile": profile, "num_slices": len(counted)}
            | {"num_fits": sum(r["alpha"] is not None for r in counted), "share_warned": mean(warned)}
            | {"log_norm": mean([r["log_norm"] for r in counted])}
        )
    same(answer(connection, f"SELECT {', '.join(expected[0])} FROM model_slice_metrics"), expected)


def test_sketches_and_what_is_known(made) -> None:
    raw, connection = made
    kept = [
        max(rows, key=lambda r: (r["written"], r["code_version"]))
        for rows in grouped(raw["sketches"], "content_hash").values()
    ]
    columns = ("content_hash", "code_version", "elements")
    same(answer(connection, f"SELECT {', '.join(columns)} FROM sketches"), [{c: r[c] for c in columns} for r in kept])
    of = grouped(kept, "content_hash")
    expected = [
        {"model_id": r["model_id"], "layer_id": r["layer_id"], "elements": of[(r["content_hash"],)][0]["elements"]}
        for r in layers(raw)
        if r["latest"]
    ]
    same(answer(connection, "SELECT model_id, layer_id, elements FROM layer_sketches"), expected)
    results = grouped(raw["layer_metrics"], "content_hash", "profile_key", "code_version")
    filtered = {key: any(row["outcome"] == "filtered" for row in rows) for key, rows in results.items()}
    sql = "SELECT content_hash, profile_key, code_version, filtered FROM result_index WHERE unfold = 'slices'"
    assert {tuple(row.values())[:3]: row["filtered"] for row in answer(connection, sql)} == filtered
    covered = Counter()
    for row in layers(raw):
        for (content, key, version), is_filtered in filtered.items():
            if content == row["content_hash"]:
                covered[row["model_id"], row["revision"], key, version] += 1
                covered["filtered", row["model_id"], row["revision"], key, version] += is_filtered
    columns = "model_id, revision, profile_key, code_version, covered, covered_filtered"
    sql = f"SELECT {columns} FROM coverage WHERE unfold = 'slices'"
    for row in answer(connection, sql):
        key = tuple(row.values())[:4]
        assert (row["covered"], row["covered_filtered"]) == (covered[key], covered["filtered", *key])


def test_what_was_skipped(made) -> None:
    raw, connection = made
    known, expected = models(raw), []
    for key, rows in grouped(raw["skipped"], "model_id", "revision").items():
        listed = [r for r in raw["indexed"] if (r["model_id"], r["revision"]) == key]
        last = max([r["written"] for r in rows] + [max(r["written"] for r in listed)])
        if known[key]["latest"]:
            expected += [(key[0], r["tensor"], r["detail"], r["failed"]) for r in rows if r["written"] == last]
    sql = "SELECT model_id, tensor, detail, failed FROM skipped WHERE reason = 'vector'"
    assert sorted(tuple(row.values()) for row in answer(connection, sql)) == sorted(expected)
    left_out = [
        (r["model_id"], r["longname"], {"min_M": "below_min_M"}.get(r.get("filtered_by"), "too_few_eigenvalues"))
        for r in measured(raw, "layer_metrics")
        if r["latest"] and r["outcome"] == "filtered"
    ]
    sql = "SELECT model_id, tensor, reason FROM skipped WHERE reason <> 'vector'"
    assert sorted(tuple(row.values()) for row in answer(connection, sql)) == sorted(left_out)
    failed = answer(connection, selects("drift")["skipped"])
    assert [(r["model_id"], r["tensor"]) for r in failed] == sorted((m, t) for m, t, _, f in expected if f)
    own = answer(connection, selects("health")["skipped"], model="p/*")
    assert [(r["model_id"], r["tensor"]) for r in own] == [
        (r["model_id"], r["tensor"]) for r in failed if r["model_id"][0] == "p"
    ]


def reported(raw: dict[str, list[Row]], not_after: str | None) -> list[Row]:
    """The newest number of every model, data set and metric; undated ones are the oldest."""
    known = models(raw)
    latest = {row["model_id"]: row for row in known.values() if row["latest"]}
    rows = []
    for row in raw["reported_metrics"]:
        model = latest[row["model_id"]]
        counts = model.get("snapshot") == row["snapshot"]
        if counts and (not_after is None or (row["source_date"] is not None and row["source_date"] <= not_after)):
            rows.append(row | {"dataset": row["dataset"] or model.get("dataset")})
    best = []
    for own in grouped(rows, "model_id", "dataset", "metric").values():
        top = max(row["source_date"] or "" for row in own)
        best.append(min((r for r in own if (r["source_date"] or "") == top), key=lambda r: (r["source"], r["value"])))
    return best


@pytest.mark.parametrize("not_after", [None, "2025", "2026"])
def test_of_several_sources_the_newest_counts(made, not_after: str | None) -> None:
    raw, connection = made
    columns = ("model_id", "dataset", "metric", "value", "source", "source_date")
    expected = [{name: row[name] for name in columns} for row in reported(raw, not_after)]
    rows = answer(connection, selects("", ("reported",))["reported"], source_date=not_after)
    same([{name: row[name] for name in columns} for row in rows], expected)


def test_changed_since(made) -> None:
    raw, connection = made
    known = models(raw)
    zoo_seen = {
        zoo: max(r["last_seen"] for r in known.values() if r.get("zoo") == zoo and "last_seen" in r) for zoo in "pq"
    }
    for run in newest(raw["runs"], "run_id"):
        expected = []
        for row in known.values():
            if not row["latest"] or "zoo" not in row:
                continue
            since, gone = run["started"], row["last_seen"] < zoo_seen[row["zoo"]]
            revisions = sum(other["model_id"] == row["model_id"] and "zoo" in other for other in known.values())
            if row["first_seen"] > since or (gone and zoo_seen[row["zoo"]] > since):
                expected.append((row["model_id"], "gone" if gone else "retrained" if revisions > 1 else "new"))
        rows = answer(connection, f"SELECT model_id, change FROM changed_since('{run['run_id']}')")
        assert sorted(tuple(row.values()) for row in rows) == sorted(expected)
    assert answer(connection, "FROM changed_since('nothing')") == []


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


def counted(raw: dict[str, list[Row]]) -> dict[tuple, list[Row]]:
    rows = [row for row in measured(raw, "layer_metrics") if row["latest"] and row["counted"]]
    return grouped(sorted(rows, key=lambda row: row["layer_id"]), "model_id", "profile")


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


def test_the_newest_run_of_kin_stands_for_all() -> None:
    pair = {"model_id": "a", "revision": "r", "relative_id": "b", "verdict": "copy", "cosine": 0.5, "p_adjusted": 0.1}
    old = [pair | {"relative_id": "old"}]
    new = [pair, pair | {"relative_id": "c", "cosine": 0.9}, pair | {"relative_id": "d", "verdict": "independent"}]
    new += [pair | {"relative_id": "e", "verdict": "undetermined"}, pair | {"model_id": "b", "relative_id": "a"}]
    rows = [row | {"written": day(2)} for row in new] + [row | {"written": day(1)} for row in old]
    families = [{"model_id": m, "family": f, "written": day(w)} for m, f, w in (("a", 1, 2), ("b", 1, 2), ("c", 2, 1))]
    moved = [{"model_id": "a", "base_id": "b", "longname": "l", "profile": "p", "distance": float(w)} for w in (1, 2)]
    moved = [row | {"written": day(row["distance"])} for row in moved]
    with warehouse({"kinship": rows, "families": families, "delta_metrics": moved}) as connection:
        assert len(answer(connection, "FROM kinship")) == 5
        found = answer(connection, "SELECT relative_id FROM relatives('a')")
        assert [row["relative_id"] for row in found] == ["c", "b"]  # the most similar first, who is none left out
        assert len(answer(connection, "FROM relatives('*')")) == 3
        assert answer(connection, "SELECT model_id FROM families") == [{"model_id": "a"}, {"model_id": "b"}]
        assert answer(connection, "SELECT distance FROM delta_metrics") == [{"distance": 2.0}]


def test_layers_beside_each_other(made) -> None:
    raw, connection = made
    sketches = {
        rows[0]["content_hash"]: max(rows, key=lambda r: (r["written"], r["code_version"]))
        for rows in grouped(raw["sketches"], "content_hash").values()
    }
    of = {m: {r["longname"]: r for r in rows if r["latest"]} for (m,), rows in grouped(layers(raw), "model_id").items()}

    def matched(a: str, b: str) -> dict[str, tuple[float, float, bool]]:
        found = {}
        for name in of[a].keys() & of[b].keys():
            one, two = (sketches[of[m][name]["content_hash"]] for m in (a, b))
            if one["elements"] == two["elements"]:
                u, v = np.array(one["sketch"], "f4"), np.array(two["sketch"], "f4")
                cosine = float(u @ v / np.sqrt(float(u @ u) * float(v @ v)))
                far = float(np.linalg.norm(u - v) / np.linalg.norm(v))
                found[name] = (cosine, far, of[a][name]["content_hash"] == of[b][name]["content_hash"])
        return found

    every = sorted(of)
    for a, b in itertools.pairwise(every):
        rows = answer(connection, f"FROM kin_layers('{a}', '{b}')")
        expected = matched(a, b)
        assert {r["longname"]: (r["cosine"], r["distance"], r["same_bytes"]) for r in rows} == {
            name: pytest.approx(value, abs=1e-5) for name, value in expected.items()
        }
        metrics = {
            m: {r["longname"]: r for r in measured(raw, "layer_metrics")
                if r["latest"] and r["model_id"] == m and r["profile"] == "kept"} for m in (a, b)
        }  # fmt: skip
        expected = []
        for name in metrics[a].keys() | metrics[b].keys():
            one, two = (metrics[m].get(name, {}) for m in (a, b))
            row = {"longname": name}
            for column in ("alpha", "log_norm", "log_spectral_norm"):
                x, y = one.get(column), two.get(column)
                row |= {f"{column}_a": x, f"{column}_b": y}
                row[f"{column}_change"] = None if x is None or y is None else y - x
            both = one and two
            row["same_bytes"] = one["content_hash"] == two["content_hash"] if both else None
            expected.append(row)
        mine = answer(connection, f"FROM compare_models('{a}', '{b}', profile_name := 'kept')")
        same([{name: row[name] for name in expected[0]} for row in mine], expected)
    rows = answer(connection, f"FROM nearest('{every[0]}')")
    expected = {b: list(matched(every[0], b).values()) for b in every[1:]}
    assert {r["model_id"]: (r["layers"], r["cosine"], r["equal_bytes"]) for r in rows} == {
        b: pytest.approx((len(v), np.median([x[0] for x in v]), np.mean([x[2] for x in v])), abs=1e-5)
        for b, v in expected.items()
        if v
    }
    assert [r["cosine"] for r in rows] == sorted((r["cosine"] for r in rows), reverse=True)


CHECKS: dict[str, tuple[str, list[Row]]] = {
    "a_fit_is_an_alpha": (
        "layer_metrics_history",
        [{"outcome": "fit", "alpha": None}, {"outcome": "failed", "alpha": 2.0}, {"outcome": "odd", "alpha": None}],
    ),
    "one_latest_revision": ("models", [{"model_id": "none", "latest": False}]),
}
"""Check -> the table it reads, and rows that break it; the others refuse a row that is there twice."""


@pytest.mark.parametrize("check", names("checks"))
def test_every_check_returns_what_breaks_it_and_nothing_else(check: str) -> None:
    sql = text("checks", check)
    table = re.search(r"FROM (\w+)", sql)[1]
    keys = re.match(r"SELECT (.+?)(?:, count|\n)", sql)[1].split(", ")
    good = [dict.fromkeys(keys, "x") | {keys[0]: "fine", "latest": True, "outcome": "fit", "alpha": 2.0}]
    good += [
        good[0] | {key: "y", "latest": key == keys[0]} for key in keys if key not in good[0] or good[0][key] == "x"
    ]
    if check == "a_fit_is_an_alpha":
        good = [
            {"outcome": "fit", "alpha": 2.0},
            {"outcome": "failed", "alpha": None},
            {"outcome": "filtered", "alpha": None},
        ]
        good = [dict.fromkeys(keys, "x") | row for row in good]
    elif check == "one_latest_revision":
        good = [{"model_id": "fine", "latest": True}, {"model_id": "fine", "latest": False}]
    twice = dict.fromkeys(keys, "x") | {keys[0]: "twice", "latest": True}
    _, bad = CHECKS.get(check, (table, [twice, twice]))
    if check == "one_latest_revision":
        bad = [*bad, twice, twice]
    bad = [dict.fromkeys(keys, "x") | row for row in bad]
    columns = sorted({name for row in (*good, *bad) for name in row})
    with duckdb.connect() as connection:
        rows = pa.Table.from_pylist([{name: row.get(name) for name in columns} for row in (*good, *bad)])
        connection.register("rows", rows)
        connection.execute(f"CREATE TABLE {table} AS FROM rows").fetchall()
        found = answer(connection, sql)
    assert len(found) == (2 if check == "one_latest_revision" else 3 if check == "a_fit_is_an_alpha" else 1)
    assert not any(row.get(keys[0]) == "fine" for row in found)


def test_regress_agrees_with_scipy_by_data_set_and_group_and_says_why_not() -> None:
    """44 models, one layer each: ties in both, three constant groups, some bytes twice, some sources undated or old."""
    rng = np.random.default_rng(0)
    raw: dict[str, list[Row]] = {"models": [], "layers": [], "layer_metrics": [], "reported_metrics": []}
    points = []
    for i in range(44):
        series = (
            "same x"
            if i < 5
            else "same y"
            if i < 10
            else (None, "x", "y", "few")[int(rng.choice(4, p=(0.3, 0.4, 0.25, 0.05)))]
        )
        content = f"h{i if i % 7 or i < 14 else 7}"  # every seventh is the first of them under another name
        alpha = 0.0 if i < 5 else float(np.round(rng.normal(3, 1), 1)) if content == f"h{i}" else points[7]["x"]
        value = 0.0 if 5 <= i < 10 else float(np.round(rng.normal(80, 2)))
        base = {"model_id": f"z/m{i:02d}", "revision": "r"}
        own = ("d", "e", None)[i % 3] if i >= 10 else "d"
        raw["models"].append(base | {"snapshot": "s", "zoo": "z", "series": series, "dataset": own})
        raw["layers"].append(base | {"layer_id": 0, "longname": "l", "layer_type": "dense", "content_hash": content})
        if content == f"h{i}":
            result = {"content_hash": content, "profile": "weightwatcher", "alpha": alpha, "unfold": "slices"}
            raw["layer_metrics"].append(result | {"code_version": "1", "profile_key": "k"})
        sources = [(value, "2026"), (999.0, "2025"), (-999.0, None)]
        for number, date in sources[: None if i % 11 else 0]:
            row = base | {"snapshot": "s", "metric": "acc", "value": number, "source": "s", "source_date": date}
            raw["reported_metrics"] += [row, row | {"metric": "other", "value": 1.0}]
        points.append({"d": own or "(none)", "g": series or "(none)", "x": alpha, "y": value, "content": content})
    points = [point for i, point in enumerate(points) if i % 11]
    expected = {}
    for row in points:
        for group in (row["g"], "(all)"):
            line = [p for p in points if p["d"] == row["d"] and group in (p["g"], "(all)")]
            first = {p["content"]: p for p in reversed(line)}
            expected[row["d"], group] = [(p["x"], p["y"]) for p in line if first[p["content"]] is p]
    with warehouse(raw) as connection:
        rows = answer(connection, "FROM regress('alpha', 'acc')")
        assert {(row["dataset"], row["group"]) for row in rows} == expected.keys()
        assert [(r["dataset"], r["group"] == "(all)", r["group"]) for r in rows] == sorted(
            (d, g == "(all)", g) for d, g in expected
        )
        for row in rows:
            x, y = np.array(expected[row["dataset"], row["group"]]).T
            why = f"{len(x)} models, at least 4 are needed" if len(x) < 4 else None
            why = why or ("alpha is constant" if np.ptp(x) == 0 else "acc is constant" if np.ptp(y) == 0 else None)
            assert (row["n"], row["reason"]) == (len(x), why), row
            answers = [row[name] for name in ("slope", "intercept", "r2", "rmse", "kendall_tau")]
            if why:
                assert answers == [None] * 5
                continue
            line = stats.linregress(x, y)
            rmse = math.sqrt(np.mean((y - line.intercept - line.slope * x) ** 2))
            tau = stats.kendalltau(x, y).statistic
            assert answers == pytest.approx([line.slope, line.intercept, line.rvalue**2, rmse, tau], abs=1e-9)
        reasons = {re.sub(r"^\d+", "n", row["reason"] or "") for row in rows}
        assert reasons == {"", "alpha is constant", "acc is constant", "n models, at least 4 are needed"}
        own = answer(
            connection, "FROM regress('alpha', 'acc', 'zoo', dataset_name := 'e', smallest := 99, not_after := '2025')"
        )
        assert [(row["dataset"], row["group"], row["reason"][3:]) for row in own] == [
            ("e", "z", "models, at least 99 are needed"),
            ("e", "(all)", "models, at least 99 are needed"),
        ]
