"""Every 8- and 16-bit float value against torch, which has these types natively."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zoospectra.zoo.checkpoint import dtype as types


@pytest.mark.parametrize("name", sorted(types.FLOAT8_FIELDS))
def test_all_256_codes_of_8_bit_floats_equal_torch(name: str) -> None:
    codes = np.arange(256, dtype=np.uint8)
    ours = types.decode(codes, name)
    theirs = torch.from_numpy(codes.copy()).view(getattr(torch, name)).float().numpy()
    assert ours.dtype == np.float32
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(np.signbit(ours[~np.isnan(ours)]), np.signbit(theirs[~np.isnan(theirs)]))


def test_all_65536_codes_of_bfloat16_equal_torch_bit_for_bit() -> None:
    codes = np.arange(1 << 16, dtype=np.uint16)
    theirs = torch.from_numpy(codes.view(np.int16).copy()).view(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(types.decode(codes, "bfloat16").view(np.uint32), theirs.view(np.uint32))


@pytest.mark.parametrize("name", sorted(types.CARRIERS))
def test_sizes_are_those_of_torch(name: str) -> None:
    assert types.itemsize(name) == getattr(torch, name).itemsize


def test_an_unknown_type_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown element type 'float3'.*bfloat16"):
        types.carrier("float3")
