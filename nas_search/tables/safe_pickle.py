"""Reads pickles of containers, text and numbers; nothing in them is called but functions of here.

A pickle can run code, and numpy's own functions for it can be made to read any memory: so numbers
and arrays of numpy are decoded here, from a few known types.
"""

from __future__ import annotations

import math
import pickle
from collections import OrderedDict, defaultdict
from typing import IO, Any

import numpy as np

CODES = ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1")
"""Types of numbers that are decoded."""


class Dtype:
    """Stands for ``numpy.dtype``."""

    def __init__(self, code: str, *_: Any) -> None:
        if code not in CODES:
            raise pickle.UnpicklingError(f"it contains numbers of type {str(code)[:20]!r}")
        self.code = code

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", "|", "="):
            raise pickle.UnpicklingError("its numbers have another byte order")

    def decode(self, raw: Any, count: int) -> np.ndarray:
        """Return ``count`` numbers."""
        if not isinstance(raw, bytes) or len(raw) != count * int(self.code[1:]):
            raise pickle.UnpicklingError("a number has the wrong size")
        return np.frombuffer(raw, self.code)


class Array:
    """Stands for ``numpy.ndarray``."""

    def __init__(self) -> None:
        self._values = np.empty(0)

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, Dtype):
            raise pickle.UnpicklingError("an array is not one of numbers")
        order = "F" if fortran else "C"
        self._values = dtype.decode(raw, math.prod(shape)).reshape(shape, order=order)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(self._values, dtype=dtype)


def scalar(dtype: Any, raw: Any = None) -> Any:
    """Stands for ``numpy.core.multiarray.scalar``."""
    if not isinstance(dtype, Dtype):
        raise pickle.UnpicklingError("a number has no type")
    return dtype.decode(raw, 1)[0].item()


def _reconstruct(*_: Any) -> Array:
    return Array()


def _encode(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("a text is encoded in another way")
    return text.encode("latin1")


HARMLESS: dict[str, Any] = {
    "_codecs.encode": _encode,  # bytes in old protocols
    "collections.OrderedDict": OrderedDict,
    "collections.defaultdict": defaultdict,
    "builtins.list": list,
    "builtins.dict": dict,
    "builtins.set": set,
    "numpy.dtype": Dtype,
    "numpy.ndarray": Array,
    **{f"numpy.{core}.multiarray.scalar": scalar for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray._reconstruct": _reconstruct for core in ("core", "_core")},
}
"""What a pickle may name, and what is called instead."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return HARMLESS[f"{module}.{name}"]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it contains {module}.{name}, which a table does not need"
            ) from None


def load(stream: IO[bytes]) -> Any:
    """Return the content of a pickle.

    Raises:
        Exception: it is damaged, or contains more than containers, text and numbers.
    """
    return _Unpickler(stream).load()
