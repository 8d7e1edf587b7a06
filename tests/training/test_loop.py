"""The training loop against plain torch, and its failures."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from nas_search.core.errors import InputError, RunError
from nas_search.training.drop_path import DropPath
from nas_search.training.loop import TrainingFailure
from nas_search.training.recipe import Augmentation, Optimizer, Schedule
from tests.training.made import recipe, stripes_data, training

EVERYTHING = {
    "augmentation": Augmentation(crop=1, flip=True, cutout=2),
    "drop_path": 0.3,
    "ema": 0.9,
    "label_smoothing": 0.1,
}


def weights(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def quiet(_: object) -> None:
    pass


def test_training_learns_a_simple_task(tmp_path: Path) -> None:
    made = training(tmp_path / "t", stripes_data(tmp_path, n=120), recipe(epochs=8))
    made.run(8, quiet)
    assert made.log[-1].loss < made.log[0].loss
    assert made.kept.validation_accuracy > 80


@pytest.mark.parametrize("stop", [1, 3])
@pytest.mark.parametrize("keep", ["last", "best"])
def test_continued_training_equals_an_uninterrupted_one_to_the_last_bit(
    tmp_path: Path, stop: int, keep: str
) -> None:
    data, how = stripes_data(tmp_path), recipe(**EVERYTHING, keep=keep)
    whole = training(tmp_path / "whole", data, how)
    whole.run(4, quiet)
    training(tmp_path / "cut", data, how).run(stop, quiet)
    torch.rand(7)  # the state of the global generator must not matter
    rest = training(tmp_path / "cut", data, how)
    assert rest.done == stop
    rest.run(4, quiet)
    assert [e.loss for e in rest.log] == [e.loss for e in whole.log]
    assert same(weights(rest.result()), weights(whole.result()))


def test_seeds_give_different_weights_and_the_callers_generator_is_unchanged(
    tmp_path: Path,
) -> None:
    data, how = stripes_data(tmp_path), recipe(epochs=1)
    results = []
    for seed in (0, 1):
        made = training(tmp_path / str(seed), data, how, seed=seed)
        torch.manual_seed(5)
        made.run(1, quiet)
        after = torch.rand(1)
        torch.manual_seed(5)
        assert torch.equal(after, torch.rand(1))
        results.append(made.log[0].loss)
    assert results[0] != results[1]


def test_epoch_equals_plain_torch_in_float64(tmp_path: Path) -> None:
    """One epoch whose only randomness is the order, against a loop in plain torch."""
    data = stripes_data(tmp_path)
    how = recipe(
        epochs=1,
        validation=0.0,
        batch_size=60,
        augmentation=Augmentation(),
        optimizer=Optimizer(lr=0.1, clip=0.5),
        label_smoothing=0.1,
        schedule=Schedule(name="constant"),
    )
    made = training(tmp_path / "t", data, how)
    plain = copy.deepcopy(made._network).double()
    rule = torch.optim.SGD(plain.parameters(), 0.1, 0.9, nesterov=True, weight_decay=5e-4)
    made.run(1, quiet)
    rows = torch.arange(len(data.train))
    images, labels = data.train.images(rows).double(), data.train.labels
    plain.train()
    assert len(rows) < 60  # one batch of all images: their order changes the last digits alone
    loss = functional.cross_entropy(plain(images), labels, label_smoothing=0.1)
    loss.backward()
    nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
    rule.step()
    assert made.log[0].loss == pytest.approx(loss.item(), rel=1e-5)
    for name, value in made._network.named_parameters():
        expected = dict(plain.named_parameters())[name]
        assert torch.allclose(value.double(), expected, rtol=1e-3, atol=1e-5), name


class Plain(nn.Module):
    """A network without batch statistics, whose gradient is a sum over images."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.body(x))
        return logits


def test_out_of_memory_splits_the_batch_and_keeps_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, how = stripes_data(tmp_path), recipe(epochs=2)
    torch.manual_seed(0)
    network = Plain()
    roomy = training(tmp_path / "a", data, how, network=copy.deepcopy(network))
    roomy.run(2, quiet)
    tight = training(tmp_path / "b", data, how, network=copy.deepcopy(network))
    run = tight._run

    def small(images: torch.Tensor) -> Any:
        if len(images) > 5:
            raise torch.OutOfMemoryError("made up")
        return run(images)

    monkeypatch.setattr(tight, "_run", small)
    small.train = run.train  # type: ignore[attr-defined]
    tight.run(2, quiet)
    assert tight.micro_batch == 4
    for a, b in zip(roomy._network.parameters(), tight._network.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_no_memory_for_two_images_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = training(tmp_path / "t", stripes_data(tmp_path), recipe())

    def never(_: object) -> None:
        raise torch.OutOfMemoryError("made up")

    never.train = made._run.train  # type: ignore[attr-defined]
    monkeypatch.setattr(made, "_run", never)
    with pytest.raises(TrainingFailure, match="out of memory at 2 images"):
        made.run(1, quiet)


def test_nan_loss_is_a_failure_with_a_remedy(tmp_path: Path) -> None:
    how = recipe(optimizer=Optimizer(lr=1e30))
    made = training(tmp_path / "t", stripes_data(tmp_path), how)
    with pytest.raises(
        TrainingFailure, match=r"loss is nan in epoch \d; lower recipe.optimizer.lr"
    ):
        made.run(4, quiet)


def test_full_disk_keeps_the_previous_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, how = stripes_data(tmp_path), recipe()
    made = training(tmp_path / "t", data, how)
    made.run(2, quiet)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(RunError, match="No space left.*continues"):
            made.run(4, quiet)
    assert training(tmp_path / "t", data, how).done == 2
    assert not list((tmp_path / "t").glob("*.part"))


def test_damaged_checkpoints_and_those_of_another_recipe_are_refused(tmp_path: Path) -> None:
    data, how = stripes_data(tmp_path), recipe()
    training(tmp_path / "t", data, how).run(1, quiet)
    with pytest.raises(InputError, match="another recipe"):
        training(tmp_path / "t", data, recipe(epochs=5))
    (tmp_path / "t" / "checkpoint.pt").write_bytes(b"broken")
    with pytest.raises(InputError, match="damaged"):
        training(tmp_path / "t", data, how)


def test_frozen_layers_keep_weights_and_statistics(tmp_path: Path) -> None:
    made = training(tmp_path / "t", stripes_data(tmp_path), recipe(freeze=2))
    before = weights(made._network)
    made.run(2, quiet)
    after = weights(made._network)
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert not any(name.startswith(("stem", "cells.0")) for name in changed)
    assert any(name.startswith("head") for name in changed)
    with pytest.raises(InputError, match="leaves nothing to train"):
        training(tmp_path / "u", stripes_data(tmp_path), recipe(freeze=99))


def test_layer_decay_gives_earlier_layers_lower_rates(tmp_path: Path) -> None:
    made = training(tmp_path / "t", stripes_data(tmp_path), recipe(layer_decay=0.5))
    rates = sorted({group["lr"] for group in made._optimizer.param_groups})
    assert rates == pytest.approx([0.05 * 0.5**i for i in range(len(rates))][::-1])
    assert len(rates) == 7  # stem, cell, reduction, cell, reduction, cell, head


def test_drop_path_keeps_the_expectation_and_acts_in_train_mode_only() -> None:
    module = nn.Identity()
    drop = DropPath([module], most=0.4)
    drop.set_rate(0.4)
    x = torch.ones(4000, 1, 1, 1)
    torch.manual_seed(0)
    out = module(x)
    assert sorted(out.unique().tolist()) == pytest.approx([0, 1 / 0.6])
    assert float(out.mean()) == pytest.approx(1, abs=0.05)
    module.eval()
    assert torch.equal(module(x), x)


@pytest.mark.parametrize("space", ["darts", "nasbench201", "nasbench101"])
def test_drop_path_acts_on_every_space(tmp_path: Path, space: str) -> None:
    how = recipe(epochs=2, drop_path=0.5)
    data = stripes_data(tmp_path)
    made = training(tmp_path / "a", data, how, space=space)
    made.run(2, quiet)
    other = training(tmp_path / "b", data, recipe(epochs=2), space=space)
    other.run(2, quiet)
    assert made.log[0].loss == other.log[0].loss  # the rate is 0 in the first epoch
    assert made.log[1].loss != other.log[1].loss
