"""Sees every torch function that a network calls on its samples, whatever module calls it.

Modules of the book run by their rules directly. What else a network does with parameters (a forward
of a subclass, a functional call, a class token that stands alone) is known by the calls alone: this
mode follows which tensors depend on the samples, lets the book's functions run by their rules, and
hands over what mixes samples with parameters in other ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

Handler = Callable[..., Any]
Mixed = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


class FunctionCalls(TorchFunctionMode):
    """Lets functions on tensors that depend on the samples run by ``handlers``.

    Args:
        samples: the network's input.
        handlers: what runs instead of a function, with the same arguments.
        mixed: runs a function that no handler knows and that takes, beside tensors that depend on
            the samples, others that require gradient.
    """

    def __init__(
        self,
        samples: Tensor,
        handlers: Mapping[Callable[..., Any], Handler],
        mixed: Mixed | None = None,
    ) -> None:
        super().__init__()
        self._handlers, self._mixed = handlers, mixed
        mark(samples)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run ``func`` by its handler where it has one; note that its result depends on samples."""
        kwargs = kwargs or {}
        handler = self._handlers.get(func)
        seen = list(tensors((args, tuple(kwargs.values()))))
        if not any(depends(tensor) for tensor in seen):
            return func(*args, **kwargs)
        if handler is not None:
            result = handler(*args, **kwargs)
        elif self._mixed is not None and any(
            tensor.requires_grad and not depends(tensor) for tensor in seen
        ):
            result = self._mixed(func, args, kwargs)
        else:
            result = func(*args, **kwargs)
        for tensor in tensors(result):
            mark(tensor)
        return result


def mark(tensor: Tensor) -> None:
    """Note that ``tensor`` depends on the samples."""
    with torch._C.DisableTorchFunction():
        tensor._depends_on_samples = True  # type: ignore[attr-defined]


def depends(tensor: Tensor) -> bool:
    """Say whether ``tensor`` depends on the samples."""
    return "_depends_on_samples" in tensor.__dict__


def tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested lists, tuples and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors(item)
    elif isinstance(value, dict):
        yield from tensors(tuple(value.values()))
