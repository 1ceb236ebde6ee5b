"""E_TPL, the extended truncated power law: the whole ESD from its peak on, fitted by lam^-alpha exp(-Lambda lam).

WeightWatcher's fit='E_TPL' searches xmin between log10(0.95 peak), which is a power of ten too few, and 1.5 peak by
the distance of the truncated law (minutes a layer); here xmin is the first eigenvalue at or above the peak. Not
covered: that search.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoospectra.analysis.metrics.peak import peak
from zoospectra.analysis.records import Column, Esd, Fit, Method, Value
from zoospectra.analysis.rounding import FLAT
from zoospectra.analysis.tails import truncated

COLUMNS = (
    Column("E_TPL_alpha", "double", "1", "exponent of lam^-alpha exp(-Lambda lam) fitted from the ESD's peak on, >= 1"),
    Column("E_TPL_Lambda", "double", "1/eigenvalue", "its cut-off; 0 where the plain power law fits no worse"),
    Column("E_TPL_xmin", "double", "eigenvalue", "first eigenvalue at the peak of the log-ESD (100 bins of log10 lam)"),
    Column("E_TPL_num", "bigint", "count", "number of eigenvalues lam >= E_TPL_xmin"),
)


def run(esd: Esd, fit: Fit, options: Mapping[str, Any]) -> dict[str, Value]:
    """Columns of `METHOD`; None where the ESD has no peak or no tail. No options."""
    x = esd.fitted
    row: dict[str, Value] = {column.name: None for column in COLUMNS}
    edge = peak(x)
    if edge is None:
        return row
    tail = x[x >= edge * (1.0 - FLAT)]  # the edge of the first bin is the first value, but for rounding
    law = truncated.fit(tail, float(tail[0])) if len(tail) else None
    if law is None:
        return row
    row["E_TPL_alpha"], row["E_TPL_Lambda"] = law.parameters["alpha"], law.parameters["Lambda"]
    row["E_TPL_xmin"], row["E_TPL_num"] = law.xmin, law.n
    return row


METHOD = Method(
    name="e_tpl",
    columns=COLUMNS,
    citation="WeightWatcher 0.7.7, fit='E_TPL'",
    needs=("spectrum", "tail"),
    cost="0.6 ms",
    run=run,
)
