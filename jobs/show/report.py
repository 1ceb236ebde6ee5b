"""The report of a check for people: the sentence, what it objects to, its tables, where the numbers come from."""

from __future__ import annotations

from zoospectra.jobs.checks.record import SEVERITIES, Report
from zoospectra.jobs.show.display import print_rows
from zoospectra.jobs.show.plain import plain

FINDINGS = 12
"""Findings that are printed; format=json has all."""


def print_report(report: Report) -> None:
    """One report on standard output."""
    print(plain(f"{report.model}: {report.summary}"))
    findings = sorted(report.findings, key=lambda finding: -SEVERITIES.index(finding.severity))
    for finding in findings[:FINDINGS]:
        place = f" {finding.layer}" if finding.layer else ""
        source = f" ({finding.source})" if finding.source else ""
        print(plain(f"  {finding.severity}:{place}: {finding.words} [{finding.reason}]{source}"))
    if len(findings) > FINDINGS:
        print(f"  ... and {len(findings) - FINDINGS} more findings: format=json has them all")
    for section in report.sections:
        print_rows(section.names, section.rows, section.title, digits=4, whole=False)
    for note in report.notes:
        print(plain(note))
