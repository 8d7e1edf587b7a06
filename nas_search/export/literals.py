"""Python source of the arguments with which a network is built."""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
import torch

from nas_search.core.errors import InputError

Root = type | Callable[..., Any]
"""A class or function whose definition a source needs."""


def literal(value: Any, roots: set[Root]) -> str:
    """Return Python source that evaluates to ``value``.

    Args:
        value: numbers, texts, lists, tuples, sets, dictionaries, dataclasses, enumerations, classes
            or functions, in any nesting.
        roots: the classes and functions of that source are added here.

    Raises:
        InputError: it is something else.
    """

    def inside(items: Any) -> str:
        return ", ".join(literal(item, roots) for item in items)

    kind = type(value)
    if isinstance(value, enum.Enum):
        return f"{_named(kind, roots)}.{value.name}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [f.name for f in dataclasses.fields(value) if f.init]
        inner = ", ".join(f"{name}={literal(getattr(value, name), roots)}" for name in fields)
        return f"{_named(kind, roots)}({inner})"
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return f"{_named(kind, roots)}({inside(value)})"
    if kind in (tuple, torch.Size):
        return f"({inside(value)}{',' if len(value) == 1 else ''})"
    if kind is list:
        return f"[{inside(value)}]"
    if kind in (set, frozenset):
        return f"{kind.__name__}([{inside(sorted(value, key=repr))}])"
    if kind is dict:
        pairs = (f"{literal(k, roots)}: {literal(v, roots)}" for k, v in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, np.generic):
        return literal(value.item(), roots)
    if kind is float and not math.isfinite(value):
        return f'float("{value}")'
    if value is None or kind in (bool, int, float, complex, str, bytes, range, torch.dtype):
        return repr(value)
    if isinstance(value, type | FunctionType):
        return _named(value, roots)
    raise InputError(
        f"cannot write model.py: a {kind.__name__} among the network's arguments has no plain "
        "form; build it from numbers, texts, tuples and dataclasses"
    )


def _named(kind: Root, roots: set[Root]) -> str:
    """Return the name under which a class or function stands in the source."""
    module = kind.__module__
    if module.split(".")[0] == "torch":
        return f"{module}.{kind.__qualname__}"
    if module != "builtins":
        roots.add(kind)
    return kind.__qualname__
