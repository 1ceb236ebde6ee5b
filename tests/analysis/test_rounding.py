"""Which eigenvalues are equal, and which are zero: exactly at each limit."""

from __future__ import annotations

import numpy as np
import pytest

from zoospectra.analysis.records import Spectrum
from zoospectra.analysis.rounding import STORED_EPS, resolution, resolved

MANTISSA = {"float32": 23, "float16": 10, "bfloat16": 7, "float8_e4m3fn": 3, "float8_e4m3fnuz": 3, "float8_e5m2": 2,
            "float8_e5m2fnuz": 2, "float8_e8m0fnu": 0}  # fmt: skip


def test_the_spacing_of_stored_types_is_that_of_their_mantissa() -> None:
    assert {name: 2.0**-bits for name, bits in MANTISSA.items()} == STORED_EPS
    assert resolution("float16") == 8 * 2.0**-10
    assert resolution("bfloat16") == 8 * 2.0**-7
    assert resolution("float8_e4m3fn") == 0.1
    assert resolution("float64") == resolution("nf4") == resolution("float32") == 8 * 2.0**-23


@pytest.mark.parametrize(("method", "N", "limit"), [
    ("gram", 50, 1e-14), ("svd", 50, (50 * 2.0**-52) ** 2), ("svd", 9, (9 * 2.0**-52) ** 2), ("gram+svd", 1, 2.0**-104),
])  # fmt: skip
def test_what_is_rounding_of_zero(method: str, N: int, limit: float) -> None:
    for top in (1.0, 4.0):
        held = np.array([[limit * top, 1.01 * limit * top, top], [0.5 * top, top, top]])
        found = resolved(Spectrum(held, N, 3, method, "cpu"))
        assert found.tolist() == [[0.0, 1.01 * limit * top, top], [0.5 * top, top, top]]
        clear = held[:, 1:]
        assert resolved(Spectrum(clear, N, 2, method, "cpu")).tolist() == clear.tolist()
