"""Everything a worker must know to evaluate one genotype, and the evaluation itself."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from nas_search.errors import InputError
from nas_search.evaluation import Evaluation, Status
from nas_search.gradients import Normalisation, Parameters, Scheme
from nas_search.passes import Facts
from nas_search.passes.regions import THIN_IMAGE
from nas_search.proxies import PROXIES, Measurement, ProxyRecord
from nas_search.scoring.initialise import derived_seed, initialise
from nas_search.scoring.measure import DeadNetwork, Measuring, attempt
from nas_search.spaces import SPACES, Cost, SearchSpace


class NoNumber(Exception):
    """A formula gave what is not finite. The message says what."""


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

    def check_sizes(self, genotype: Hashable) -> None:
        """Refuse sizes of networks that no ``genotype`` can be built in.

        Raises:
            InputError: they do not fit the images, or no memory can hold them.
        """
        try:
            self.cost(genotype)
        except (InputError, RuntimeError) as error:  # torch refuses what no memory can hold
            raise InputError(f"search_space={self.space.name}: {error}") from None

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

    def evaluate(self, genotype: Hashable) -> Evaluation:
        """Return the evaluation of ``genotype``; whatever goes wrong with it is a value.

        Raises:
            InputError: no candidate of this task can be scored, e.g. the images are too small.
        """
        start = perf_counter()
        text, key, cost = str(genotype), self.space.canonical(genotype), self.cost(genotype)

        def ended(
            status: Status, reason: str = "", scores: dict[str, float] | None = None
        ) -> Evaluation:
            seconds = perf_counter() - start
            return Evaluation(
                text, key, status, scores or {}, cost.params, cost.macs, seconds, reason
            )

        if violation := self.constraints.violation(cost):
            return ended("rejected", violation)
        try:
            scores, missing = self._attempt(genotype)
        except InputError:
            raise
        except Exception as error:  # a candidate's failure is a value, never the run's end
            return ended("failed", _reason(error))
        if not missing:
            return ended("ok", scores=scores)
        died = all(isinstance(error, DeadNetwork) for error in missing.values())
        return ended("dead" if died else "failed", self._why(missing), scores)

    def _attempt(self, genotype: Hashable) -> tuple[dict[str, float], dict[str, Exception]]:
        """Return the scores that ``genotype`` has, and by name why it lacks the others.

        Each score is averaged over the task's initial draws, and is there when it could be computed
        in all of them. Scores that need the same pass share it where their definitions agree on the
        batch-norm statistics and the initial weights; what one pass or one formula cannot do takes
        nothing from the others.

        Raises:
            InputError: no candidate of this task can have one of the scores.
        """
        records = [PROXIES.get(name) for name in self.proxies]
        totals = dict.fromkeys(self.proxies, 0.0)
        missing: dict[str, Exception] = {}
        for draw in range(self.repeats):
            for init, same_weights in self._by_init(records).items():
                for measurement, group in self._measured(genotype, draw, init, same_weights):
                    for record in group:
                        try:
                            totals[record.name] += record.score(measurement) / self.repeats
                        except InputError:
                            raise
                        except Exception as error:  # somebody's formula, or the pass behind it
                            missing.setdefault(record.name, error)
        for name, total in totals.items():
            if name not in missing and not math.isfinite(total):
                missing[name] = NoNumber(f"the score is {total}")
        scores = {name: total for name, total in totals.items() if name not in missing}
        return scores, {name: missing[name] for name in self.proxies if name in missing}

    def _measured(
        self, genotype: Hashable, draw: int, init: Scheme, records: list[ProxyRecord]
    ) -> Iterator[tuple[Measurement, list[ProxyRecord]]]:
        """Yield what can be measured of one network, and the scores that are functions of it."""
        cost, key = self.cost(genotype), self.space.canonical(genotype)
        facts = Facts(cost.params, cost.macs, key, self.seed, draw)
        noise = derived_seed(f"{self.seed}/{draw}")
        looked_at = any(set(record.needs) != {Facts} for record in records)
        network = self.build(genotype, draw, init) if looked_at else nn.Identity()
        for normalisation, group in self._by_normalisation(records).items():
            measurement = attempt(
                network,
                self.images,
                self.labels,
                Measuring(normalisation, self.parameters, noise),
                dict.fromkeys(kind for record in group for kind in record.needs),
                facts,
                partial(self.build_thin, genotype, draw, init),
            )
            yield measurement, group

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

    def _why(self, missing: Mapping[str, Exception]) -> str:
        """Return in one line why scores are missing, and which where there are several."""
        names: dict[str, list[str]] = {}
        for name, error in missing.items():
            names.setdefault(_reason(error), []).append(name)
        if len(self.proxies) == 1:
            return "".join(names)
        return "; ".join(f"{', '.join(these)}: {reason}" for reason, these in names.items())


def _reason(error: Exception) -> str:
    """Return the first line of ``error``, with its type where the message is not ours."""
    lines = str(error).strip().splitlines()
    line = lines[0] if lines else "no message"
    known = isinstance(error, DeadNetwork | NoNumber)
    return line if known else f"{type(error).__name__}: {line}"
