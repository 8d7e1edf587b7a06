"""Through which layers of a population network each candidate has a path, without its weights.

Autograd's graph, which says it of a network alone, says of a population only what any candidate
has. So the population runs once on one image with every convolution and linear layer replaced by a
mean over its inputs, and batch-norm by nothing: all values and all gradients are then sums of
positive terms, one a path. A candidate has a path to a place where its value is not zero, and one
from there to the logits where its gradient is not zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.gradients import forwards_replaced
from nas_search.stacked.candidates import Members, candidates_of
from nas_search.stacked.network import StackedNetwork


@dataclass(frozen=True)
class Call:
    """One call of a layer.

    Attributes:
        module: the layer.
        members: the k candidates whose samples it sees.
        from_image: (k,) whether a path leads from the image through this call to the logits.
        from_any: (k,) the same, from the image or from any weight.
    """

    module: nn.Module
    members: Members
    from_image: Tensor
    from_any: Tensor


def calls_on_paths(network: nn.Module, image: Tensor, kinds: tuple[type, ...]) -> list[Call]:
    """Return every call of a layer of one of ``kinds``, in order.

    Args:
        network: a population network; of its layers with parameters, only convolutions, linear
            layers and batch-norm are known.
        image: (1, C, H, W) of the shape of the images that it is made for; its values do not count.
        kinds: kinds of layers to note.
    """
    rows = candidates_of(network)
    # Two samples a candidate: paths begin in the image of both, in weights of the second too.
    start = torch.ones(2, *image.shape[1:], dtype=torch.float64, device=image.device)
    begin = torch.tensor([0, 1], dtype=torch.float64, device=image.device).requires_grad_()
    rules: dict[nn.Module, Callable[[Tensor], Tensor]] = {}
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            rules[module] = partial(_mean_of_window, module, begin)
        elif isinstance(module, nn.Linear):
            rules[module] = partial(_mean_of_features, module, begin)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            rules[module] = _unchanged
    calls: list[Call] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        members = rows.active
        none = torch.zeros(2, len(members), dtype=torch.bool, device=image.device)
        calls.append(Call(module, members, *none))
        if output.requires_grad:
            output.register_hook(partial(_fill, none, output.detach()))

    handles = [m.register_forward_hook(note) for m in network.modules() if isinstance(m, kinds)]
    try:
        with forwards_replaced(network, rules), torch.enable_grad():
            network(start).sum().backward()
    finally:
        for handle in handles:
            handle.remove()
    return calls


def layers_of_all(network: nn.Module, image: Tensor) -> list[list[str]]:
    """Return the names of each candidate's layers with parameters, in the network's order.

    Args:
        network: a population network with everything that its candidates have, or an ordinary one.
        image: as for :func:`calls_on_paths`.
    """
    names = [
        name
        for name, module in network.named_modules()
        if next(module.parameters(recurse=False), None) is not None
    ]
    if not isinstance(network, StackedNetwork):
        return [names]
    weighted = (nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d)
    having: dict[nn.Module, set[int]] = {}
    for call in calls_on_paths(network, image, weighted):
        having.setdefault(call.module, set()).update(call.members)
    owners = [(name, having.get(network.get_submodule(name), set())) for name in names]
    everyone = network.rows.all
    return [[name for name, members in owners if number in members] for number in everyone]


def _fill(found: Tensor, value: Tensor, error: Tensor) -> None:
    """Note in ``found`` (2, k) which values lie on a path."""
    on_path = ((value > 0) & (error > 0)).unflatten(0, (-1, 2)).flatten(2).any(2)
    found.copy_(on_path.T)


def _mean_of_window(module: nn.Conv2d, begin: Tensor, x: Tensor) -> Tensor:
    window = x.new_ones(1, 1, *module.kernel_size) / module.weight[0, 0].numel()
    mean = F.conv2d(
        x.mean(1, keepdim=True), window, None, module.stride, module.padding, module.dilation
    )
    return mean.expand(-1, module.out_channels, -1, -1) + _repeated(begin, mean)


def _mean_of_features(module: nn.Linear, begin: Tensor, x: Tensor) -> Tensor:
    mean = x.mean(-1, keepdim=True)
    return mean.expand(*x.shape[:-1], module.out_features) + _repeated(begin, mean)


def _repeated(begin: Tensor, like: Tensor) -> Tensor:
    return begin.repeat(len(like) // 2).view(-1, *(1,) * (like.dim() - 1))


def _unchanged(x: Tensor) -> Tensor:
    return x
