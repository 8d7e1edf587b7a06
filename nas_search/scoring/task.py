"""Everything a worker must know to evaluate one genotype, and the evaluation itself."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from nas_search.errors import InputError
from nas_search.evaluation import Evaluation, Status
from nas_search.gradients import Normalisation, Parameters, Scheme
from nas_search.passes import Facts
from nas_search.passes.regions import THIN_IMAGE
from nas_search.proxies import PROXIES, ProxyRecord
from nas_search.scoring.initialise import derived_seed, initialise
from nas_search.scoring.measure import DeadNetwork, Measuring, measure
from nas_search.spaces import SPACES, Cost, SearchSpace


@dataclass(frozen=True)
class Constraints:
    """Upper bounds that are checked before a candidate is scored; None means no bound.

    Attributes:
        max_params: trainable parameters of the network that is scored.
        max_macs: multiply-accumulates of that network for one image.
    """

    max_params: int | None = None
    max_macs: int | None = None

    def violation(self, cost: Cost) -> str:
        """Return which bound ``cost`` breaks, as one line; empty when it breaks none."""
        if self.max_params is not None and cost.params > self.max_params:
            return f"{cost.params} parameters, more than constraints.max_params={self.max_params}"
        if self.max_macs is not None and cost.macs > self.max_macs:
            return f"{cost.macs} MACs, more than constraints.max_macs={self.max_macs}"
        return ""


@dataclass(frozen=True)
class Round:
    """One measurement: scores whose definitions agree on the weights and the statistics.

    Attributes:
        draw: number of the draw of initial weights.
        init: their distribution.
        how: how the measurement is taken.
        records: the scores that are computed from it.
    """

    draw: int
    init: Scheme
    how: Measuring
    records: tuple[ProxyRecord, ...]

    @property
    def kinds(self) -> tuple[type, ...]:
        """The kinds of results that the scores need, each once."""
        return tuple(dict.fromkeys(kind for record in self.records for kind in record.needs))


@dataclass(frozen=True)
class Candidate:
    """What is known of a genotype before it is scored.

    Attributes:
        genotype: itself.
        key: its canonical form.
        cost: size of the network that is scored.
        violation: which constraint rules it out; empty when none does.
    """

    genotype: Hashable
    key: str
    cost: Cost
    violation: str

    def evaluation(self, found: dict[str, float] | Exception, seconds: float) -> Evaluation:
        """Return the evaluation that follows from the scores, or from what went wrong."""
        scores: dict[str, float] = {}
        status: Status = "rejected"
        reason = self.violation
        if isinstance(found, DeadNetwork):
            status, reason = "dead", str(found)
        elif isinstance(found, Exception):
            line = next(iter(str(found).strip().splitlines()), "no message")
            status, reason = "failed", f"{type(found).__name__}: {line}"
        elif not self.violation:
            odd = [f"{name} is {score}" for name, score in found.items() if not isfinite(score)]
            status, reason = ("failed", odd[0]) if odd else ("ok", "")
            scores = {} if odd else found
        cost, text = self.cost, str(self.genotype)
        return Evaluation(text, self.key, status, scores, cost.params, cost.macs, seconds, reason)


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
        normalisation: batch-norm statistics; None means those of each proxy's own definition.
        parameters: parameters that count.
        seed: seed of the initial weights.
        init: distribution of the initial weights; None means that of each proxy's own definition.
        repeats: number of initial draws over which each score is averaged, 1 or more.
        constraints: bounds checked before scoring.
        device: torch device on which networks are scored.
    """

    space: SearchSpace[Any]
    macro: dict[str, Any]
    images: Tensor
    labels: Tensor
    num_classes: int
    proxies: tuple[str, ...]
    normalisation: Normalisation | None = None
    parameters: Parameters = "weights"
    seed: int = 0
    init: Scheme | None = None
    repeats: int = 1
    constraints: Constraints = field(default_factory=Constraints)
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise InputError(f"proxy.repeats={self.repeats} must be 1 or more")
        for name in self.proxies:
            if name in PROXIES.names() and PROXIES.get(name).needs_pool:
                raise InputError(
                    f"proxy={name} ranks candidates against each other: it has no score for one "
                    "candidate, as a search needs; choose a single score, or rank a set of "
                    "architectures by it"
                )
        Measuring(self.normalisation or "sample", self.parameters)  # refuses what does not exist

    def __getstate__(self) -> dict[str, Any]:
        """Take the proxies' records along: unpickling them imports the modules they come from."""
        return {**self.__dict__, "records": tuple(PROXIES.get(name) for name in self.proxies)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for record in state.pop("records"):
            PROXIES.add(record)
        self.__dict__.update(state)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def cost(self, genotype: Hashable) -> Cost:
        """Return the size of the network that is scored for ``genotype``."""
        return self.space.cost(genotype, self.input_shape, self.num_classes, **self.macro)

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
        with torch.device("meta"):  # no memory is touched, no default initialisation is computed
            network = self.space.build(genotype, self.input_shape, self.num_classes, **self.macro)
        network = network.to_empty(device=self.device)
        return initialise(network, self.seed, self.init or init, draw)

    def build_thin(self, genotype: Hashable, draw: int, init: Scheme) -> nn.Module:
        """Return the cells of ``genotype`` in the thinnest network, for tiny crops of images."""
        sizes = {**self.macro, **SPACES.get(self.space.name).thin}
        with torch.device("meta"):
            network = self.space.build(genotype, THIN_IMAGE, self.num_classes, **sizes)
        network = network.to_empty(device=self.device)
        return initialise(network, self.seed, self.init or init, draw)

    def rounds(self) -> Iterator[Round]:
        """Yield the measurements that the task's scores need, for each initial draw.

        Scores that need the same pass share it where their definitions agree on the batch-norm
        statistics and the initial weights.
        """
        records = [PROXIES.get(name) for name in self.proxies]
        for draw in range(self.repeats):
            for init, same_weights in self._by_init(records).items():
                for normalisation, group in self._by_normalisation(same_weights).items():
                    noise = derived_seed(f"{self.seed}/{draw}")
                    how = Measuring(normalisation, self.parameters, noise)
                    yield Round(draw, init, how, tuple(group))

    def facts(self, candidate: Candidate, draw: int) -> Facts:
        """Return what is known of ``candidate`` without its network."""
        cost = candidate.cost
        return Facts(cost.params, cost.macs, candidate.key, self.seed, draw)

    def scores(self, genotype: Hashable) -> dict[str, float]:
        """Return the scores of ``genotype``, averaged over the task's initial draws.

        Raises:
            DeadNetwork: the network has no score.
        """
        candidate = self.candidate(genotype)
        totals = dict.fromkeys(self.proxies, 0.0)
        network: nn.Module = nn.Identity()
        built: tuple[int, Scheme] | None = None
        for one in self.rounds():
            draw, init = one.draw, one.init
            if built != (draw, init) and set(one.kinds) != {Facts}:
                network, built = self.build(genotype, draw, init), (draw, init)
            measurement = measure(
                network,
                self.images,
                self.labels,
                one.how,
                one.kinds,
                self.facts(candidate, draw),
                partial(self.build_thin, genotype, draw, init),
            )
            for record in one.records:
                totals[record.name] += record.score(measurement) / self.repeats
        return totals

    def _by_init(self, records: list[ProxyRecord]) -> dict[Scheme, list[ProxyRecord]]:
        groups: dict[Scheme, list[ProxyRecord]] = {}
        for record in records:
            groups.setdefault(self.init or record.init, []).append(record)
        return groups

    def _by_normalisation(
        self, records: list[ProxyRecord]
    ) -> dict[Normalisation, list[ProxyRecord]]:
        """Group records by statistics; those that depend on none join whichever group there is."""
        groups: dict[Normalisation, list[ProxyRecord]] = {}
        for record in sorted(records, key=lambda record: record.normalisation is None):
            statistics: Normalisation = next(iter(groups), "batch")
            if record.normalisation is not None:
                statistics = self.normalisation or record.normalisation
            groups.setdefault(statistics, []).append(record)
        return groups

    def candidate(self, genotype: Hashable) -> Candidate:
        """Return what is known of ``genotype`` before it is scored.

        Raises:
            InputError: no candidate of this task can be scored, e.g. the images are too small.
        """
        key, cost = self.space.canonical(genotype), self.cost(genotype)
        return Candidate(genotype, key, cost, self.constraints.violation(cost))

    def evaluate(self, genotype: Hashable) -> Evaluation:
        """Return the evaluation of ``genotype``; whatever goes wrong with it is a value.

        Raises:
            InputError: no candidate of this task can be scored, e.g. the images are too small.
        """
        start = perf_counter()
        candidate = self.candidate(genotype)
        found: dict[str, float] | Exception = {}
        if not candidate.violation:
            try:
                found = self.scores(genotype)
            except InputError:
                raise
            except Exception as error:  # a candidate's failure is a value, never the run's end
                found = error
        return candidate.evaluation(found, perf_counter() - start)
