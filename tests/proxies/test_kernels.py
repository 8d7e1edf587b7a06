"""The tangent kernel's condition, MeCo and NEAR against naive implementations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nas_search
from nas_search.passes.effective_ranks import EffectiveRanks, effective_ranks
from nas_search.passes.logit_kernel import LogitKernel
from nas_search.proxies import PROXIES, Measurement
from nas_search.scoring import Measuring, measure
from nas_search.spaces.autoformer import AutoformerSpace
from nas_search.testing.proxies import small_network
from tests.proxies.naive import CELLS, batch, build, score

NUMBERS = range(len(CELLS))


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("mode", ["batch", "sample", "eval"])
def test_condition_equals_that_of_gradients_per_image(number: int, mode: str) -> None:
    network = build(number, "kaiming_fan_out")
    images = batch()[0]
    rows = []
    for i in range(len(images)):
        network.train(mode != "eval").zero_grad()
        logits = network(images[i : i + 1])[0] if mode != "batch" else network(images)[i]
        logits.sum().backward()
        rows.append(
            np.concatenate(
                [
                    p.grad.flatten().numpy()
                    for name, p in network.named_parameters()
                    if "weight" in name and p.grad is not None
                ]
            )
        )
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
    values = np.linalg.eigvalsh(np.array(rows) @ np.array(rows).T)
    expected = -values[-1] / values[0]
    assert score("ntk_cond", number, normalization=mode) == pytest.approx(expected, rel=1e-5)


def test_condition_is_bounded_by_rounding_error() -> None:
    row = torch.tensor([[1.0, 2.0]]).double()
    seen = Measurement(LogitKernel((row.T @ row), 1e-7))
    assert PROXIES.get("ntk_cond").score(seen) == pytest.approx(-1e7, rel=1e-6)


def test_meco_sums_over_every_feature_map() -> None:
    network = small_network(3).train()
    image = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(4)).double()
    maps: list[Tensor] = []
    cells = (layer for cell in network.cells for layer in cell.children())
    for module in [*network.stem, *cells, *network.head]:
        module.register_forward_hook(lambda m, i, o: maps.append(o.detach()))
    network(image)
    expected = 0.0
    for output in maps:
        if output.dim() == 4 and output.shape[2:] != (1, 1):
            correlations = np.corrcoef(output[0].flatten(1).numpy())
            correlations[~np.isfinite(correlations)] = 0
            expected += np.linalg.eigvalsh(correlations)[0]
    from nas_search.passes.channels import ChannelCorrelations
    from nas_search.scoring import Measuring, measure

    again = small_network(3)
    seen = measure(again, *batch(), Measuring("batch", seed=4), [ChannelCorrelations])
    assert PROXIES.get("meco").score(seen) == pytest.approx(expected, rel=1e-9)
    assert len(seen[ChannelCorrelations].smallest) == 10  # global pooling among them, which adds 0


@pytest.mark.parametrize("rho", [-0.9, -0.3, 0.0, 0.5, 0.99])
def test_effective_rank_of_a_circulant_matrix_is_that_of_the_formula(rho: float) -> None:
    # Roy and Vetterli, EUSIPCO 2007, section 2.
    row = [1.0, rho, rho**2, rho]
    matrix = torch.tensor([np.roll(row, i).tolist() for i in range(4)], dtype=torch.float64)
    shares = [(1 + sign * abs(rho)) / 2 for sign in (1, -1)]
    entropy = -sum(share * np.log(share) for share in shares)
    assert effective_ranks([matrix]) == [pytest.approx(np.exp(2 * entropy))]
    assert effective_ranks([torch.eye(5), torch.zeros(5, 5)]) == [pytest.approx(5), 0]


@pytest.mark.parametrize("number", NUMBERS)
def test_near_sums_effective_ranks_of_weights_and_activations(number: int) -> None:
    network = build(number)
    outputs: list[Tensor] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d | nn.ReLU):
            module.register_forward_hook(lambda m, i, o: outputs.append(o.detach()))
    network(batch()[0])
    expected = 0.0
    for output in outputs:
        if output.dim() == 4:
            pixels = [
                p
                for image in output.numpy()
                for p in image.transpose(2, 1, 0).reshape(-1, image.shape[0])
            ]
        else:
            pixels = list(output.numpy())
        columns = len(pixels[0])
        start = max(0, len(pixels) - columns) // 2
        values = np.linalg.svd(np.array(pixels[start : start + columns]), compute_uv=False)
        shares = values[values > 0] / values.sum()
        expected += np.exp(-(shares * np.log(shares)).sum())
    assert score("near", number) == pytest.approx(expected, rel=1e-9)


def test_near_counts_a_module_that_is_called_twice_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.relu = nn.Linear(4, 4), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.layer(self.relu(self.layer(self.relu(x))))
            return y

    images, labels = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), torch.arange(6)
    seen = measure(Twice(), images, labels, Measuring("batch"), [EffectiveRanks])
    assert len(seen[EffectiveRanks].ranks) == 2


@pytest.mark.parametrize("number", NUMBERS)
def test_wrcor_sums_correlations_of_what_relus_take_and_give_back(number: int) -> None:
    network = build(number)
    images, labels = batch()
    taken: list[tuple[int, Tensor]] = []
    for cell, part in enumerate([*network.cells, network.head]):  # type: ignore[misc]
        for module in part.modules():
            if isinstance(module, nn.ReLU):

                def keep(module: nn.Module, inputs: tuple[Tensor], cell: int = cell) -> Tensor:
                    own = inputs[0].clone()  # what this ReLU alone takes
                    own.retain_grad()
                    taken.append((cell, own))
                    return own

                module.register_forward_pre_hook(keep)
    nn.functional.cross_entropy(network(images), labels).backward()
    kernel = np.zeros((len(images), len(images)))
    for cell, values in taken:
        for one in (values.detach(), values.grad):
            if one is not None:
                with np.errstate(invalid="ignore"):
                    found = np.corrcoef(one.flatten(1).numpy())
                if np.isfinite(found).all():
                    kernel += 2**cell * np.abs(found)
    expected = np.linalg.slogdet(kernel)[1]
    assert score("wrcor", number) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("number", NUMBERS)
def test_dextr_is_made_of_conditions_and_the_curvature_of_differences(number: int) -> None:
    network, images = build(number), batch()[0]
    total = 0.0

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        values = np.linalg.svd(output[0].detach().reshape(len(output[0]), -1).numpy())[1]
        total += values[-1] / values[0] if values[0] else 0.0

    leaves = [m for m in network.modules() if not list(m.children())]
    handles = [leaf.register_forward_hook(add) for leaf in leaves]
    network(images[:1])
    for handle in handles:
        handle.remove()
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(images[0].numel(), 2, generator=generator, dtype=torch.float64)
    plane = torch.linalg.qr(drawn).Q

    def velocity(at: float) -> Tensor:
        angle = torch.tensor(at, dtype=torch.float64, requires_grad=True)
        on_circle = plane @ torch.stack([angle.cos(), angle.sin()])
        logits = network(on_circle.view(1, *images.shape[1:]))[0]
        return torch.stack([torch.autograd.grad(x, angle, retain_graph=True)[0] for x in logits])

    h = 1e-7  # so small that no ReLU switches in between
    v, a = velocity(0.0), (velocity(h) - velocity(-h)) / (2 * h)
    curvature = ((v @ v) * (a @ a) - (v @ a) ** 2).sqrt() / (v @ v) ** 1.5
    first, second = np.log1p(total), np.log1p(float(curvature))
    expected = first * second / (first + second)
    assert score("dextr", number) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_logits_that_a_circle_does_not_move_have_no_curvature(dtype: torch.dtype) -> None:
    layers = (
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.BatchNorm2d(8),  # one image's mean over positions is zero, whatever the image
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=dtype)
    labels = torch.tensor([0, 1, 2, 0])
    still = nas_search.score(nn.Sequential(*layers).to(dtype), images, labels, ["dextr"])
    assert np.isnan(still["dextr"])
    assert "do not change along a circle" in still.reasons["dextr"]
    moving = nn.Sequential(*layers[:4], *layers[5:]).to(dtype)
    assert nas_search.score(moving, images, labels, ["dextr"])["dextr"] > 0


def test_near_leaves_out_what_is_of_no_sample() -> None:
    space = AutoformerSpace(depth=[1], embed_dim=[6, 8], mlp_ratio=[1], num_heads=[1])
    network = space.build(
        space.parse("embed_dim=6,mlp_ratio=1,num_heads=1"), (3, 4, 4), 3, patch_size=2
    )
    images, labels = torch.randn(4, 3, 4, 4), torch.arange(4) % 3
    scores = nas_search.score(network, images, labels, ["near"])
    assert scores["near"] > 9  # nine layers whose outputs are of samples, each of rank 1 or more
