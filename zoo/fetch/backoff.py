"""How long to wait before asking again: what the server says, else exponential with full jitter. Pure but for chance.

`Retry-After` (RFC 9110, section 10.2.3) as seconds or as a date, and the draft `RateLimit` header as the hub sends it
(https://huggingface.co/docs/hub/rate-limits). Full jitter after
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ .
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

RATE_LIMIT = re.compile(r'"[^"]*"\s*;\s*r\s*=\s*(\d+)\s*;\s*t\s*=\s*(\d+)')
"""'"api";r=0;t=55': r requests are left, and the window ends in t seconds."""

LIMITING = frozenset({429, 503})
"""Statuses with which a server says how long to stay away."""

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that another try may overcome."""


def requested_wait(status: int, headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that a server asks to wait, from an answer's headers (any case of names); None when it says nothing."""
    lower = {name.lower(): value for name, value in headers.items()}
    limit = RATE_LIMIT.search(lower.get("ratelimit", ""))
    if limit is not None and int(limit[1]) == 0:
        # Part of every answer of the hub; a spent window is worth waiting for before the server has to say 429.
        return float(limit[2])
    after = lower.get("retry-after", "").strip()
    if status not in LIMITING or not after:
        return None
    if after.isascii() and after.isdigit():
        return float(after)
    try:
        when = parsedate_to_datetime(after)
    except ValueError:
        return None
    return max(0.0, (when.astimezone(UTC) - now).total_seconds())


def jittered(failures: int, base: float, longest: float, chance: float) -> float:
    """Seconds to wait after the n-th failure in a row: `chance` in [0, 1) of base * 2^(n-1), at most `longest`."""
    return chance * min(longest, base * 2.0 ** min(failures - 1, 30))
