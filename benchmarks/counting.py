"""Counts the tensor operations of a run: what a GPU is asked for. And the sizes of the networks."""

from __future__ import annotations

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

MACRO = {
    "nasbench201": {"cells": 5, "channels": 16},
    "darts": {"cells": 8, "channels": 16},
    "nasbench101": {"modules_per_stack": 3, "channels": 32},
}

HOST = frozenset({"empty", "new_empty", "empty_like", "detach", "lift_fresh", "_unsafe_view"})
"""Operations beside views that launch nothing."""


class Calls(TorchDispatchMode):
    """Counts the calls of tensor operations."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


class Launches(Calls):
    """Counts calls, and which of them compute something: a GPU launches at least a kernel each."""

    launches = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.launches += not (func.is_view or func._opname in HOST)
        return super().__torch_dispatch__(func, types, args, kwargs)
