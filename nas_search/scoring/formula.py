"""What somebody's formula gave: a number, or a failure."""

from __future__ import annotations

from numbers import Real
from typing import Any


class NoNumber(Exception):
    """A formula gave what is not a finite number. The message says what."""


def number(value: Any) -> float:
    """Return what a formula gave as a number: one of Python's, numpy's, or a tensor of one value.

    Raises:
        NoNumber: it is none.
    """
    try:
        one = value.item() if hasattr(value, "item") else value
        if isinstance(one, Real):
            return float(one)
    except (TypeError, ValueError, RuntimeError, OverflowError):  # several values, or too large
        pass
    shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
    raise NoNumber(f"the score is a {type(value).__name__}{shape}, not one real number")


def failure(error: Exception | SystemExit) -> Exception:
    """Return ``error`` without its traceback, whose frames would hold the pass's tensors.

    ``sys.exit`` in somebody's code is a failure like any other: it must not end the search.
    """
    if isinstance(error, SystemExit):
        return RuntimeError(f"sys.exit({error.code!r}) was called")
    return error.with_traceback(None)
