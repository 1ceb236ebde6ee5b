"""What every table of a generation says of the rows of its parts, in plain Python: all rows, all columns, in order.

Not covered: views (plain_views.py), the SELECTs of studies (plain_studies.py).
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from functools import cache
from typing import Any

from tests.warehouse.world import Parts, Row, day
from zoospectra.warehouse.schema import PARTS

NEVER = day(-9)


def grouped(rows: list[Row], *keys: str) -> dict[tuple, list[Row]]:
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(row.get(key) for key in keys)].append(row)
    return groups


def ordered(rows: list[Row], *keys: str) -> list[Row]:
    """Rows by keys, `-key` downwards; None comes last, for `^key` first."""
    for key in reversed(keys):
        name = key.lstrip("-^")
        known = sorted((r for r in rows if r[name] is not None), key=lambda r: r[name], reverse=key[0] == "-")
        gaps = [row for row in rows if row[name] is None]
        rows = gaps + known if key[0] == "^" else known + gaps
    return rows


def by_all(rows: list[Row]) -> list[Row]:
    return ordered(rows, *rows[0]) if rows else []


def picked(row: Row, *columns: str) -> Row:
    return {column: row.get(column) for column in columns}


def whole(kind: str, row: Row, **more: Any) -> Row:
    """All columns that a kind of part has, and more."""
    return picked(row, *PARTS[kind].names) | more


def mean(values: list) -> float | None:
    known = [float(value) for value in values if value is not None]
    return statistics.fmean(known) if known else None


def same(mine: list[Row], expected: list[Row], within: float = 1e-11) -> None:
    """Equal rows, numbers to 11 digits or as said; the NaN of a slope through one layer stands for None."""
    assert len(mine) == len(expected)
    for i, (one, other) in enumerate(zip(mine, expected, strict=True)):
        assert one.keys() == other.keys()
        for name, value in one.items():
            if isinstance(value, float) and math.isnan(value):
                assert other[name] is None, (i, name, one, other)
            elif isinstance(value, float) and other[name] is not None:
                assert math.isclose(value, other[name], rel_tol=within, abs_tol=within), (i, name, one, other)
            else:
                assert value == other[name], (i, name, one, other)


def newest(rows: list[Row], *keys: str) -> list[Row]:
    """Of several parts that hold the same thing those of the newest one; of the same time the first file's."""
    kept = []
    for own in grouped(rows, *keys).values():
        last = max(row.get("written", day(0)) for row in own)
        files = [row.get("filename", "f") for row in own if row.get("written", day(0)) == last]
        kept += [r for r in own if r.get("written", day(0)) == last and r.get("filename", "f") == min(files)]
    return kept


def runs(raw: Parts) -> list[Row]:
    return ordered([whole("runs", row) for row in newest(raw["runs"], "run_id")], "started", "run_id")


@cache
def snapshots(raw: Parts) -> list[Row]:
    """When each state of a catalog was first and last seen, and by how many runs; by its parts where no run says so."""
    rows = []
    for (name,), own in grouped(raw["models"], "snapshot").items():
        saw = [run for run in runs(raw) if run["snapshot"] == name]
        first = min([run["started"] for run in saw] or [row["written"] for row in own])
        last = max([run["finished"] or run["started"] for run in saw] or [row["written"] for row in own])
        row = {"snapshot": name, "zoo": own[0]["zoo"], "models": len({row["model_id"] for row in own})}
        rows.append(row | {"runs": len(saw), "first_seen": first, "last_seen": last})
    return ordered(rows, "last_seen", "snapshot")


@cache
def models(raw: Parts) -> list[Row]:
    """Words by the newest catalog, when it was seen, size by the newest layers, whether it is the latest revision."""
    seen = {row["snapshot"]: row for row in snapshots(raw)}
    sized = grouped(newest(raw["layers"], "model_id", "revision"), "model_id", "revision")
    listed = grouped(raw["models"], "model_id", "revision")
    rows = []
    for key in listed.keys() | sized.keys():
        row: Row = {"model_id": key[0], "revision": key[1]} | dict.fromkeys(("first_seen", "last_seen", "params"))
        if own := listed.get(key):
            newer = [(seen[r["snapshot"]]["last_seen"], r["written"], r["snapshot"]) for r in own]
            first = [r for r, age in zip(own, newer, strict=True) if age == max(newer)]
            row |= min(first, key=lambda r: r["filename"])
            row["first_seen"] = min(seen[r["snapshot"]]["first_seen"] for r in own)
            row["last_seen"] = max(seen[r["snapshot"]]["last_seen"] for r in own)
        if parts := sized.get(key):
            row.setdefault("written", parts[0]["written"])
            row["params"] = sum(max(r["params"] for r in same) for same in grouped(parts, "tensor").values())
        rows.append(row)
    for own in grouped(rows, "model_id").values():
        last = max(own, key=lambda r: (r["last_seen"] or NEVER, r["first_seen"] or NEVER, r["written"], r["revision"]))
        for row in own:
            row["latest"] = row is last
    more = ("first_seen", "last_seen", "params", "latest")
    return ordered([whole("models", r, **picked(r, *more)) for r in rows], "model_id", "first_seen", "revision")


@cache
def is_latest(raw: Parts) -> dict[tuple[str, str], bool]:
    return {(row["model_id"], row["revision"]): row["latest"] for row in models(raw)}


@cache
def layers_history(raw: Parts) -> list[Row]:
    latest = is_latest(raw)
    rows = newest(raw["layers"], "model_id", "revision")
    rows = [whole("layers", r, latest=latest[r["model_id"], r["revision"]]) for r in rows]
    return ordered(rows, "model_id", "revision", "layer_id")


def indexed(raw: Parts) -> list[Row]:
    rows = newest(raw["indexed"], "model_id", "revision")
    return ordered([whole("indexed", r, written=r["written"]) for r in rows], "model_id", "revision")


def in_means(kind: str | None, left_out: str | None = None, narrow: bool | None = None) -> bool:
    out = (left_out or "").split(", ")
    plain = kind is None or not (kind == "embedding" or kind.endswith("_part"))
    return plain and kind not in out and not (narrow and "degenerate_tail" in out)


@cache
def measured(raw: Parts, kind: str) -> list[Row]:
    """Layers of every revision joined with the newest result of their content, and whether they count."""
    results = defaultdict(list)
    for (content, *_), rows in grouped(raw[kind], "content_hash", "unfold", "profile").items():
        top = max((row["written"], row["code_version"], row["profile_key"]) for row in rows)
        last = [r for r in rows if (r["written"], r["code_version"], r["profile_key"]) == top]
        results[content] += [r for r in last if r["filename"] == min(r["filename"] for r in last)]
    found = []
    for layer in layers_history(raw):
        for result in results[layer["content_hash"]]:
            of = ("model_id", "revision", "layer_id", "longname", "layer_type", "group")
            row = picked(layer, *of) | whole(kind, result, written=result["written"])
            row["outcome"] = row["outcome"] or ("failed" if row["alpha"] is None else "fit")
            counts = in_means(row["layer_type"], row["left_out"], row["degenerate_tail"])
            row["counted"] = counts and (row["outcome"] == "fit" or kind == "slice_metrics")
            found.append(row | {"latest": layer["latest"]})
    more = ("slice_id",) if kind == "slice_metrics" else ()
    return ordered(found, "model_id", "revision", "layer_id", "profile", "unfold", *more)


def reported_metrics_history(raw: Parts) -> list[Row]:
    newest_catalogs = {(row["model_id"], row["snapshot"]) for row in models(raw) if row["latest"]}
    rows = [whole("reported_metrics", row) for row in raw["reported_metrics"]]
    rows = [dict(row) for row in {tuple(row.items()) for row in rows}]
    rows = [row | {"latest": (row["model_id"], row["snapshot"]) in newest_catalogs} for row in rows]
    return ordered(rows, "model_id", "dataset", "metric", "source", "source_date", "snapshot", "value")


def skipped_history(raw: Parts) -> list[Row]:
    latest, found = is_latest(raw), []
    listings = {(r["model_id"], r["revision"]): r["written"] for r in indexed(raw) if r["listed_skips"] is not None}
    for key, rows in grouped(raw["skipped"], "model_id", "revision").items():
        listed = [row for row in rows if row["added"] is None]
        since = max([row.get("written", day(0)) for row in listed] + [listings.get(key, NEVER)])
        since = since if listed or key in listings else NEVER
        new = [row for row in rows if row.get("written", day(0)) >= since]
        kept = newest([r for r in new if r["added"] is None], "model_id")
        kept += newest([r for r in new if r["added"]], "tensor")
        found += [whole("skipped", row, latest=latest.get(key, True)) for row in kept]
    return ordered(found, "model_id", "revision", "^tensor", "reason", "detail")


def sketches(raw: Parts) -> list[Row]:
    rows = []
    for own in grouped(raw["sketches"], "content_hash").values():
        top = max((row["written"], row["code_version"]) for row in own)
        last = [row for row in own if (row["written"], row["code_version"]) == top]
        rows.append(min(last, key=lambda row: row["filename"]))
    return ordered([whole("sketches", row, written=row["written"]) for row in rows], "content_hash")


def spectra_index(raw: Parts) -> list[Row]:
    rows = []
    for own in grouped(raw["spectra"], "content_hash", "unfold").values():
        top = max((row["written"], row["code_version"]) for row in own)
        last = [row for row in own if (row["written"], row["code_version"]) == top]
        last = [row for row in last if row["filename"] == min(r["filename"] for r in last)]
        row = picked(last[0], "content_hash", "unfold", "N", "M", "method", "device", "code_version", "written")
        rows.append(row | {"num_slices": len(last), "file": last[0]["filename"]})
    return ordered(rows, "content_hash", "unfold")


def result_index(raw: Parts) -> list[Row]:
    keys = ("content_hash", "unfold", "profile_key", "code_version")
    rows = [
        dict(zip(keys, key, strict=True)) | {"filtered": any(r["outcome"] == "filtered" for r in own)}
        for key, own in grouped(raw["layer_metrics"], *keys).items()
    ]
    sketch = {"unfold": "sketch", "profile_key": "sketch", "filtered": False}
    rows += [picked(r, "content_hash", "code_version") | sketch for r in sketches(raw)]
    spectrum = {"profile_key": "spectrum", "code_version": "", "filtered": False}
    rows += [picked(r, "content_hash", "unfold") | spectrum for r in spectra_index(raw)]
    return ordered(rows, *keys)


def coverage(raw: Parts) -> list[Row]:
    keys = ("model_id", "revision", "unfold", "profile_key", "code_version")
    of = grouped(result_index(raw), "content_hash")
    joined = [layer | result for layer in layers_history(raw) for result in of.get((layer["content_hash"],), [])]
    return by_all([
        dict(zip(keys, key, strict=True)) | {"covered": len(own), "covered_filtered": sum(r["filtered"] for r in own)}
        for key, own in grouped(joined, *keys).items()
    ])  # fmt: skip


def model_averages(raw: Parts) -> list[Row]:
    latest, keys = is_latest(raw), ("model_id", "revision", "profile", "rule")
    rows = newest(raw["model_averages"], *keys)
    rows = [whole("model_averages", r, latest=latest.get((r["model_id"], r["revision"]), True)) for r in rows]
    return ordered(rows, *keys)


def delta_metrics(raw: Parts) -> list[Row]:
    rows = newest(raw["delta_metrics"], "model_id", "base_id", "longname", "profile")
    rows = [whole("delta_metrics", row, written=row["written"]) for row in rows]
    return ordered(rows, "model_id", "base_id", "profile", "longname")


def families(raw: Parts) -> list[Row]:
    rows = [whole("families", row, written=row["written"]) for row in newest(raw["families"])]
    return ordered(rows, "family", "model_id")


def kinship(raw: Parts) -> list[Row]:
    rows = [whole("kinship", row, written=row["written"]) for row in newest(raw["kinship"])]
    return ordered(rows, "model_id", "p_adjusted", "-cosine", "relative_id")


TABLES = {
    "runs": runs,
    "snapshots": snapshots,
    "models": models,
    "layers_history": layers_history,
    "indexed": indexed,
    "layer_metrics_history": lambda raw: measured(raw, "layer_metrics"),
    "slice_metrics_history": lambda raw: measured(raw, "slice_metrics"),
    "reported_metrics_history": reported_metrics_history,
    "skipped_history": skipped_history,
    "sketches": sketches,
    "spectra_index": spectra_index,
    "result_index": result_index,
    "coverage": coverage,
    "model_averages": model_averages,
    "delta_metrics": delta_metrics,
    "families": families,
    "kinship": kinship,
    "generation": lambda raw: [{"made_of": "", "definitions": ""}],
    "study_results": lambda raw: by_all([whole("study_results", row) for row in raw["study_results"]]),
}
"""Name of a table -> its rows in order, from those of the parts."""
