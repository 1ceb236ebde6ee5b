"""The report of a check for people: the sentence, what it objects to, its tables, where the numbers come from."""

from __future__ import annotations

from textwrap import fill

from zoospectra.jobs.checks.record import SEVERITIES, Report
from zoospectra.jobs.show.display import print_rows, room
from zoospectra.jobs.show.plain import plain

FINDINGS = 8
"""Findings that are printed; format=json has all."""
WIDEST = 120
"""Characters of a line of prose."""


def print_report(report: Report) -> None:
    """One report on standard output, within the width of the terminal; findings that are notes stand in its tables."""
    _prose(f"{report.model}: {report.summary}")
    grave = [finding for finding in report.findings if finding.severity != SEVERITIES[0]]
    findings = sorted(grave, key=lambda finding: -SEVERITIES.index(finding.severity))
    for finding in findings[:FINDINGS]:
        place = f" {finding.layer}:" if finding.layer else ""
        source = f" ({finding.source})" if finding.source else ""
        _prose(f"{finding.severity}:{place} {finding.words} [{finding.reason}]{source}", indent="  ")
    if len(findings) > FINDINGS:
        print(f"  ... and {len(findings) - FINDINGS} more findings: format=json has them all")
    for section in report.sections:
        if section.rows:
            print_rows(section.names, section.rows, section.title, digits=4, whole=False)
    for note in report.notes:
        _prose(note)


def _prose(text: str, indent: str = "") -> None:
    width = min(room(), WIDEST)
    print(fill(plain(text), width, initial_indent=indent, subsequent_indent="  " + indent, break_on_hyphens=False))
