"""From a recipe to torch's optimizer and schedule, with frozen and slower first layers."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.optim import SGD, AdamW, Optimizer, lr_scheduler

from nas_search.core.errors import InputError
from nas_search.training.recipe import Recipe


def layers(network: nn.Module) -> list[nn.Module]:
    """Return the network's layers in order: its children, a list of cells cell by cell."""

    def unrolled() -> Iterator[nn.Module]:
        for child in network.children():
            yield from child if isinstance(child, nn.ModuleList) else (child,)

    return [layer for layer in unrolled() if next(layer.parameters(), None) is not None]


def frozen_layers(network: nn.Module, recipe: Recipe) -> list[nn.Module]:
    """Return the first ``recipe.freeze`` layers.

    Raises:
        InputError: none would be left to train.
    """
    found = layers(network)
    if recipe.freeze >= len(found):
        raise InputError(
            f"recipe.freeze={recipe.freeze} leaves nothing to train: the network has "
            f"{len(found)} layers; freeze at most {len(found) - 1}"
        )
    return found[: recipe.freeze]


def make_optimizer(network: nn.Module, recipe: Recipe) -> Optimizer:
    """Return the recipe's optimizer over the layers that are not frozen.

    A layer i places before the last learns at ``lr * layer_decay ** i``.
    """
    how = recipe.optimizer
    found = layers(network)
    groups: list[dict[str, object]] = []
    for place, layer in enumerate(found):
        if place < recipe.freeze:
            continue
        lr = how.lr * recipe.layer_decay ** (len(found) - 1 - place)
        parameters = list(layer.parameters())
        decayed = [p for p in parameters if how.decay_all or p.ndim > 1]
        others = [p for p in parameters if not (how.decay_all or p.ndim > 1)]
        for part, decay in ((decayed, how.weight_decay), (others, 0.0)):
            if part:
                groups.append({"params": part, "lr": lr, "weight_decay": decay})
    if how.name == "adamw":
        return AdamW(groups, lr=how.lr, betas=(how.momentum, 0.999))
    return SGD(groups, lr=how.lr, momentum=how.momentum, nesterov=how.nesterov)


def make_schedule(
    optimizer: Optimizer, recipe: Recipe, steps_per_epoch: int
) -> lr_scheduler.LRScheduler:
    """Return the recipe's schedule, to be moved after every step or epoch as the recipe says."""
    how = recipe.schedule
    total = recipe.epochs * (steps_per_epoch if how.interval == "step" else 1)
    if how.name == "one_cycle":
        return lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            total_steps=total + 1,  # it is moved once more after the last step
            pct_start=how.warmup or 0.3,
            cycle_momentum=False,
        )
    warm = round(how.warmup * total)
    main: lr_scheduler.LRScheduler
    if how.name == "cosine":
        main = lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(total - warm, 1))
    else:
        main = lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0)
    if not warm:
        return main
    rising = lr_scheduler.LinearLR(optimizer, start_factor=1 / (warm + 1), total_iters=warm)
    return lr_scheduler.SequentialLR(optimizer, [rising, main], milestones=[warm])
