"""Everything a worker must know to evaluate genotypes."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from nas_search.core.device import Precision
from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation
from nas_search.costs import COSTS, At
from nas_search.gradients import Normalization, Parameters, Scheme
from nas_search.passes import PASSES, Facts, pass_of
from nas_search.passes.base import NARROW_IMAGE
from nas_search.proxies import PROXIES, ProxyRecord
from nas_search.scoring.constraints import Constraints
from nas_search.scoring.initialize import derived_seed, initialize
from nas_search.scoring.measure import Measuring
from nas_search.scoring.networks import ordinary_networks
from nas_search.scoring.rounds import Round, by_normalization
from nas_search.scoring.scorer import Scorer
from nas_search.scoring.tally import Candidate, Tally
from nas_search.spaces import SPACES, Cost, SearchSpace


@dataclass(frozen=True)
class ScoringTask:
    """What is scored and how; picklable, the same for every candidate of a run.

    Attributes:
        space: the search space.
        macro: sizes of the skeleton, passed to ``space.build``.
        images: probe batch, (n, C, H, W) float32 on the CPU.
        labels: its labels, (n,) int64.
        num_classes: number of classes of the networks' heads.
        proxies: names of the scores.
        normalization: batch-norm statistics; None means those of each proxy's own definition.
        parameters: parameters that count.
        seed: seed of the initial weights.
        init: distribution of the initial weights; None means that of each proxy's own definition.
        repeats: number of initial draws over which each score is averaged, 1 or more.
        constraints: bounds checked before scoring, and costs that evaluations keep.
        device: torch device on which networks are scored.
        precision: of the arithmetic there.
        seconds: time that scoring one candidate may take, with all draws and all tasks that are
            scored together; None for any. Workers that are processes keep to it.
    """

    space: SearchSpace[Any]
    macro: dict[str, Any]
    images: Tensor
    labels: Tensor
    num_classes: int
    proxies: tuple[str, ...]
    normalization: Normalization | None = None
    parameters: Parameters = "weights"
    seed: int = 0
    init: Scheme | None = None
    repeats: int = 1
    constraints: Constraints = field(default_factory=Constraints)
    device: str = "cpu"
    precision: Precision = "fp32"
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise InputError(f"proxy.repeats={self.repeats} must be 1 or more")
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise InputError(f"proxy.seconds={self.seconds} must be more than 0")
        # Refuses what does not exist.
        Measuring(self.normalization or "sample", self.parameters, precision=self.precision)

    def __getstate__(self) -> dict[str, Any]:
        """Take the records of proxies and passes along: unpickling registers those of plugins."""
        records = tuple(PROXIES.get(name) for name in self.proxies)
        passes = {pass_of(kind): None for record in records for kind in record.needs}
        return {**self.__dict__, "records": records, "passes": tuple(passes)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for one in state.pop("passes"):
            PASSES.add(one)
        for record in state.pop("records"):
            PROXIES.add(record)
        self.__dict__.update(state)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @property
    def narrow(self) -> dict[str, Any]:
        """Sizes of the skeleton of the narrow network."""
        return {**self.macro, **SPACES.get(self.space.name).narrow}

    def cost(self, genotype: Hashable) -> Cost:
        """Return the size of the network that is scored for ``genotype``."""
        return self.space.cost(genotype, self.input_shape, self.num_classes, **self.macro)

    @property
    def at(self) -> At:
        """The network whose costs are bounded and kept."""
        scored = At(self.input_shape, self.num_classes, self.macro)
        return self.constraints.at or scored

    def costs(self, genotype: Hashable) -> dict[str, float]:
        """Return the costs that were asked for of the network of ``genotype`` at those sizes."""
        at = self.at
        return {
            name: COSTS.get(name).cost(self.space, genotype, at) for name in self.constraints.names
        }

    def check_sizes(self, genotype: Hashable) -> None:
        """Refuse sizes of networks that no ``genotype`` can be built in.

        Raises:
            InputError: they do not fit the images, or no memory can hold them.
        """
        try:
            self.space.check(self.input_shape, self.num_classes, **self.macro)
            self.cost(genotype)
        except (InputError, RuntimeError, OverflowError, MemoryError) as error:
            raise InputError(f"search_space={self.space.name}: {error}") from None
        try:
            self.costs(genotype)
        except (InputError, RuntimeError, OverflowError, MemoryError) as error:
            raise InputError(f"constraints.at: {error}") from None

    def to_device(self) -> ScoringTask:
        """Return the task with its batch on its device."""
        fields = {**self.__dict__}
        fields["images"] = self.images.to(self.device)
        fields["labels"] = self.labels.to(self.device)
        return ScoringTask(**fields)

    def build(self, genotype: Hashable, draw: int = 0, init: Scheme = "default") -> nn.Module:
        """Return the network of ``genotype`` on the task's device, with its ``draw``-th weights.

        Args:
            genotype: whose network.
            draw: number of the draw within the run.
            init: distribution of the weights where the task does not prescribe one.
        """
        return self._initialized(genotype, self.input_shape, self.macro, draw, init)

    def build_narrow(
        self, genotype: Hashable, draw: int = 0, init: Scheme = "default"
    ) -> nn.Module:
        """Return the cells of ``genotype`` in the narrow network; arguments as for :meth:`build`.

        It takes images of :data:`nas_search.passes.base.NARROW_IMAGE`.
        """
        return self._initialized(genotype, NARROW_IMAGE, self.narrow, draw, init)

    def _initialized(
        self,
        genotype: Hashable,
        shape: tuple[int, int, int],
        macro: dict[str, Any],
        draw: int,
        init: Scheme,
    ) -> nn.Module:
        with torch.device("meta"):  # no memory is touched, no default initialization is computed
            network = self.space.build(genotype, shape, self.num_classes, **macro)
        network = network.to_empty(device=self.device)
        return initialize(network, self.seed, self.init or init, draw)

    def rounds(self) -> Iterator[Round]:
        """Yield the measurements that the task's scores need, for each initial draw.

        Scores that need the same pass share it where their definitions agree on the batch-norm
        statistics and the initial weights.
        """
        records = [PROXIES.get(name) for name in self.proxies]
        for draw in range(self.repeats):
            for init, same_weights in self._by_init(records).items():
                for normalization, group in by_normalization(
                    same_weights, self.normalization
                ).items():
                    noise = derived_seed(f"{self.seed}/{draw}")
                    how = Measuring(normalization, self.parameters, noise, self.precision)
                    yield Round(draw, init, how, tuple(group))

    def facts(self, candidate: Candidate, draw: int) -> Facts:
        """Return what is known of ``candidate`` without its network."""
        cost = candidate.cost
        return Facts(cost.params, cost.macs, candidate.key, self.seed, draw)

    def candidate(self, genotype: Hashable) -> Candidate:
        """Return what is known of ``genotype`` before it is scored.

        Raises:
            InputError: no candidate of this task can be scored, e.g. the images are too small.
        """
        key, cost, costs = self.space.canonical(genotype), self.cost(genotype), self.costs(genotype)
        return Candidate(genotype, key, cost, costs, self.constraints.violation(costs))

    def tally(self) -> Tally:
        """Return a tally of the task's scores, empty."""
        return Tally(self.proxies, self.repeats)

    def evaluate(self, genotype: Hashable) -> Evaluation:
        """Return the evaluation of the ordinary network of ``genotype``, see :class:`.Scorer`."""
        (evaluation,) = Scorer(self, 1, partial(ordinary_networks, self)).evaluate([genotype])
        return evaluation

    def _by_init(self, records: list[ProxyRecord]) -> dict[Scheme, list[ProxyRecord]]:
        groups: dict[Scheme, list[ProxyRecord]] = {}
        for record in records:
            groups.setdefault(self.init or record.init, []).append(record)
        return groups
