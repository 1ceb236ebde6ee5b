"""Is everything that a warehouse keeps whole: checksums of every part, and what its newest generation needs."""

from __future__ import annotations

from zoospectra.jobs.checks.record import Check, Finding, Report, Subject
from zoospectra.jobs.show.units import size
from zoospectra.warehouse.connect import newest
from zoospectra.warehouse.intact import is_intact, set_aside
from zoospectra.warehouse.parts import live_parts
from zoospectra.warehouse.query import query
from zoospectra.warehouse.verified import strangers

LEFT = "moved aside earlier; a scan of its zoo computes what it held again, then it can be deleted"
DAMAGED = "its bytes do not match their checksum, or it is of another kind: moved aside, a scan computes it again"
OTHER = (
    "it is another part, without eigenvalues that the newest generation reads: moved aside, a scan computes them again"
)
MISSING = "the newest generation reads eigenvalues from it, and it is not there: scan its zoo again"


def run(subject: Subject) -> Report:
    """Compare every part with its checksums, move damaged ones aside, and look for parts that are needed and missing.

    Raises ValueError where there is no warehouse.
    """
    directory = subject.warehouse.resolve()
    newest(directory)
    findings = []
    earlier = sorted((directory / "parts").rglob("*.parquet.broken"))
    parts = live_parts(directory)
    for part in parts:
        if not is_intact(part.path, part.kind):
            set_aside(part.path)
            findings.append(_finding(subject, "error", part.name(directory), "damaged", DAMAGED))
    needed = query(directory, "SELECT DISTINCT file FROM spectra_index ORDER BY file")["file"].to_pylist()
    aside = {finding.layer for finding in findings}
    there = [name for name in needed if (directory / name).exists()]
    for name in strangers(directory, there):
        set_aside(directory / name)
        findings.append(_finding(subject, "error", name, "another", OTHER))
    for name in sorted({*needed} - {*there} - aside):
        findings.append(_finding(subject, "error", name, "missing", MISSING))
    for path in earlier:
        findings.append(_finding(subject, "note", path.relative_to(directory).as_posix(), "aside", LEFT))
    bad = sum(finding.severity == "error" for finding in findings)
    held = size(sum(part.path.stat().st_size for part in parts if part.path.exists()))
    summary = f"{len(parts)} parts, {held}, compared with their checksums: "
    summary += f"{bad} damaged or missing" if bad else "all are whole"
    return Report("warehouse", subject.name, "damaged" if bad else "whole", summary, tuple(findings))


def _finding(subject: Subject, severity: str, name: str, reason: str, words: str) -> Finding:
    return Finding(severity, subject.name, name, reason, words)


CHECK = Check(run, "checksums of every part of the warehouse", of_warehouse=True)
