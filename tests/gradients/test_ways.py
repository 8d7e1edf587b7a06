"""What the check of a network's first pass decides, says and refuses."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.utils.checkpoint import checkpoint

from nas_search.core.errors import InputError
from nas_search.gradients import (
    GramSink,
    Normalization,
    Way,
    of_kind,
    per_sample_backward,
    ways,
)
from nas_search.gradients.ways import way_of
from nas_search.testing.gradients import MatrixSink, gradients_by_loop
from tests.gradients.exact import assert_exact
from tests.gradients.test_any_network import CLASSES, OwnNorm, batch, made


class Scale(nn.Module):
    """A parameter that stands alone."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.randn(4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class Simple(nn.Module):
    """A network that ends in ``last``, whose value it returns."""

    def __init__(self, last: Callable[[Tensor], object] = lambda y: y) -> None:
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, CLASSES)
        self.last = last

    def forward(self, x: Tensor) -> object:
        return self.last(self.fc(torch.relu(self.norm(self.conv(x))).mean((2, 3))))


def found(network: nn.Module, mode: Normalization = "eval") -> str:
    images, _ = batch()
    return way_of(network, images, mode)


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "tuple": (lambda: Simple(lambda y: (y, y)), "returns a tuple"),
    "dict": (lambda: Simple(lambda y: {"logits": y}), "returns a dict"),
    "one_number": (lambda: Simple(lambda y: y.sum()), "one row per sample"),
    "too_many_rows": (lambda: Simple(lambda y: y.repeat(2, 1)), "one row per sample"),
    "centered": (lambda: Simple(lambda y: y - y.mean(0)), "depend on other samples"),
    "softmax": (lambda: Simple(lambda y: y.softmax(0)), "depend on other samples"),
    "constant_mean": (lambda: Simple(lambda y: y - y.mean(0).detach()), "depend on other samples"),
    "neighbor": (lambda: Simple(lambda y: y + 0.5 * y.roll(1, 0)), "depend on other samples"),
    "random": (lambda: Simple(lambda y: F.dropout(y, 0.5)), "draws random numbers"),
}


@pytest.mark.parametrize("mode", ["sample", "frozen", "eval"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_per_sample_gradients_is_refused(case: str, mode: Normalization) -> None:
    make, message = REFUSED[case]
    network = made(make).train()
    with pytest.raises(InputError, match=message):
        per_sample_backward(network, *batch(), [GramSink()], normalization=mode)
    assert all(module.training for module in network.modules())


def test_attention_over_the_batch_is_refused() -> None:
    class Mistaken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.fc = nn.MultiheadAttention(24, 2), nn.Linear(24, CLASSES)

        def forward(self, x: Tensor) -> Tensor:  # tokens are not first
            x = x.transpose(1, 2).flatten(2)
            logits: Tensor = self.fc(self.attention(x, x, x)[0].mean(1))
            return logits

    with pytest.raises(InputError, match="takes its first dimension for another"):
        found(made(Mistaken))


def test_batch_norm_written_as_a_function_takes_the_statistics_of_the_mode() -> None:
    class Written(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            x = F.batch_norm(self.conv(x), None, None, training=True)
            logits: Tensor = self.fc(torch.relu(x).mean((2, 3)))
            return logits

    for mode in ("sample", "frozen"):
        assert assert_exact(made(Written), *batch(), mode) == "calls"
    with pytest.raises(InputError, match="running statistics"):
        found(made(Written), "eval")


def test_tokens_first_is_exact() -> None:
    class TokensFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.positions = nn.Linear(24, 6), nn.Parameter(torch.randn(8, 1, 6))
            self.encoder = nn.TransformerEncoderLayer(6, 2, 12)
            self.w, self.fc = nn.Parameter(torch.randn(6, 6)), nn.Linear(6, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            x = self.embed(x.permute(2, 0, 1, 3).flatten(2)) + self.positions
            logits: Tensor = self.fc(torch.tanh(self.encoder(x) @ self.w)[0])
            return logits

    assert assert_exact(made(TokensFirst), *batch()) == "rules"
    assert assert_exact(made(TokensFirst), *batch(8)) == "rules"  # as many samples as tokens


class Folded(nn.Module):
    """Two views of each sample, all first views ahead of all second ones."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(torch.cat([x, x.flip(3)]))
        first, second = torch.relu(y).chunk(2)
        logits: Tensor = self.fc((first * second.cos()).mean((2, 3)))
        return logits


class Loop(nn.Module):
    """A layer that sees one sample at a time, another that sees all rows of all samples."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.stack([torch.relu(self.conv(each)).mean((1, 2)) for each in x])
        logits: Tensor = self.fc(y)
        return logits


class Numpy(nn.Module):
    """Leaves torch on the way, and comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.fc = nn.Parameter(torch.randn(3)), nn.Linear(3, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.from_numpy(x.mean((2, 3)).detach().numpy().copy())
        logits: Tensor = self.fc(torch.tanh(x * self.scale))
        return logits


@pytest.mark.parametrize("make", [Folded, Loop])
def test_what_no_fast_way_is_right_for_goes_one_by_one(make: type[nn.Module]) -> None:
    network = made(make)
    with pytest.warns(UserWarning, match=f"{make.__name__}: .* one backward pass per sample"):
        assert found(network) == "one_by_one"
    assert assert_exact(network, *batch(), weights={"conv.weight", "fc.weight"}) == "one_by_one"


def test_a_network_that_leaves_torch_is_exact() -> None:
    assert_exact(made(Numpy), *batch(), weights={"fc.weight"})


def test_scripted_and_wrapped_networks_are_exact() -> None:
    scripted = torch.jit.script(made(Simple).conv)
    assert isinstance(scripted, nn.Module)
    network = nn.Sequential(scripted, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert_exact(network, *batch(), weights={"0.weight"})
    assert_exact(nn.DataParallel(made(Simple)), *batch())


def test_compiled_networks_run_as_they_were_written() -> None:
    network = made(Simple)
    expected = gradients_by_loop(network, *batch(), "sample")
    compiled = torch.compile(network, backend="eager")
    network.fc.compile(backend="eager")
    assert isinstance(compiled, nn.Module)
    given: tuple[Way | None, ...] = (None, "one_by_one")
    for way in given:
        sink = MatrixSink()
        per_sample_backward(
            compiled, *batch(), [sink], normalization="sample", parameters="all", way=way
        )
        for name, rows in expected.items():
            torch.testing.assert_close(sink.rows[f"_orig_mod.{name}"], rows, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("mode", ["sample", "eval"])
def test_recomputed_activations_are_exact(mode: Normalization, reentrant: bool) -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, CLASSES)
            self.body = nn.Sequential(nn.Conv2d(4, 4, 3), OwnNorm(4), Scale())
            self.keep = True

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            y = checkpoint(self.body, x, use_reentrant=reentrant) if self.keep else self.body(x)
            logits: Tensor = self.head(y.mean((2, 3)))
            return logits

    network = made(Checkpointed)
    sink = MatrixSink()
    per_sample_backward(network, *batch(), [sink], normalization=mode, parameters="all")
    assert found(network, mode) == "rules"
    network.keep = False
    for name, rows in gradients_by_loop(network, *batch(), mode).items():
        torch.testing.assert_close(sink.rows[name], rows, rtol=1e-9, atol=1e-12)
    network.keep = True  # and it checkpoints again afterwards
    runs: list[int] = []
    network.body[0].register_forward_pre_hook(lambda *_: runs.append(1))
    network(batch()[0]).sum().backward()
    assert len(runs) == 2


def test_parameters_that_no_rule_knows_are_said_once() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.fc = nn.LSTM(24, 5, batch_first=True), nn.Linear(5, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.fc(self.layer(x.transpose(1, 2).flatten(2))[0][:, -1])
            return logits

    network = made(Recurrent)
    with pytest.warns(UserWarning, match=r"layer\.weight_ih_l0, .* one backward pass per sample"):
        per_sample_backward(network, *batch(), [GramSink()], normalization="eval")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        per_sample_backward(network, *batch(), [GramSink()], normalization="eval")


def test_the_check_is_made_once_per_network_and_again_when_it_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked = []
    right_way = ways._right_way

    def counting(case: ways._Case) -> tuple[ways.Way | None, str]:
        checked.append(len(case.images))
        return right_way(case)

    monkeypatch.setattr(ways, "_right_way", counting)
    network, (images, labels) = made(Simple), batch(9)
    for _ in range(3):
        per_sample_backward(network, images, labels, [GramSink()], normalization="eval")
    assert checked == [3]
    per_sample_backward(network, images, labels, [GramSink()], normalization="frozen")
    assert checked == [3, 3]
    prune.random_unstructured(network.conv, "weight", 0.5)
    per_sample_backward(network, images, labels, [GramSink()], normalization="eval")
    assert checked == [3, 3, 3]
    assert_exact(network, images, labels)
    network.fc.requires_grad_(False)
    assert_exact(network, images, labels)
    del checked[:]
    for count in (1, 1):  # the first of a kind is checked for all
        alike = of_kind(copy.deepcopy(made(Simple)), "simple")
        per_sample_backward(alike, images, labels, [GramSink()], normalization="eval")
        assert len(checked) == count


def test_gradients_that_nearly_cancel_in_single_precision_are_checked_in_double() -> None:
    class Cancelling(Simple):
        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            logits: Tensor = self.fc(torch.tanh((y * 1e4).sin() + 1e3 - 1e3).mean((2, 3)))
            return logits

    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images, _ = batch()
        way = way_of(Cancelling(), images.float(), "eval")
    assert way == "rules"


class Halved(nn.Module):
    """Halves of each image pass a layer as samples of their own, in another order than expected."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.stem, self.conv, self.fc = (
            nn.Conv2d(3, 4, 3),
            nn.Conv2d(4, 4, 1),
            nn.Linear(4, CLASSES),
        )
        self.gain = nn.Parameter(torch.tensor(gain))
        self.samples_first = False

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        if self.samples_first:
            z = self.conv(x)
        else:
            z = sum(self.conv(torch.cat([x, x.flip(2)])).tanh().chunk(2))
        logits: Tensor = self.fc((x + self.gain * z).mean((2, 3)))
        return logits


@pytest.mark.parametrize("gain", [1e-6, 0.0])
def test_what_lies_behind_a_small_gain_is_checked_too(gain: float) -> None:
    network = made(lambda: Halved(gain)).float()
    before = copy.deepcopy(network.state_dict())
    with pytest.warns(UserWarning, match="one backward pass per sample, since no faster way"):
        assert way_of(network, batch()[0].float(), "eval") == "one_by_one"
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.filterwarnings("ignore:Halved. its per-sample gradients are computed by one")
def test_a_check_that_saw_nothing_is_repeated() -> None:
    network = made(lambda: Halved(1.0))
    images, _ = batch()
    assert way_of(network, images * float("nan"), "eval") == "rules"
    assert way_of(network, images, "eval") == "one_by_one"
    other = made(lambda: Simple(lambda y: y - y.mean(0)))
    way_of(other, images[:1], "eval")
    with pytest.raises(InputError, match="depend on other samples"):
        way_of(other, images, "eval")


@pytest.mark.parametrize("mode", ["eval", "frozen", "sample"])
def test_rounding_that_a_network_magnifies_is_no_dependence(mode: Normalization) -> None:
    """As hundreds of layers do before they are trained."""

    def chaotic(y: Tensor) -> Tensor:
        whole = 100 * y.sum(0, keepdim=True)  # added and taken away: other rounding for others
        return torch.sin(2e4 * ((y + whole) - whole))

    images = batch()[0].float()
    network = made(lambda: Simple(chaotic)).float()
    assert way_of(network, images, mode) == "rules"
    with pytest.raises(InputError, match="depend on other samples"):
        way_of(made(lambda: Simple(lambda y: chaotic(y) + y.mean(0))).float(), images, mode)


@pytest.mark.filterwarnings("ignore:Halved. its per-sample gradients are computed by one")
def test_an_attribute_that_changes_is_checked_anew() -> None:
    network = made(lambda: Halved(1.0))
    network.samples_first = True
    assert way_of(network, batch()[0], "eval") == "rules"
    network.samples_first = False
    assert way_of(network, batch()[0], "eval") == "one_by_one"


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (F.cross_entropy, "the loss of one sample depends on other samples"),
        (lambda a, b: (a - a.mean(0)).square().sum(1), "the loss of one sample depends on other"),
        (lambda a, b: a.square().sum(1)[:2], r"returns shape \(2,\)"),
        (lambda a, b: None, "returns a NoneType"),
    ],
)
def test_a_loss_that_is_no_sum_over_samples_is_refused_at_every_call(
    loss: Any, message: str
) -> None:
    network = made(Simple)
    per_sample_backward(network, *batch(), [GramSink()])
    for _ in range(2):
        with pytest.raises(InputError, match=message):
            per_sample_backward(network, *batch(), [GramSink()], objective=loss)


def test_a_network_that_changes_its_input_is_refused() -> None:
    class Scaling(Simple):
        def forward(self, x: Tensor) -> object:
            return super().forward(x.mul_(2))

    images, _ = batch()
    before = images.clone()
    with pytest.raises(InputError, match="changes its input in place"):
        way_of(made(Scaling), images, "eval")
    assert torch.equal(images, before)


def test_nothing_is_written_to_parameters_that_are_used_for_nothing() -> None:
    class Unused(Simple):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> object:
            y: Any = super().forward(x)
            return y + 0.0 * sum(p.sum() for p in self.unused.parameters())

    network = made(Unused)
    per_sample_backward(network, *batch(), [GramSink()])
    assert all(p.grad is None for p in network.parameters())


def test_what_a_forward_counts_is_set_back() -> None:
    class Counting(Simple):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        calls: Tensor

        def forward(self, x: Tensor) -> object:
            self.calls += 1
            return super().forward(x)

    network = made(Counting)
    per_sample_backward(network, *batch(), [GramSink()])
    assert network.calls == 0


def test_half_precision_and_torchscript_are_refused() -> None:
    with pytest.raises(InputError, match=r"computes in bfloat16.*network.float\(\)"):
        per_sample_backward(made(Simple).bfloat16(), *batch(), [GramSink()])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))
    with pytest.raises(InputError, match=r"torch.jit cannot be looked into"):
        per_sample_backward(scripted, torch.ones(2, 4), torch.tensor([0, 1]), [GramSink()])
