"""VKDNW against a naive implementation: class by class, image by image."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from nas_search.passes.fisher_information import FisherInformation
from nas_search.proxies import PROXIES, Measurement
from nas_search.scoring import DeadNetwork, Measuring, measure
from tests.proxies.naive import CELLS, CLASSES, SPACE, batch, build, score


def information(number: int) -> np.ndarray:
    """Return mean over images of the covariance, over classes drawn from p, of the Jacobian."""
    network = build(number, "kaiming_normal").eval()
    parameters = list(network.parameters())
    total = np.zeros((len(parameters), len(parameters)))
    images = batch()[0]
    for image in images:
        logits = network(image[None])[0]
        rows = np.zeros((CLASSES, len(parameters)))
        for k in range(CLASSES):
            found = torch.autograd.grad(logits[k], parameters, retain_graph=True, allow_unused=True)
            for t, gradient in enumerate(found):
                rows[k, t] = 0 if gradient is None else gradient.flatten()[0].item()
        p = 0.95 * np.exp(logits.detach().numpy()) / np.exp(logits.detach().numpy()).sum()
        p += 0.05 / CLASSES
        mean = sum(p[k] * rows[k] for k in range(CLASSES))
        total += sum(p[k] * np.outer(rows[k] - mean, rows[k] - mean) for k in range(CLASSES))
    return total / len(images)


@pytest.mark.parametrize("number", range(len(CELLS)))
def test_score_is_the_entropy_of_the_deciles_of_the_spectrum(number: int) -> None:
    fisher = information(number)
    values = np.clip(np.linalg.eigvalsh(fisher), 0, None)
    deciles = np.quantile(values, np.arange(1, 10) / 10)
    shares = deciles / (deciles.sum() + 1e-10)
    entropy = -sum(q * math.log(q + 1e-10) for q in shares)
    assert 0.01 < entropy < math.log(9)
    assert score("vkdnw", number) == pytest.approx(len(fisher) + entropy, rel=1e-9)
    assert score("vkdnw", number) - len(fisher) == pytest.approx(entropy, rel=1e-5)


def test_score_depends_on_images_and_not_on_labels() -> None:
    how = Measuring("eval")
    images, labels = batch()

    def spectrum(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        seen = measure(build(0), images, labels, how, [FisherInformation])
        return seen[FisherInformation].eigenvalues

    assert torch.equal(spectrum(images, labels), spectrum(images, labels.flip(0)))
    assert not torch.allclose(spectrum(images, labels), spectrum(2 * images, labels))


def scored(eigenvalues: list[float]) -> float:
    seen = Measurement(FisherInformation(torch.tensor(eigenvalues, dtype=torch.float64)))
    return PROXIES.get("vkdnw").score(seen)


def test_even_spectrum_is_best_and_zero_spectrum_gives_the_size() -> None:
    assert scored([3.0] * 11) == pytest.approx(11 + math.log(9))
    assert 11 < scored([0.01] * 6 + [3.0] * 5) < 11 + math.log(9)
    assert scored([0.0] * 10 + [1.0]) == pytest.approx(11)  # the largest is beyond all deciles
    assert scored([0.0] * 12) > scored([3.0] * 9)


def test_network_without_image_input_is_dead() -> None:
    dead = SPACE.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    network: nn.Module = SPACE.build(dead, (3, 8, 8), 3, cells=1, channels=4).double()
    with pytest.raises(DeadNetwork, match="do not depend on the image"):
        measure(network, *batch(), Measuring("eval"), [FisherInformation])
