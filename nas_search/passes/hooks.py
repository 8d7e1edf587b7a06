"""Hooks that a pass hangs on a network, and that are gone when it has run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from torch import nn
from torch.utils.hooks import RemovableHandle

RELUS = (nn.ReLU, nn.ReLU6)
"""The modules whose units are on or off; ReLU6's are on above 6 too."""


@contextmanager
def hooked(handles: Iterable[RemovableHandle]) -> Iterator[None]:
    """Register hooks, and remove them at the end, whatever happens in between.

    Example::

        with hooked(relu.register_forward_hook(look) for relu in relus):
            network(images)

    Args:
        handles: what registering each of them returns. An iterator is consumed here, so that hooks
            are removed even when registering a later one fails.
    """
    with ExitStack() as registered:
        for handle in handles:
            registered.enter_context(handle)
        yield
