"""Cost of all per-sample gradients' Gram matrices, three ways, in units of one training step.

The unit is one ordinary forward and backward pass of the same network on the same batch in train
mode. All ways compute the (n, n) Gram matrix of every convolution and linear weight, with
per-sample batch-norm statistics:

loop    one backward pass per sample (what the reference codes of this family do)
vmap    torch.func.vmap(grad), batch-norm without running statistics
ours    nas_search.gradients.per_sample_backward

Errors are the largest of a cosine between two whole gradients in float32 against the loop in
float64, over the networks of the row.

    python -m benchmarks.gram_vs_loop [--repeats 5] [--n 64] [--device cpu|cuda]
"""

from __future__ import annotations

import argparse
import copy
import statistics
from collections.abc import Callable, Iterable
from functools import partial

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from benchmarks.common import digits_batch, genotypes, header, interleaved, say, spread, task
from nas_search.gradients import GramSink, per_sample_backward

CASES = (
    ("nasbench201", {"cells": 5, "channels": 16}, 32),
    ("darts", {"cells": 8, "channels": 16}, 32),
    ("darts", {"cells": 8, "channels": 16}, 16),
)

KNOWN = (("resnet18", 64), ("mobilenet_v3_small", 64))
"""Networks of torchvision, and the size of their images."""


def weights(network: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in network.named_parameters() if p.dim() > 1}


def train(network: nn.Module, images: Tensor, labels: Tensor) -> None:
    network.train()
    network.zero_grad()
    F.cross_entropy(network(images), labels, reduction="sum").backward()


def ours(network: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    sink = GramSink()
    per_sample_backward(network, images, labels, [sink])
    return sink.grams


def loop(network: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    network.train()
    chosen = weights(network)
    rows: dict[str, list[Tensor]] = {name: [] for name in chosen}
    for image, label in zip(images, labels, strict=True):
        loss = F.cross_entropy(network(image[None]), label[None])
        gradients = torch.autograd.grad(loss, list(chosen.values()), allow_unused=True)
        for name, gradient in zip(chosen, gradients, strict=True):
            if gradient is not None:
                rows[name].append(gradient.flatten())
    stacked = {name: torch.stack(gradients) for name, gradients in rows.items() if gradients}
    return {name: g @ g.T for name, g in stacked.items()}


def vmap(network: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    network.train()
    parameters = {name: p.detach() for name, p in weights(network).items()}

    def loss(weight: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        logits = torch.func.functional_call(network, weight, (image[None],))
        return F.cross_entropy(logits, label[None])

    gradients = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))(
        parameters, images, labels
    )
    return {name: g.flatten(1) @ g.flatten(1).T for name, g in gradients.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--networks", type=int, default=4)
    parser.add_argument("--n", type=int, default=64)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    say(header(n=options.n, networks=options.networks, repeats=options.repeats))
    say("| network | images | loop | vmap | ours | error of the loop | error of ours |")
    say("|---|---|---|---|---|---|---|")
    for space, macro, size in CASES:
        images, labels, classes = digits_batch(size, options.n)
        job = task(space, (images, labels, classes), **macro)
        sizes = ", ".join(f"{key} {value}" for key, value in macro.items())
        networks = (job.build(genotype) for genotype in genotypes(space, options.networks))
        row(f"{space} ({sizes})", networks, images, labels, options)
    for name, size in KNOWN:
        images, labels, _ = digits_batch(size, options.n)
        torch.manual_seed(0)
        network = torchvision.models.get_model(name)
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        row(name, [network], images.expand(-1, 3, -1, -1), labels, options)


def row(
    title: str,
    networks: Iterable[nn.Module],
    images: Tensor,
    labels: Tensor,
    options: argparse.Namespace,
) -> None:
    """Measure the networks of one row, and print it."""
    ratios: dict[str, list[float]] = {"loop": [], "vmap": [], "ours": []}
    errors: dict[str, list[float]] = {"loop": [], "ours": []}
    size = images.shape[-1]
    images, labels = images.to(options.device).contiguous(), labels.to(options.device)
    for network in networks:
        network.to(options.device)
        for way, values in ratio_to_training(network, images, labels, options).items():
            ratios[way] += values
        for way, error in largest_error(network, images, labels).items():
            errors[way].append(error)
    cells = " | ".join(spread(values) for values in ratios.values())
    worst = " | ".join(f"{max(values):.0e}" for values in errors.values())
    say(f"| {title} | {size} x {size} | {cells} | {worst} |")


def ratio_to_training(
    network: nn.Module, images: Tensor, labels: Tensor, options: argparse.Namespace
) -> dict[str, list[float]]:
    """Return each way's times over the median time of a training step."""
    stateless = torch.func.replace_all_batch_norm_modules_(copy.deepcopy(network))
    runs: dict[str, Callable[[], object]] = {
        "train": partial(train, network, images, labels),
        "loop": partial(loop, network, images, labels),
        "vmap": partial(vmap, stateless, images, labels),
        "ours": partial(ours, network, images, labels),
    }
    times = interleaved(runs, options.repeats, options.device)
    unit = statistics.median(times.pop("train"))
    return {way: [value / unit for value in values] for way, values in times.items()}


def largest_error(network: nn.Module, images: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the largest error of a float32 whole-gradient cosine against the float64 loop."""
    exact = cosines(loop(copy.deepcopy(network).double(), images.double(), labels))
    return {
        way.__name__: float((cosines(way(network, images, labels)) - exact).abs().max())
        for way in (loop, ours)
    }


def cosines(grams: dict[str, Tensor]) -> Tensor:
    total = torch.stack(list(grams.values())).double().sum(0)
    norms = total.diagonal().sqrt()
    return total / norms[:, None] / norms


if __name__ == "__main__":
    main()
