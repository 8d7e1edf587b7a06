"""Scores of any network: those of its measurement, reasons where there is none, nothing changed."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import nas_search
from nas_search.core.errors import InputError
from nas_search.gradients import ways
from nas_search.gradients.counted import structure_of
from nas_search.proxies import PROXIES
from nas_search.scoring import ScoringTask
from nas_search.scoring.score import score
from nas_search.spaces.nasbench201 import Nasbench201Space
from tests.scoring.problem import task

EVERY = tuple(PROXIES.names())


class Residual(nn.Module):
    """A small network that no search space builds: functional calls, an in-place sum."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(True))
        self.body = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.relu = nn.ReLU()
        self.scale = nn.Parameter(torch.full((6, 1, 1), 0.5))
        self.head = nn.Linear(6, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.scale * self.norm(self.body(x))
        logits: Tensor = self.head(F.adaptive_avg_pool2d(self.relu(x), 1).flatten(1))
        return logits


class Reader(nn.Module):
    """A small language model: tokens (n, T) to logits (n, T, words)."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 11)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.table(tokens)
        x = x + self.attention(x, x, x, need_weights=False)[0]
        logits: Tensor = self.head(self.norm(x))
        return logits


def residual(**options: Any) -> Residual:
    torch.manual_seed(0)
    return Residual(**options).double()


def batch(n: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(n, 3, 8, 8, generator=generator, dtype=torch.float64)
    return images, torch.arange(n) % 3


def test_scores_of_a_spaces_network_are_those_of_the_search() -> None:
    space = Nasbench201Space()
    genotype = space.parse(
        "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|"
    )
    names = tuple(name for name in EVERY if name not in ("linear_regions", "random", "zen"))
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        problem = task(space, proxies=names, init="default")
        problem = ScoringTask(**{**problem.__dict__, "images": problem.images.double()})
        expected = problem.evaluate(genotype).scores
        scores = score(problem.build(genotype), problem.images, problem.labels, names)
    finally:
        torch.set_default_dtype(before)
    assert expected.keys() >= {"gradalign", "naswot", "synflow", "grasp", "params", "depth"}
    for name, value in expected.items():
        rel = 1e-2 if name.startswith("gradsign") else 1e-7 if name == "vkdnw" else 1e-9
        # Not those that draw noise or a circle of images.
        if not name.startswith("az_") and name not in ("meco", "dextr"):
            assert scores[name] == pytest.approx(value, rel=rel), name


def test_every_score_is_a_number_or_has_a_reason() -> None:
    scores = score(residual(), *batch(), EVERY)
    assert set(scores) == set(EVERY)
    missing = {name for name, value in scores.items() if math.isnan(value)}
    assert missing == set(scores.reasons)
    # Those that look at a space's skeleton: cells, a narrow form, a module before the classifier.
    assert missing == {
        *(
            "az_expressivity",
            "az_progressivity",
            "az_trainability",
            "linear_regions",
            "wrcor",
            "zen",
        ),
    }
    assert "stem and a list of cells" in scores.reasons["az_trainability"]


def test_the_network_is_left_as_it_was_found() -> None:
    network = residual().train()
    network.norm.eval()
    before = copy.deepcopy(network.state_dict())
    modes = [module.training for module in network.modules()]
    images, labels = batch()
    kept = images.clone()
    score(network, images, labels, EVERY)
    assert [module.training for module in network.modules()] == modes
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(images, kept)
    assert network.stem[2].inplace


def test_in_place_or_not_is_the_same() -> None:
    other = residual()
    relu = other.stem[2]
    assert isinstance(relu, nn.ReLU)
    relu.inplace = False
    assert score(residual(), *batch(), EVERY) == pytest.approx(
        score(other, *batch(), EVERY), nan_ok=True, rel=1e-9
    )


def test_cross_entropy_as_a_loss_of_ones_own_gives_the_same() -> None:
    names = ("gradalign", "grad_norm", "snip", "zico", "grasp", "fisher")
    images, labels = batch()

    def own(logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, reduction="none")

    assert score(residual(), images, labels, names, loss=own) == pytest.approx(
        score(residual(), images, labels, names), rel=1e-12
    )
    double = score(residual(), images, labels, ("grad_norm",), loss=lambda a, b: 2 * own(a, b))
    plain = score(residual(), images, labels, ("grad_norm",))
    assert double["grad_norm"] == pytest.approx(2 * plain["grad_norm"], rel=1e-9)


def test_a_loss_needs_no_labels() -> None:
    def entropy(logits: Tensor) -> Tensor:
        return -(logits.softmax(1) * logits.log_softmax(1)).sum(1)

    scores = score(residual(), batch()[0], proxies=("gradalign", "grad_norm"), loss=entropy)
    assert not scores.reasons
    assert scores["grad_norm"] > 0


def test_tokens_have_scores_too() -> None:
    torch.manual_seed(0)
    tokens = torch.randint(11, (5, 7))

    def next_words(logits: Tensor, tokens: Tensor) -> Tensor:
        losses = F.cross_entropy(logits[:, :-1].mT, tokens[:, 1:], reduction="none")
        return losses.sum(1)

    names = ("gradalign_i", "grad_norm", "snip", "params", "flops")
    scores = score(Reader().double(), tokens, tokens, names, loss=next_words)
    assert not scores.reasons
    # 11 x 8 table, 4 x 8 x 8 + 32 attention, 16 norm, 8 x 11 + 11 head.
    assert scores["params"] == 88 + 288 + 16 + 99
    # Per token: 3 x 64 in, 64 out, 88 head; attention 2 x 7 x 7 x 8 for the sequence.
    assert scores["flops"] == 7 * (192 + 64 + 88) + 2 * 7 * 7 * 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((batch()[0][:1], batch()[1][:1]), "2 or more, got 1"),
        ((batch()[0], batch()[1][:5]), "6 images have 5 labels"),
        ((batch()[0],), "give labels, or a loss"),
        ((*batch(), ("gradalin",)), "did you mean 'gradalign'"),
        (([1, 2],), "images are a list"),
        (
            (batch()[0].float(), batch()[1]),
            r"network is float64.*float32: images.to\(torch.float64",
        ),
        ((batch()[0][:, :1], batch()[1]), r"does not run on a sample of shape \(1, 8, 8\)"),
        ((batch()[0], batch()[1] + 1), r"lie in \[1, 3\] and the network has 3 logits"),
        ((batch()[0], batch()[1].int()), "labels are int32"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        score(residual(), *arguments)


def test_it_is_at_hand_by_the_packages_name() -> None:
    assert nas_search.score is score


def test_a_network_that_mixes_samples_has_reasons() -> None:
    class Mixing(Residual):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x + x.mean(0))

    scores = score(Mixing().double(), *batch(), ("gradalign", "params"))
    assert "depend on other samples" in scores.reasons["gradalign"]
    assert scores["params"] > 0


def test_a_network_without_layer_rules_keeps_the_scores_that_need_none() -> None:
    class Sorted(Residual):
        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = super().forward(x)
            return torch.stack([row * 2 for row in logits])

    network = Sorted().double()
    ways._found[network] = structure_of(network), {("frozen", 3): "one_by_one"}
    names = ("gradalign", "gradalign_i_layerwise")
    scores = score(network, *batch(), names)
    assert list(scores.reasons) == ["gradalign"]
    assert "no layer rule" in scores.reasons["gradalign"]
    by_rules = score(copy.deepcopy(network), *batch(), names)
    assert scores["gradalign_i_layerwise"] == pytest.approx(
        by_rules["gradalign_i_layerwise"], rel=1e-9
    )


def test_a_name_alone_is_one_score() -> None:
    assert list(score(residual(), *batch(), "params")) == ["params"]


class Words(nn.Module):
    """Tokens, classes, and no attention: what a table picks has no graph unless tables count."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Embedding(11, 8), nn.Linear(8, 8), nn.ReLU(), nn.Flatten(), nn.Linear(56, 4))
        )

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.layers(tokens)
        return logits


def test_networks_of_tokens_have_the_default_score() -> None:
    torch.manual_seed(0)
    tokens, labels = torch.randint(11, (8, 7)), torch.arange(8) % 4
    scores = score(Words(), tokens, labels, ("depth", "gradalign", "params_live", "naswot"))
    assert not scores.reasons
    assert scores["depth"] == 2
    assert scores["params_live"] == 88 + 72 + 228
    assert score(Words(), tokens, labels, ("depth",))["depth"] == 2
    reasons = score(Words(), tokens, labels, ("swap", "meco", "jacob_cov")).reasons
    assert "sees a feature map" in reasons["swap"]
    assert "takes tokens" in reasons["meco"]
    assert "takes tokens" in reasons["jacob_cov"]


def test_a_score_that_would_leave_out_a_layer_says_so() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv3d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3)]
    images, labels = torch.randn(6, 1, 4, 4, 4), torch.arange(6) % 3
    with pytest.warns(UserWarning, match="no layer rule knows how 0.weight"):
        scores = score(nn.Sequential(*layers), images, labels, ("gradalign", "depth", "grad_norm"))
    assert scores["depth"] == 2
    assert scores["grad_norm"] > 0
    assert scores.reasons == {
        "gradalign": "what enters and leaves the layer of '0.weight' is unknown"
    }


def test_attention_is_as_deep_as_its_projections() -> None:
    torch.manual_seed(0)
    tokens, labels = torch.randint(11, (4, 5)), torch.arange(4) % 3

    class Attending(Reader):
        def forward(self, tokens: Tensor) -> Tensor:
            return super().forward(tokens).mean(1)

    assert score(Attending(), tokens, labels, "depth")["depth"] == 3


def test_images_in_another_layout_have_the_same_scores() -> None:
    images, labels = batch()
    names = ("jacob_cov", "epe_nas", "gradalign")
    moved = images.to(memory_format=torch.channels_last)
    assert score(residual(), moved, labels, names) == pytest.approx(
        score(residual(), images, labels, names), rel=1e-9
    )


def test_scores_are_those_of_full_precision_under_autocast() -> None:
    expected = score(residual().float(), batch()[0].float(), batch()[1])
    with torch.autocast("cpu", torch.bfloat16):
        assert score(residual().float(), batch()[0].float(), batch()[1]) == expected


def test_transformers_can_be_differentiated_twice() -> None:
    torch.manual_seed(0)
    layers = [nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Flatten()]
    network = nn.Sequential(*layers, nn.Linear(40, 3))
    scores = score(network, torch.randn(4, 5, 8), torch.arange(4) % 3, "grasp")
    assert not scores.reasons
