"""What changed between scans: models that came, went or were retrained, numbers that moved, what fails now.

'since' of the options is a time (UTC, ISO 8601): only what changed after it counts. DRIFT_MODELS, DRIFT_METRICS
(averages of the newest revision against the one before), DRIFT_REPORTED, DRIFT_FAILED.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from zoospectra.analysis.studies.record import Cell, Designs, Findings, Row, Study, number

METRICS = ("alpha", "alpha_weighted", "log_norm", "log_spectral_norm", "log_alpha_norm")


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the study."""

    since: str | None = None
    """Only what changed after this time counts, UTC, ISO 8601; None means ever."""

    def __post_init__(self) -> None:
        """Refuse what is no time."""
        _time(self.since)


def run(designs: Designs, options: Options) -> Findings:
    """Changes after 'since', or all there ever were."""
    since = _time(options.since)
    models = designs["models"]
    newest = [row for row in models if row["latest"]]
    came = [row for row in newest if row["revisions"] == 1 and _after(row["first_seen"], since)]
    gone = [row for row in newest if row["last_seen"] and row["zoo_seen"] and row["last_seen"] < row["zoo_seen"]]
    again = [row for row in newest if row["revisions"] > 1 and _after(row["first_seen"], since)]
    found: list[Cell] = []
    for word, rows in (("new", came), ("gone", gone), ("retrained", again)):
        found += [
            Cell("DRIFT_MODELS", row["model_id"], "revisions", float(row["revisions"]), verdict=word) for row in rows
        ]
    found += _metrics(designs, again)
    found += _reported(designs["reported"], since)
    failed = designs["skipped"]
    found += [
        Cell(
            "DRIFT_FAILED",
            f"{row['model_id']} / {row['tensor'] or 'the whole model'}",
            "failed",
            1.0,
            reason=row["reason"],
        )
        for row in failed
    ]
    changed = sum(cell.table_id == "DRIFT_REPORTED" for cell in found)
    notes = (
        f"{len(came)} new models, {len(gone)} gone, {len(again)} retrained, {changed} reported numbers changed, "
        f"{len(failed)} tensors or models fail",
    )
    design = [{"model_id": row["model_id"], "revision": row["revision"], "excluded_by": None} for row in models]
    return Findings(tuple(found), tuple(design), notes)


def _time(text: str | None) -> datetime.datetime | None:
    if text is None:
        return None
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"since={text}: expected a time such as 2026-11-21 or 2026-11-21T03:00:00 (UTC)"
        raise ValueError(msg) from error
    return found if found.tzinfo is None else found.astimezone(datetime.UTC).replace(tzinfo=None)


def _after(seen: datetime.datetime | None, since: datetime.datetime | None) -> bool:
    return since is None or (seen is not None and seen >= since)


def _metrics(designs: Designs, again: Sequence[Row]) -> list[Cell]:
    """Averages of retrained models, newest revision minus the one before."""
    before = {(row["model_id"], row["nth"]): row["revision"] for row in designs["models"]}
    values = {(row["model_id"], row["revision"], row["profile"]): row for row in designs["averages"]}
    profiles = dict.fromkeys(row["profile"] for row in designs["averages"])
    found = []
    for row in again:
        older = before.get((row["model_id"], row["nth"] - 1))
        for profile in profiles:
            new = values.get((row["model_id"], row["revision"], profile))
            old = values.get((row["model_id"], older, profile))
            if new is None or old is None:
                continue
            for metric in METRICS:
                a, b = number(new, metric), number(old, metric)
                change = None if a is None or b is None else a - b
                why = None if change is not None else "one of the revisions has no fit"
                label = f"{profile} / {row['model_id']}"
                found.append(Cell("DRIFT_METRICS", label, f"{metric} change", change, new["layers"], reason=why))
    return found


def _reported(rows: Sequence[Row], since: datetime.datetime | None) -> list[Cell]:
    """Last change of every reported number: better or worse by its own direction; each source by itself."""
    series: dict[tuple[str, str, str], dict[tuple[str, str], list[Row]]] = {}
    for row in rows:
        sources = series.setdefault((row["model_id"], row["dataset"] or "", row["metric"]), {})
        sources.setdefault((row.get("source") or "", row.get("source_date") or ""), []).append(row)
    found = []
    for key, sources in series.items():
        for source, values in sources.items():
            changes = [(a, b) for a, b in pairwise(values) if a["value"] != b["value"]]
            if not changes or not _after(changes[-1][1]["first_seen"], since):
                continue
            old, new = changes[-1]
            change = float(new["value"]) - float(old["value"])
            verdict = "better" if (change > 0) == bool(new["higher_is_better"]) else "worse"
            label = " / ".join([*key, *(filter(None, source) if len(sources) > 1 else ())])
            found.append(Cell("DRIFT_REPORTED", label, "change", change, verdict=verdict))
    return found


STUDY = Study(Options, run)
