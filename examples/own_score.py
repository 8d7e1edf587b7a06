"""A score of your own in one file: a formula, and the pass that measures what the formula needs.

python -m nas_search --config-dir examples/conf plugins=[examples.own_score] proxy=logit_spread
python -m examples.own_score

The first command searches by it; conf/proxy/logit_spread.yaml holds its keys, all of them those of
any score. The second scores networks of torchvision by it, beside two scores of the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torchvision
from torch import Tensor

import nas_search
from nas_search.gradients import normalized_network
from nas_search.passes import PASSES, Outcome, Pass, Subject
from nas_search.proxies import PROXIES, Measurement, ProxyRecord
from nas_search.stacked.candidates import candidates_of


@dataclass(frozen=True)
class Logits:
    """What the network says of the batch: (n, classes)."""

    values: Tensor


def keep_logits(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Forward the batch; the logits of a stack are those of its candidates in order."""
    with normalized_network(subject.network, subject.normalization), torch.no_grad():
        logits = subject.network(subject.images)
    candidates = len(candidates_of(subject.network))
    return [[Logits(own)] for own in logits.unflatten(0, (candidates, -1))]


def logit_spread(measurement: Measurement) -> float:
    """Deviation of the logits over images, averaged over classes."""
    return measurement[Logits].values.std(0).mean().item()


PASSES.add(Pass(name="logits", run=keep_logits, provides=(Logits,)))
PROXIES.add(
    ProxyRecord(
        name="logit_spread",
        score=logit_spread,
        normalization="batch",
        origin="ours",
        source="this file",
        summary="how far the logits of the images differ",
        needs=(Logits,),
    )
)


def main(names: Sequence[str] = ("resnet18", "mobilenet_v3_small", "squeezenet1_1")) -> None:
    images, labels = torch.randn(16, 3, 64, 64), torch.arange(16) % 4
    proxies = ("logit_spread", "naswot", "gradalign")
    print(f"{'':20}", *(f"{proxy:>14}" for proxy in proxies))
    for name in names:
        torch.manual_seed(0)
        network = torchvision.models.get_model(name, num_classes=4)
        scores = nas_search.score(network, images, labels, proxies)
        print(f"{name:20}", *(f"{scores[proxy]:14.4g}" for proxy in proxies))


if __name__ == "__main__":
    main()
