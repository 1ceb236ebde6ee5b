"""Seconds and bytes as people write them."""

from __future__ import annotations

import math
import re

SIZES = ("bytes", "kB", "MB", "GB", "TB", "PB")
"""Decimal units of bytes, as disks are sold and as `fetch.cache_gb` counts."""

STEPS = ((60, "min", 1, "s", 60), (3600, "h", 60, "min", 48), (86400, "days", 3600, "h", math.inf))
"""Seconds of a unit, its name, those of the unit below, its name, and how many of the unit are counted at most."""

QUANTITY = re.compile(r"-?\d[\d.]* (bytes?|kB|MB|GB|TB|PB|ms|s|min|h|days)( \d+ (s|min|h))?")
"""What `size` and `duration` write: a table puts it to the right, as a number, and never crops it."""


def size(count: float) -> str:
    """Bytes to three digits: '38.3 MB'."""
    power = 0
    while abs(count) >= 999.5 and power < len(SIZES) - 1:
        count, power = count / 1000.0, power + 1
    if power == 0:
        return f"{count:.0f} byte{'' if count == 1 else 's'}"
    return f"{count:.{max(0, 2 - int(math.log10(abs(count) + 0.005)))}f} {SIZES[power]}"


def duration(seconds: float) -> str:
    """Seconds in the two largest units that matter: '0.4 ms', '3.2 s', '12 min 5 s', '3 h 12 min', '2 days 4 h'."""
    if seconds < 0.9995:
        return f"{float(f'{seconds * 1e3:.2g}'):g} ms" if seconds else "0 s"
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    unit, name, smaller, small = next(step for step in STEPS if seconds < step[0] * step[4])[:4]
    whole, rest = divmod(round(seconds / smaller), unit // smaller)
    return f"{whole} {name} {rest} {small}" if rest else f"{whole} {name}"
