"""Makes networks.csv: `python -m zoospectra.jobs.checks.make_networks FOLDER ... > jobs/checks/networks.csv`.

Every checkpoint below the folders that the check of quality calls trained is a row, once: networks with the same means
count as one. docs/check.md says which folders the bundled table was made from.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

from zoospectra.jobs.checks.population import METRICS, Network
from zoospectra.jobs.checks.quality import measure
from zoospectra.jobs.checks.subject import subjects
from zoospectra.zoo.checkpoint.trouble import CheckpointError


def rows(folders: Sequence[str]) -> list[Network]:
    """Networks below folders, each once."""
    distinct: dict[tuple[float, ...], Network] = {}
    for subject in (subject for folder in folders for subject in subjects(folder, Path())):
        try:
            own, verdict = measure(subject)
        except CheckpointError as error:
            print(f"{subject.name}: {error}", file=sys.stderr)
            continue
        print(f"{subject.name}: {verdict.verdict}", file=sys.stderr)
        if verdict.verdict == "trained" and own.values:
            distinct.setdefault(tuple(round(value, 6) for value in own.values.values()), own)
    return list(distinct.values())


def main(folders: Sequence[str]) -> None:
    """Write the table to standard output."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("name", "kind", "params", *METRICS))
    for own in rows(folders):
        numbers = (f"{own.values[metric]:.6g}" if metric in own.values else "" for metric in METRICS)
        writer.writerow((Path(own.name).name, own.kind, own.params, *numbers))


if __name__ == "__main__":
    main(sys.argv[1:])
