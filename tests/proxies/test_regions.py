"""Linear regions against a count of patterns, on narrow networks of every space."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.passes.base import Subject
from nas_search.passes.regions import SAMPLES, LinearRegions, _crops
from nas_search.scoring import measure
from nas_search.spaces import SPACES
from nas_search.testing.proxies import small_network
from tests.proxies.naive import batch, narrow, score
from tests.scoring.problem import task


@pytest.mark.parametrize("number", range(3))
def test_distinct_patterns_equal_the_sum_of_the_reference_code(number: int) -> None:
    network = narrow(number)
    seen: list[Tensor] = []
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda m, i, o: seen.append((o > 0).flatten(1)))
    images, labels = batch()
    patterns = []
    for crops in _crops(Subject(network, images, labels, "batch", seed=0)).split(1000):
        seen.clear()
        network(crops)
        patterns += [tuple(row) for row in torch.cat(seen, 1).tolist()]
    counts: dict[object, int] = {}
    for pattern in patterns:
        counts[pattern] = counts.get(pattern, 0) + 1
    expected = sum(1 / counts[pattern] for pattern in patterns)
    assert len(patterns) == SAMPLES
    assert score("linear_regions", number) == pytest.approx(expected)
    assert 1 <= expected <= SAMPLES


def test_crops_are_pieces_of_the_images() -> None:
    images, labels = batch()
    crops = _crops(Subject(small_network(0), images, labels, "batch", seed=3))
    assert crops.shape == (SAMPLES, 1, 5, 5)
    windows = images.unfold(2, 5, 1).unfold(3, 5, 1).reshape(-1, 25).numpy()
    known = {row.tobytes() for row in np.ascontiguousarray(windows)}
    assert all(row.tobytes() in known for row in np.ascontiguousarray(crops.flatten(1).numpy()))
    assert len({row.tobytes() for row in crops.numpy()}) > len(known) / 2
    with pytest.raises(InputError, match="5 x 5"):
        _crops(Subject(small_network(0), images[..., :4], labels, "batch"))


# Where all sizes are searched (nats_size, nds_residual), none is narrower than the network itself;
# series have no regions (conv1d), a vision transformer no ReLU.
@pytest.mark.parametrize(
    "space",
    [one.name for one in SPACES if one.narrow and one.name not in ("autoformer", "flexibert")],
)
def test_every_space_with_relus_has_a_narrow_network(space: str) -> None:
    drawn = SPACES.get(space).space()
    problem = task(drawn, proxies=("linear_regions",))
    cells = [drawn.sample(np.random.default_rng(i)) for i in range(6)]
    values = {problem.evaluate(cell).scores["linear_regions"] for cell in cells}
    assert len(values) > 1
    assert all(1 <= value <= SAMPLES for value in values)


def test_networks_for_images_of_three_channels_are_refused() -> None:
    with pytest.raises(InputError, match="narrow network, for images of one channel"):
        measure(small_network(0), *batch(), kinds=[LinearRegions])
