"""The torch optimizer and schedule of a recipe, with frozen and slower first layers."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.optim import SGD, AdamW, Optimizer, lr_scheduler

from nas_search.core.errors import InputError
from nas_search.training.recipe import Recipe


def layers(network: nn.Module) -> list[nn.Module]:
    """Return the layers with parameters in order: the children, lists of cells unrolled."""

    def unrolled() -> Iterator[nn.Module]:
        for child in network.children():
            yield from child if isinstance(child, nn.ModuleList) else (child,)

    return [layer for layer in unrolled() if next(layer.parameters(), None) is not None]


def frozen_layers(network: nn.Module, recipe: Recipe) -> list[nn.Module]:
    """Return the first ``recipe.freeze`` layers.

    Raises:
        InputError: no layer would be left to train.
    """
    every = layers(network)
    if recipe.freeze >= len(every):
        raise InputError(
            f"recipe.freeze={recipe.freeze} leaves nothing to train: the network has "
            f"{len(every)} layers; freeze at most {len(every) - 1}"
        )
    return every[: recipe.freeze]


def make_optimizer(network: nn.Module, recipe: Recipe) -> Optimizer:
    """Return the recipe's optimizer over the layers that are not frozen.

    The layer i positions before the last has the learning rate ``lr * layer_decay ** i``.
    """
    how = recipe.optimizer
    every = layers(network)
    groups: list[dict[str, object]] = []
    for position, layer in enumerate(every):
        if position < recipe.freeze:
            continue
        lr = how.lr * recipe.layer_decay ** (len(every) - 1 - position)
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
    """Return the recipe's schedule; step it after every batch or epoch, as the recipe says."""
    how = recipe.schedule
    total = recipe.epochs * (steps_per_epoch if how.interval == "step" else 1)
    if how.name == "one_cycle":
        points = total + 1  # it is stepped once more after the last batch
        return lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            total_steps=points,
            # It rises for one step at least: torch divides by the length of the rise.
            pct_start=min(max(how.warmup or 0.3, 2 / points), 1.0),
            cycle_momentum=False,
        )
    warmup_steps = round(how.warmup * total)
    main: lr_scheduler.LRScheduler
    if how.name == "cosine":
        main = lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(total - warmup_steps, 1))
    else:
        main = lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0)
    if not warmup_steps:
        return main
    warmup = lr_scheduler.LinearLR(
        optimizer, start_factor=1 / (warmup_steps + 1), total_iters=warmup_steps
    )
    return lr_scheduler.SequentialLR(optimizer, [warmup, main], milestones=[warmup_steps])
