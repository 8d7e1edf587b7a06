"""Few pictures: enough steps, batch statistics of the weights at hand, ties and folds."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nas_search.core.errors import InputError
from nas_search.data import stratified_holdout
from nas_search.training.batch_statistics import measure_batch_statistics
from nas_search.training.folds import SPLIT_SEED, validation_rows
from nas_search.training.images import Images
from nas_search.training.loop import Epoch, merit
from nas_search.training.optimizer import make_optimizer, make_schedule
from nas_search.training.recipe import Schedule
from nas_search.training.steps import FEW_EPOCHS, LEAST_BATCH, fit_to, steps_per_epoch
from tests.training.made import recipe, stripes_data, training


@given(st.integers(2, 3000), st.integers(2, 256), st.integers(1, 50), st.integers(0, 500))
def test_recipe_has_its_least_number_of_steps_on_any_number_of_images(
    images: int, batch: int, epochs: int, least: int
) -> None:
    given_ = recipe(epochs=epochs, batch_size=batch, min_steps=least)
    fitted = fit_to(given_, images)
    assert fitted.epochs * steps_per_epoch(images, fitted.batch_size) >= least
    if epochs * steps_per_epoch(images, batch) >= least:
        assert fitted == given_
    else:
        assert fitted.epochs >= max(epochs, FEW_EPOCHS) and fitted.batch_size <= batch
        # The noise of steps stays: its variance is that of lr^2 over the batch.
        rates = fitted.optimizer.lr / given_.optimizer.lr
        assert rates**2 == pytest.approx(fitted.batch_size / batch)
        if batch >= LEAST_BATCH and epochs <= FEW_EPOCHS:
            each = steps_per_epoch(images, fitted.batch_size)
            # Batches are 64ths of the images, rounded down, so an epoch has up to 80.
            assert fitted.epochs * each <= max(FEW_EPOCHS * 81, 2 * least + each)
        # An epoch of more than two of the smallest batches is more than one step.
        assert steps_per_epoch(images, fitted.batch_size) > 1 or images < 2 * LEAST_BATCH + 2


@settings(deadline=None)  # the first optimizer imports a lot
@given(st.integers(1, 60), st.floats(0, 0.99))
def test_one_cycle_of_any_length_has_rates_up_to_the_highest(total: int, warmup: float) -> None:
    """Also where (epochs x steps + 1) x warm-up is 1, by which torch divides less one."""
    how = recipe(epochs=total, schedule=Schedule(name="one_cycle", warmup=warmup))
    optimizer = make_optimizer(nn.Sequential(nn.Linear(2, 2)), how)
    schedule = make_schedule(optimizer, how, 1)
    rates = []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert all(math.isfinite(rate) and 0 < rate <= 0.05 * 1.000001 for rate in rates)
    if total > 1:
        assert max(rates) > 0.02


def test_measured_statistics_are_those_of_the_images_and_frozen_ones_stay(tmp_path: Path) -> None:
    data = stripes_data(tmp_path, n=120)
    made = training(tmp_path / "t", data, recipe(freeze=1))
    network = made._network
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [norm.running_mean.clone() for norm in norms]  # type: ignore[union-attr]
    images = Images(data.train, torch.arange(len(data.train)), "cpu")
    measure_batch_statistics(network, images, made.recipe, len(images))
    assert not network.training and all(norm.momentum == 0.1 for norm in norms)
    seen: list[torch.Tensor] = []
    first = norms[1]
    first.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    with torch.no_grad():
        network(data.train.images(torch.arange(len(data.train))))
    mean, variance = seen[0].mean((0, 2, 3)), seen[0].transpose(0, 1).flatten(1).var(1)
    assert torch.allclose(first.running_mean, mean, atol=1e-5)  # type: ignore[arg-type]
    assert torch.allclose(first.running_var, variance, rtol=1e-4)  # type: ignore[arg-type]
    assert torch.equal(norms[0].running_mean, before[0])  # type: ignore[arg-type]


@pytest.mark.parametrize("ema", [None, 0.99])
def test_few_steps_are_judged_by_statistics_of_the_weights_at_hand(
    tmp_path: Path, ema: float | None
) -> None:
    """After so few steps running averages still remember the network's start."""
    data = stripes_data(tmp_path, n=120)
    made = training(tmp_path / "t", data, recipe(epochs=2, ema=ema))
    made.run(2, lambda _: None)
    kept = made.result()
    anew = copy.deepcopy(kept)
    measure_batch_statistics(anew, made._train, made.recipe, made.micro_batch)
    for name, value in anew.state_dict().items():
        if "running" in name:
            assert torch.allclose(value, kept.state_dict()[name], rtol=1e-4, atol=1e-6), name


def test_equally_accurate_epochs_are_told_apart_by_loss_then_the_later_one() -> None:
    def epoch(number: int, accuracy: float, loss: float) -> Epoch:
        return Epoch(number, 0.1, 1.0, 50.0, loss, accuracy, 1.0, 1.0)

    how = recipe(keep="best")
    log = [epoch(1, 50.0, 0.9), epoch(2, 50.0, 0.5), epoch(3, 50.0, 0.5), epoch(4, 40.0, 0.1)]
    assert max(log, key=lambda one: merit(one, how)).epoch == 3
    log.append(epoch(5, math.nan, math.nan))
    log.append(epoch(6, 50.0, math.nan))
    assert max(log, key=lambda one: merit(one, how)).epoch == 3


def test_result_has_the_weights_of_the_epoch_that_is_said_to_be_kept(tmp_path: Path) -> None:
    made = training(tmp_path / "t", stripes_data(tmp_path), recipe(keep="best", epochs=6))
    states = {}
    made.run(6, lambda e: states.update({e.epoch: copy.deepcopy(made._network.state_dict())}))
    kept = states[made.kept.epoch]
    result = made.result().state_dict()
    assert all(torch.equal(kept[name], value) for name, value in result.items())


def test_best_epoch_needs_validation_images(tmp_path: Path) -> None:
    data = stripes_data(tmp_path)
    none = Images(data.train, torch.arange(0), "cpu")
    with pytest.raises(InputError, match="recipe.keep=last"):
        training(tmp_path / "t", data, recipe(keep="best"), validation=none)


@given(st.lists(st.integers(1, 12), min_size=2, max_size=4), st.sampled_from([0.1, 0.25, 0.5]))
def test_folds_hold_out_other_images_each_and_some_of_every_class(
    counts: list[int], share: float
) -> None:
    labels = torch.cat([torch.full((n,), c) for c, n in enumerate(counts)])
    folds = [validation_rows(labels, share, fold).tolist() for fold in range(3)]
    assert folds[0] == stratified_holdout(labels, share, SPLIT_SEED)[1].tolist()
    for label, count in enumerate(counts):
        parts = [{row for row in fold if labels[row] == label} for fold in folds]
        assert all(0 < len(part) < count for part in parts) or count == 1 == 1 + len(parts[0])
        if 3 * len(parts[0]) <= count:
            assert not parts[0] & parts[1] and not (parts[0] | parts[1]) & parts[2]


def test_selected_images_are_those_at_their_positions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = stripes_data(tmp_path)
    for limit in (1 << 30, 0):
        monkeypatch.setattr("nas_search.training.images.RESIDENT_BYTES", limit)
        every = Images(data.train, torch.arange(4, 40), "cpu")
        some = every.select(torch.tensor([30, 2, 7])).select(torch.tensor([2, 0]))
        ((pixels, labels),) = some.batches([torch.tensor([1, 0])])
        rows = torch.tensor([34, 11])
        assert torch.equal(pixels, data.train.read(rows))
        assert torch.equal(labels, data.train.labels[rows])
