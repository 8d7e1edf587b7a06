"""The networks of candidates, as ordinary ones and stacked."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from torch import nn

from nas_search.gradients import Scheme, of_kind
from nas_search.passes import Form
from nas_search.passes.base import NARROW_IMAGE
from nas_search.scoring.measure import Networks
from nas_search.scoring.pool import ModulePool

if TYPE_CHECKING:
    from nas_search.scoring.task import ScoringTask

Build = Callable[[Sequence[Hashable], int, Scheme], Networks]
"""From genotypes, the number of a draw of initial weights and their distribution to the networks of
these candidates, each built when it is first asked for."""

MAX_CACHED_POOLS = 8
"""Sets of initialized modules that are kept, one per draw and distribution."""


def ordinary_networks(
    task: ScoringTask, genotypes: Sequence[Hashable], draw: int, init: Scheme
) -> Networks:
    """Build the networks of one candidate: with all of its branches in every form."""
    (genotype,) = genotypes

    @cache
    def complete() -> nn.Module:
        network = task.build(genotype, draw, init)
        classes = frozenset(type(module) for module in network.modules())
        return of_kind(network, (type(task.space), classes))

    narrow = cache(lambda: task.build_narrow(genotype, draw, init))
    return lambda form: narrow() if form == "narrow" else complete()


class StackedNetworks:
    """Builds stacked networks of modules that are made once per draw: a :data:`Build`.

    Args:
        task: whose space builds stacked networks.
    """

    def __init__(self, task: ScoringTask) -> None:
        self._task = task
        self._pools: OrderedDict[tuple[int, Scheme], ModulePool] = OrderedDict()

    def __call__(self, genotypes: Sequence[Hashable], draw: int, init: Scheme) -> Networks:
        """Build the networks of candidates of one skeleton."""
        task, pool = self._task, self._pool(draw, init)

        @cache
        def build(form: Form) -> nn.Module:
            is_narrow = form == "narrow"
            return task.space.build_stacked(
                genotypes,
                pool,
                NARROW_IMAGE if is_narrow else task.input_shape,
                task.num_classes,
                include_dead_branches=form != "pruned",
                **(task.narrow if is_narrow else task.macro),
            )

        return build

    def _pool(self, draw: int, init: Scheme) -> ModulePool:
        key = draw, init
        if key not in self._pools:
            task = self._task
            self._pools[key] = ModulePool(task.device, task.seed, init, draw)
            if len(self._pools) > MAX_CACHED_POOLS:
                self._pools.popitem(last=False)
        self._pools.move_to_end(key)
        return self._pools[key]
