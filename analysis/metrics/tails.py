"""What else the tail could be: four competing laws on the fitted tail, each compared with the power law.

The tail is every fitted eigenvalue >= the fit's xmin, as in the powerlaw package, whose R and p these are. Not
covered: a search for xmin under the competing laws (each would choose another one).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoospectra.analysis.records import Column, Esd, Fit, Method, Value
from zoospectra.analysis.tails.compare import contest

SHORT = {
    "truncated_power_law": "tpl",
    "lognormal": "lognormal",
    "exponential": "exponential",
    "stretched_exponential": "stretched",
}
PARAMETERS = {
    "tpl_alpha": ("truncated_power_law", "alpha"),
    "tpl_Lambda": ("truncated_power_law", "Lambda"),
    "lognormal_mu": ("lognormal", "mu"),
    "lognormal_sigma": ("lognormal", "sigma"),
    "exponential_lambda": ("exponential", "Lambda"),
    "stretched_lambda": ("stretched_exponential", "Lambda"),
    "stretched_beta": ("stretched_exponential", "beta"),
}
LIMIT = "None where the best one is the power law itself"

COLUMNS = (
    Column("tpl_alpha", "double", "1", "exponent of the truncated law lam^-alpha exp(-Lambda lam), at least 1"),
    Column("tpl_Lambda", "double", "1/eigenvalue", "its cut-off Lambda; 0 where the power law fits no worse"),
    Column("lognormal_mu", "double", "ln eigenvalue", f"mu of the lognormal cut below at xmin; {LIMIT}"),
    Column("lognormal_sigma", "double", "ln eigenvalue", f"sigma of the lognormal cut below at xmin; {LIMIT}"),
    Column("exponential_lambda", "double", "1/eigenvalue", "rate of the exponential, 1 / (mean lam - xmin)"),
    Column("stretched_lambda", "double", "1/eigenvalue", f"Lambda of exp(-(Lambda lam)^beta); {LIMIT}"),
    Column("stretched_beta", "double", "1", "beta of the stretched exponential; 0 where it has become the power law"),
    *(
        column
        for law, name in SHORT.items()
        for column in (
            Column(f"R_{name}", "double", "1", f"Vuong's normalised ratio, > 0 prefers the power law to the {law}"),
            Column(
                f"p_{name}", "double", "1", f"significance of the sign of R_{name}: chance of a ratio this far from 0"
            ),
        )
    ),
    Column(
        "best_fit",
        "varchar",
        "law",
        "power_law unless an alternative has R < 0 with p <= 0.05; among those, the one of least AIC",
    ),
)


def run(esd: Esd, fit: Fit, options: Mapping[str, Any]) -> dict[str, Value]:
    """Columns of `METHOD`; None without a fit and for tails of fewer than 3 values or without spread. No options."""
    row: dict[str, Value] = {column.name: None for column in COLUMNS}
    if fit.xmin is None:
        return row
    result = contest(esd.fitted[esd.fitted >= fit.xmin], fit.xmin)
    if result is None:
        return row
    for column, (law, parameter) in PARAMETERS.items():
        row[column] = result.fits[law].parameters.get(parameter)
    for law, name in SHORT.items():
        row[f"R_{name}"], row[f"p_{name}"] = result.against[law].R, result.against[law].p
    row["best_fit"] = result.best
    return row


METHOD = Method(
    name="tails",
    columns=COLUMNS,
    citation="Clauset, Shalizi, Newman 2009, SIAM Review 51:661; Vuong 1989; powerlaw 1.5",
    needs=("spectrum", "fit"),
    cost="1 ms",
    run=run,
)
