"""Per-sample gradients of a whole batch in one backward pass, compared with one pass per sample.

python -m examples.gradients_of_any_network             a network with a layer and a loss of its own
python -m examples.gradients_of_any_network resnet18    any classifier of torchvision, by its name

One sees the cosines between the gradients of every two samples, how far they are from those of the
loop (rounding), and the seconds that each took.
"""

from __future__ import annotations

import argparse
from time import perf_counter

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from nas_search.gradients import GramSink, per_sample_backward

CLASSES = 10


class Gated(nn.Module):
    """Convolutions whose channels a learned gate weighs: no layer of torch has this parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 32, 3), nn.Conv2d(32, 32, 3, groups=2)
        self.norm = nn.GroupNorm(4, 32)
        self.gate = nn.Parameter(torch.randn(32, 1, 1))
        self.head = nn.Linear(32, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        x = self.second(F.gelu(self.norm(self.first(images)))) * self.gate.sigmoid()
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


def brier(logits: Tensor, labels: Tensor) -> Tensor:
    """Each sample's squared error of the probabilities, (n,): a loss of one's own."""
    return (logits.softmax(1) - F.one_hot(labels, CLASSES)).square().sum(1)


def gram(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Return the inner products of all samples' whole gradients, (n, n), by one backward pass."""
    sink = GramSink()  # keeps one (n, n) matrix per parameter; no gradient outlives its layer
    per_sample_backward(
        network,
        images,
        labels,
        [sink],
        normalization="eval",
        parameters="all",
        objective=brier,
    )
    return torch.stack(list(sink.grams.values())).sum(0)


def gram_by_loop(network: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Return the same by one backward pass per sample."""
    rows = []
    for image, label in zip(images.split(1), labels.split(1), strict=True):
        loss = brier(network(image), label).sum()
        found = torch.autograd.grad(loss, list(network.parameters()))
        rows.append(torch.cat([gradient.flatten() for gradient in found]))
    matrix = torch.stack(rows)
    return matrix @ matrix.T


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", nargs="?", default="own", help="own, or a name in torchvision")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--size", type=int, default=64, help="pixels")
    chosen = parser.parse_args(arguments)
    torch.manual_seed(0)
    own = chosen.network == "own"
    network = Gated() if own else torchvision.models.get_model(chosen.network, num_classes=CLASSES)
    network.double().eval()  # in float32, rounding is some thousandths where a loss saturates
    images = torch.randn(chosen.images, 3, chosen.size, chosen.size).double()
    labels = torch.arange(chosen.images) % CLASSES
    gram(network, images, labels)  # the first pass of a network is checked, which takes a while
    begin = perf_counter()
    ours = gram(network, images, labels)
    middle = perf_counter()
    loop = gram_by_loop(network, images, labels)
    end = perf_counter()
    norms = ours.diagonal().sqrt()
    print("\n".join(" ".join(f"{x:5.2f}" for x in row) for row in ours / norms.outer(norms)))
    print(f"largest difference: {(ours - loop).abs().max() / loop.abs().max():.1e} of the largest")
    print(f"one pass {middle - begin:.3f} s, loop {end - middle:.3f} s")


if __name__ == "__main__":
    main()
