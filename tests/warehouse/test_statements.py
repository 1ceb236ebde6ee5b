"""Every table and view against plain Python over the rows of a made-up warehouse."""

from __future__ import annotations

import statistics
from collections import Counter

import pytest

from tests.warehouse.plain import (
    grouped,
    in_means,
    layers,
    mean,
    measured,
    models,
    newest,
    reported,
    same,
    snapshots,
)
from tests.warehouse.world import answer
from zoospectra.warehouse.studies import selects


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
