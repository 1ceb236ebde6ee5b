"""What tables, views and studies' SELECTs say of the rows of parts, in plain Python."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict

from tests.warehouse.world import Row, day


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


def counted(raw: dict[str, list[Row]]) -> dict[tuple, list[Row]]:
    rows = [row for row in measured(raw, "layer_metrics") if row["latest"] and row["counted"]]
    return grouped(sorted(rows, key=lambda row: row["layer_id"]), "model_id", "profile")
