"""Hooks of a pass see its run and nothing after it, however the run ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from nas_search.passes.hooks import hooked

IMAGE = torch.zeros(1, 2)


def test_hooks_see_the_run_and_nothing_after_it() -> None:
    layers, seen = [nn.Linear(2, 2), nn.ReLU()], list[nn.Module]()
    network = nn.Sequential(*layers)
    with hooked(m.register_forward_hook(lambda m, i, o: seen.append(m)) for m in layers):
        network(IMAGE)
        assert seen == layers
    network(IMAGE)
    assert seen == layers


def test_hooks_are_removed_when_the_run_fails() -> None:
    layer = nn.Linear(2, 2)
    with pytest.raises(RuntimeError), hooked([layer.register_forward_hook(lambda m, i, o: None)]):
        assert layer._forward_hooks
        layer(torch.zeros(1, 3))
    assert not layer._forward_hooks


def test_hooks_are_removed_when_a_later_one_cannot_be_registered() -> None:
    layer = nn.Linear(2, 2)

    def registering() -> Iterator[RemovableHandle]:
        yield layer.register_forward_hook(lambda m, i, o: None)
        raise KeyError("no such layer")

    with pytest.raises(KeyError), hooked(registering()):
        pass
    assert not layer._forward_hooks
