"""Models of one family are not independent: the option `independent` of studies, and the cells that it adds.

off: every model counts as independent, as in the papers. cluster: families are clusters of the errors (robust, drawn
anew together, a random intercept each), and the effective number of models stands beside n. one: one model a family.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from zoospectra.analysis.statistics.bootstrap import slope_interval
from zoospectra.analysis.statistics.clustered import clustered
from zoospectra.analysis.statistics.mixed import mixed
from zoospectra.analysis.studies.record import Cell, Row

INDEPENDENT = ("off", "cluster", "one")
"""Values of the option."""


def check_independent(independent: str) -> None:
    """Raise ValueError for an unknown value."""
    if independent not in INDEPENDENT:
        msg = f"independent={independent}: expected one of {', '.join(INDEPENDENT)}"
        raise ValueError(msg)


def families_of(independent: str, kin: Sequence[Row]) -> dict[str, int]:
    """model_id -> family; empty for off. ValueError where the warehouse knows no families."""
    if independent == "off":
        return {}
    if not kin:
        msg = f"independent={independent}: expected families in the warehouse: run 'zoospectra kin keep=true' first"
        raise ValueError(msg)
    return {row["model_id"]: int(row["family"]) for row in kin}


def clustered_cells(
    table_id: str,
    row: str,
    label: str,
    x: Sequence[float | None],
    y: Sequence[float | None],
    families: Sequence[Hashable],
) -> list[Cell]:
    """Cells '<statistic> <label>' of the line with families as clusters."""
    line, drawn, random = clustered(x, y, families), slope_interval(x, y, clusters=families), mixed(x, y, families)
    values = {
        "families": (float(line.clusters), None),
        "effective models": (line.effective, line.reason),
        "clustered slope p": (line.p, line.reason),
        "clustered slope low": (line.low, line.reason),
        "clustered slope high": (line.high, line.reason),
        "clustered bootstrap low": (drawn.low, drawn.reason),
        "clustered bootstrap high": (drawn.high, drawn.reason),
        "kin effect slope": (random.slope, random.reason),
        "kin effect p": (random.p, random.reason),
    }
    return [
        Cell(table_id, row, f"{word} {label}".rstrip(), value, line.n, reason=why)
        for word, (value, why) in values.items()
    ]
