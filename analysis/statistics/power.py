"""What a design could have told: the smallest slope it tells from none, and how many models an observed one takes.

A slope is told when |slope| / error exceeds t(1 - level / 2); it is so with this power when the true slope is t(1 -
level / 2) + t(power) errors away from 0 (Bloom 1995). More models of the same kind shrink the error as 1 / sqrt(n).
"""

from __future__ import annotations

import math

from scipy import special

POWER = 0.8
"""Share of repetitions in which the slope would be told; the usual one (Cohen 1988)."""
MOST = 1_000_000
"""Beyond so many models the number means 'never'."""


def detectable(error: float | None, freedom: float, level: float, power: float = POWER) -> float | None:
    """Smallest slope told at `level` (two-sided) with `power`, in the error's unit; None without an error."""
    if error is None or freedom < 1:
        return None
    return error * float(special.stdtrit(freedom, 1 - level / 2) + special.stdtrit(freedom, power))


def more(count: int, slope: float | None, smallest: float | None) -> int | None:
    """How many models (or groups) beyond `count` make `slope` the smallest told; None when no number would do."""
    if slope is None or smallest is None or slope == 0:
        return None
    ratio = (smallest / abs(slope)) ** 2
    return None if not ratio * count < MOST else max(0, math.ceil(count * (ratio - 1)))
