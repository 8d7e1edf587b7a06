"""SynFlow, Zen, the Jacobian's scores and ZiCo against naive implementations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.passes.jacobian import InputJacobian
from nas_search.passes.perturbation import Perturbation
from nas_search.passes.synflow import SynapticFlow
from nas_search.passes.two_batches import TwoBatchGradients
from nas_search.scoring import DeadNetwork, Measuring, initialize, measure
from nas_search.testing.proxies import small_network
from tests.proxies.naive import (
    CELLS,
    CLASSES,
    SPACE,
    backward,
    batch,
    build,
    layers,
    score,
    weights_and_gradients,
)

NUMBERS = range(len(CELLS))


@pytest.mark.parametrize("number", NUMBERS)
def test_synflow_equals_that_of_the_network_without_batch_norm(number: int) -> None:
    network = build(number)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:  # the identity, by other means: evaluation with exact unit variance
        norm.eval()
        norm.eps = 0.0
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    network(torch.ones(1, 3, 8, 8).double()).sum().backward()
    total = sum((w * g).sum().item() for w, g in weights_and_gradients(network))
    assert score("synflow", number) == pytest.approx(math.log(total), rel=1e-9)


def test_synflow_keeps_the_network_unchanged_and_refuses_dead_ones() -> None:
    network = small_network(0).float()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    images, labels = batch()
    measure(network, images.float(), labels, kinds=[SynapticFlow])
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    dead = SPACE.parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    with pytest.raises(DeadNetwork):
        measure(
            SPACE.build(dead, (3, 8, 8), 3, cells=1, channels=4),
            images,
            labels,
            kinds=[SynapticFlow],
        )


@pytest.mark.parametrize("number", NUMBERS)
def test_zen_equals_that_by_hooks_in_train_mode(number: int) -> None:
    network = build(number, "standard_normal")
    generator = torch.Generator().manual_seed(5)
    x, e = (torch.randn(16, 3, 8, 8, generator=generator).double() for _ in range(2))
    maps: list[Tensor] = []
    inputs: list[Tensor] = []
    network.get_submodule("head.2").register_forward_hook(
        lambda m, i, o: maps.append(i[0].detach())
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda m, i, o: inputs.append(i[0].detach()))
    network.train()
    network(x)
    seen = list(inputs)
    network(x + 0.01 * e)
    a, b = (m.numpy() for m in maps)
    difference = np.mean([np.abs(a[i] - b[i]).sum() for i in range(16)])
    expected = math.log(difference)
    for z in seen:
        variance = np.mean([z[:, c].numpy().var(ddof=1) for c in range(z.shape[1])])
        expected += math.log(math.sqrt(variance))
    assert score("zen", number, seed=5) == pytest.approx(expected, rel=1e-9)
    assert score("zen", number, seed=6) != score("zen", number, seed=5)


def test_zen_error_names_what_is_missing() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).double()
    with pytest.raises(InputError, match="AdaptiveAvgPool2d"):
        measure(network, *batch(), kinds=[Perturbation])


def jacobian(number: int, n: int) -> np.ndarray:
    images = batch(n)[0].requires_grad_()
    build(number)(images).sum().backward()
    return images.grad.flatten(1).numpy()  # type: ignore[union-attr]


@pytest.mark.parametrize("number", NUMBERS)
def test_jacob_cov_equals_that_of_numpys_correlations(number: int) -> None:
    v = np.linalg.eigvalsh(np.corrcoef(jacobian(number, 7)))
    expected = -np.sum(np.log(v + 1e-5) + 1 / (v + 1e-5))
    assert score("jacob_cov", number, 7) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("n", [7, 3])  # with three images every class has one
def test_epe_nas_equals_that_of_numpys_correlations_per_class(number: int, n: int) -> None:
    rows, labels = jacobian(number, n), batch(n)[1].numpy()
    expected = 0.0
    for label in set(labels):
        correlations = np.atleast_2d(np.corrcoef(rows[labels == label]))
        expected += abs(np.sum(np.log(np.abs(correlations) + 1e-5)))
    assert score("epe_nas", number, n) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("number", NUMBERS)
def test_zico_equals_that_of_two_ordinary_batches(number: int) -> None:
    images, labels = batch(12)
    network = build(number)
    gradients = []
    for rows in (slice(0, 6), slice(6, 12)):
        backward(network, images[rows], labels[rows])
        gradients.append(
            {m: m.weight.grad.clone().numpy() for m in layers(network) if m.weight.grad is not None}
        )
    expected = 0.0
    for layer in gradients[0]:
        both = np.abs(np.stack([g[layer].ravel() for g in gradients]))
        mean, deviation = both.mean(0), both.std(0)
        some = deviation > 0
        if (mean[some] / deviation[some]).sum() > 0:
            expected += math.log((mean[some] / deviation[some]).sum())
    assert score("zico", number, 12) == pytest.approx(expected, rel=1e-6)


def test_weights_with_equal_gradients_are_skipped() -> None:
    from nas_search.proxies import PROXIES, Measurement

    gradients = {
        "a": torch.tensor([[1.0, 3.0, 2.0], [1.0, 1.0, 2.0]]).double(),
        "b": torch.zeros(2, 4).double(),
    }
    seen = Measurement(TwoBatchGradients(gradients))
    assert PROXIES.get("zico").score(seen) == pytest.approx(math.log(2 / 1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_networks_of_constant_summed_logits_are_dead(
    dtype: torch.dtype,
) -> None:
    # The mean of batch-norm outputs over the batch is constant, and so is the sum of a linear map
    # of them, unless a nonlinear layer comes between.
    linear, bent = (
        nn.Sequential(
            *(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), *between),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES)),
        ).to(dtype)
        for between in ((), (nn.MaxPool2d(3, 1, 1),))
    )
    images, labels = batch()
    how = Measuring(normalization="batch")
    for network in (linear, bent):
        initialize(network, 0)
    with pytest.raises(DeadNetwork, match="the sum of all logits does not depend on the images"):
        measure(linear, images.to(dtype), labels, how, [InputJacobian])
    measure(bent, images.to(dtype), labels, how, [InputJacobian])
    frozen = Measuring(normalization="frozen")  # statistics that do not follow the images
    measure(linear, images.to(dtype), labels, frozen, [InputJacobian])


def test_weights_that_batch_norm_cancels_have_no_gradient_in_zico() -> None:
    # Of a convolution with one output channel and one weight, batch-norm undoes all that it does.
    network = nn.Sequential(
        *(nn.Conv2d(3, 1, 3, bias=False), nn.Conv2d(1, 1, 1, bias=False)),
        *(
            nn.BatchNorm2d(1, eps=1e-30),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(1, CLASSES),
        ),
    ).double()
    seen = measure(
        initialize(network, 0), *batch(12), Measuring(normalization="batch"), [TwoBatchGradients]
    )
    assert set(seen[TwoBatchGradients].gradients) == {"0", "6"}


def test_train_mode_uses_the_statistics_of_the_batch() -> None:
    frozen = score("jacob_cov", normalization="frozen")
    assert frozen != score("jacob_cov")
    assert Measuring().normalization == "sample"
