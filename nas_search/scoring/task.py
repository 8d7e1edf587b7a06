"""Everything a worker must know to evaluate one genotype, and the evaluation itself."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from nas_search.core.device import Precision
from nas_search.core.errors import InputError
from nas_search.core.evaluation import Evaluation, Status
from nas_search.gradients import Normalization, Parameters, Scheme
from nas_search.passes import Facts
from nas_search.passes.regions import THIN_IMAGE
from nas_search.proxies import PROXIES, Measurement, ProxyRecord
from nas_search.scoring.initialize import derived_seed, initialize
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


class Tally:
    """The scores of one candidate, averaged over the task's initial draws.

    A score is there when it could be computed in all of them; what one pass or one formula cannot
    do takes nothing from the others.

    Args:
        proxies: names of the scores.
        repeats: number of draws.
    """

    def __init__(self, proxies: tuple[str, ...], repeats: int) -> None:
        self._repeats = repeats
        self._totals = dict.fromkeys(proxies, 0.0)
        self._missing: dict[str, Exception] = {}

    def take(self, measurement: Measurement, records: tuple[ProxyRecord, ...]) -> None:
        """Add what ``records`` make of one draw's measurement.

        Raises:
            InputError: no candidate of the task can have one of the scores.
        """
        for record in records:
            try:
                self._totals[record.name] += record.score(measurement) / self._repeats
            except InputError:
                raise
            except Exception as error:  # somebody's formula, or the pass behind it
                # Without its traceback, whose frames would hold the pass's tensors.
                self._missing.setdefault(record.name, error.with_traceback(None))

    def fail(self, error: Exception) -> None:
        """Note that nothing could be scored."""
        for name in self._totals:
            self._missing.setdefault(name, error.with_traceback(None))

    def scores(self) -> dict[str, float]:
        """Return the scores that are there."""
        missing = self.missing()
        return {name: total for name, total in self._totals.items() if name not in missing}

    def missing(self) -> dict[str, Exception]:
        """Return why the others are not, by name."""
        odd = {
            name: NoNumber(f"the score is {total}")
            for name, total in self._totals.items()
            if not isfinite(total)
        }
        found = {**odd, **self._missing}
        return {name: found[name] for name in self._totals if name in found}


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

    def evaluation(self, tally: Tally, seconds: float) -> Evaluation:
        """Return the evaluation that follows from the scores, and from what went wrong."""
        scores: dict[str, float] = {}
        status: Status = "rejected"
        reason = self.violation
        if not self.violation:
            scores, missing = tally.scores(), tally.missing()
            died = all(isinstance(error, DeadNetwork) for error in missing.values())
            status = "ok" if not missing else "dead" if died else "failed"
            reason = _why(missing, several=len(scores) + len(missing) > 1)
        cost, text = self.cost, str(self.genotype)
        return Evaluation(text, self.key, status, scores, cost.params, cost.macs, seconds, reason)


def _why(missing: Mapping[str, Exception], several: bool) -> str:
    """Return in one line why scores are missing, and which where ``several`` were asked for."""
    names: dict[str, list[str]] = {}
    for name, error in missing.items():
        names.setdefault(_reason(error), []).append(name)
    if not several:
        return "".join(names)
    return "; ".join(f"{', '.join(these)}: {reason}" for reason, these in names.items())


def _reason(error: Exception) -> str:
    """Return the first line of ``error``, with its type where the message is not ours."""
    lines = str(error).strip().splitlines()
    line = lines[0] if lines else "no message"
    known = isinstance(error, DeadNetwork | NoNumber)
    return line if known else f"{type(error).__name__}: {line}"


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
        constraints: bounds checked before scoring.
        device: torch device on which networks are scored.
        precision: of the arithmetic there.
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

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise InputError(f"proxy.repeats={self.repeats} must be 1 or more")
        # Refuses what does not exist.
        Measuring(self.normalization or "sample", self.parameters, precision=self.precision)

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

    @property
    def thin(self) -> dict[str, Any]:
        """Sizes of the skeleton of the thinnest network."""
        return {**self.macro, **SPACES.get(self.space.name).thin}

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
        with torch.device("meta"):  # no memory is touched, no default initialization is computed
            network = self.space.build(genotype, self.input_shape, self.num_classes, **self.macro)
        network = network.to_empty(device=self.device)
        return initialize(network, self.seed, self.init or init, draw)

    def build_thin(self, genotype: Hashable, draw: int, init: Scheme) -> nn.Module:
        """Return the cells of ``genotype`` in the thinnest network, for tiny crops of images."""
        with torch.device("meta"):
            network = self.space.build(genotype, THIN_IMAGE, self.num_classes, **self.thin)
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
                for normalization, group in self._by_normalization(same_weights).items():
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
        key, cost = self.space.canonical(genotype), self.cost(genotype)
        return Candidate(genotype, key, cost, self.constraints.violation(cost))

    def tally(self) -> Tally:
        """Return a tally of the task's scores, empty."""
        return Tally(self.proxies, self.repeats)

    def evaluate(self, genotype: Hashable) -> Evaluation:
        """Return the evaluation of ``genotype``; whatever goes wrong with it is a value.

        Raises:
            InputError: no candidate of this task can be scored, e.g. the images are too small.
        """
        start = perf_counter()
        candidate, tally = self.candidate(genotype), self.tally()
        if not candidate.violation:
            try:
                self._measure(candidate, tally)
            except InputError:
                raise
            except Exception as error:  # a candidate's failure is a value, never the run's end
                tally.fail(error)
        return candidate.evaluation(tally, perf_counter() - start)

    def _measure(self, candidate: Candidate, tally: Tally) -> None:
        """Build the network of ``candidate`` and let ``tally`` take every round's measurement."""
        genotype = candidate.genotype
        network: nn.Module = nn.Identity()
        built: tuple[int, Scheme] | None = None
        for one in self.rounds():
            draw, init = one.draw, one.init
            if built != (draw, init) and set(one.kinds) != {Facts}:
                network, built = self.build(genotype, draw, init), (draw, init)
            measurement = attempt(
                network,
                self.images,
                self.labels,
                one.how,
                one.kinds,
                self.facts(candidate, draw),
                partial(self.build_thin, genotype, draw, init),
            )
            tally.take(measurement, one.records)

    def _by_init(self, records: list[ProxyRecord]) -> dict[Scheme, list[ProxyRecord]]:
        groups: dict[Scheme, list[ProxyRecord]] = {}
        for record in records:
            groups.setdefault(self.init or record.init, []).append(record)
        return groups

    def _by_normalization(
        self, records: list[ProxyRecord]
    ) -> dict[Normalization, list[ProxyRecord]]:
        """Group records by statistics; those that depend on none join whichever group there is."""
        groups: dict[Normalization, list[ProxyRecord]] = {}
        for record in sorted(records, key=lambda record: record.normalization is None):
            statistics: Normalization = next(iter(groups), "batch")
            if record.normalization is not None:
                statistics = self.normalization or record.normalization
            groups.setdefault(statistics, []).append(record)
        return groups
