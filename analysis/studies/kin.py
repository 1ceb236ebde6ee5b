"""How far a zoo consists of relatives: verdicts, families, and how many independent models it is worth.

KIN_VERDICTS counts pairs of candidates (each both ways) by verdict, with their median cosine; KIN_FAMILIES has a row a
family of two and more; KIN_ZOO the whole: models, families, and n^2 / sum m^2, the effective number where models of a
family were one and the same. From the verdicts that `zoospectra kin keep=true` kept. Not covered: lines (options
independent=cluster of the other studies).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from zoospectra.analysis.studies.record import Cell, Designs, Findings, Row, Study, at_least


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the study."""

    smallest: int = 2
    """Models of a family that has a row of its own."""

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        at_least("smallest", self.smallest, 2)


def run(designs: Designs, options: Options) -> Findings:
    """Counts of what kin kept; ValueError where it kept nothing."""
    models, pairs = designs["kin"], designs["kinship"]
    if not models:
        msg = "study=kin: expected families in the warehouse: run 'zoospectra kin keep=true' first"
        raise ValueError(msg)
    families: dict[int, list[str]] = {}
    for row in models:
        families.setdefault(int(row["family"]), []).append(str(row["model_id"]))
    n, squares = len(models), sum(len(members) ** 2 for members in families.values())
    cells = [
        *_verdicts(pairs),
        *(
            Cell("KIN_FAMILIES", f"family {number}: {members[0]}", "models", float(len(members)), len(members))
            for number, members in sorted(families.items())
            if len(members) >= options.smallest
        ),
        Cell("KIN_ZOO", "all", "models", float(n), n),
        Cell("KIN_ZOO", "all", "families", float(len(families)), n),
        Cell("KIN_ZOO", "all", "effective models", n * n / squares, n),
    ]
    note = f"{n} models of {len(families)} families, worth {n * n / squares:.1f} where those of a family are one"
    return Findings(tuple(cells), tuple(row | {"excluded_by": None} for row in map(dict, models)), (note,))


def _verdicts(pairs: Sequence[Row]) -> list[Cell]:
    cells = []
    for verdict, count in sorted(Counter(str(row["verdict"]) for row in pairs).items()):
        cosines = [float(row["cosine"]) for row in pairs if row["verdict"] == verdict and row["cosine"] is not None]
        cells.append(Cell("KIN_VERDICTS", verdict, "pairs", float(count), count))
        cells.append(Cell("KIN_VERDICTS", verdict, "median cosine", median(cosines) if cosines else None, count))
    return cells


STUDY = Study(Options, run, ("kin",))
