"""BLAS on parts of a matrix, in place: scipy's wrappers copy whatever is not a whole array.

The same routines, by the addresses that `scipy.linalg.cython_blas` publishes for other languages. All matrices are
float64 in Fortran order, whole or parts of one; of symmetric ones only the lower triangle counts.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

import numpy as np

from zoospectra.analysis.records import FloatArray

# Columns of a symmetric matrix that are multiplied together: gemm beside small diagonal blocks is a tenth faster than
# symm of the whole.
BLOCK = 256


def symmetric_times(A: FloatArray, B: FloatArray) -> FloatArray:
    """A B, (m, k), of a symmetric A (m, m) and B (m, k)."""
    m = len(A)
    product = np.zeros(B.shape, order="F")
    for start in range(0, m, BLOCK):
        end = min(start + BLOCK, m)
        own, other = slice(start, end), slice(end, m)
        _call("dsymm", b"L", b"L", *B[own].shape, 1.0, A[own, own], B[own], 1.0, product[own])
        if end < m:
            _add_product(b"N", A[other, own], B[own], product[other])
            _add_product(b"T", A[other, own], B[other], product[own])
    return product


def subtract_both(A: FloatArray, V: FloatArray, W: FloatArray) -> None:
    """A -= V W^T + W V^T in a symmetric A (m, m); V and W (m, k)."""
    _call("dsyr2k", b"L", b"N", *V.shape, -1.0, V, W, 1.0, A)


def _add_product(turned: bytes, A: FloatArray, B: FloatArray, out: FloatArray) -> None:
    """Add A B to out, or A^T B where turned is b"T"."""
    _call("dgemm", turned, b"N", *out.shape, len(B), 1.0, A, B, 1.0, out)


def _call(name: str, *arguments: bytes | int | float | FloatArray) -> None:
    """Call a routine of BLAS as in Fortran, with the leading dimension behind every matrix."""
    places: list[object] = []
    for argument in arguments:
        if isinstance(argument, bytes):
            places.append(argument)
        elif isinstance(argument, int):
            places.append(ctypes.byref(ctypes.c_int(argument)))
        elif isinstance(argument, float):
            places.append(ctypes.byref(ctypes.c_double(argument)))
        else:
            across, along = argument.strides
            assert argument.dtype == np.float64, argument.dtype
            assert across == argument.itemsize, argument.strides
            places += [ctypes.c_void_p(argument.ctypes.data), ctypes.byref(ctypes.c_int(along // across))]
    _routine(name)(*places)


@cache
def _routine(name: str) -> Callable[..., None]:
    """A routine of scipy's BLAS; other threads run meanwhile."""
    from scipy.linalg import cython_blas  # see gram

    capsule = cython_blas.__pyx_capi__[name]
    address, label = ctypes.pythonapi.PyCapsule_GetPointer, ctypes.pythonapi.PyCapsule_GetName
    label.argtypes, label.restype = [ctypes.py_object], ctypes.c_char_p
    address.argtypes, address.restype = [ctypes.py_object, ctypes.c_char_p], ctypes.c_void_p
    signature = label(capsule)
    assert b"int *" in signature, f"expected integers of C's int, got {signature!r}"
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (signature.count(b",") + 1))(address(capsule, signature))
