"""ResNet, ResNeXt-A and ResNeXt-B as network design spaces.

Source: Radosavovic et al., ICCV 2019, arXiv 1905.13214.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from torch import nn

from nas_search.core.errors import InputError
from nas_search.core.guess import did_you_mean
from nas_search.core.text import quote
from nas_search.spaces.arguments import check_problem, read_macro
from nas_search.spaces.base import SPACES, SpaceRecord
from nas_search.spaces.choices import Choices
from nas_search.spaces.nds.families import RESIDUAL_FAMILIES
from nas_search.spaces.nds.residual_network import (
    STEM_WIDTH,
    STRIDES,
    Block,
    NdsResidualNetwork,
    ResidualBlock,
    head,
    stem,
)
from nas_search.spaces.nds.sizes import SMALLEST_IMAGE, NdsMacro
from nas_search.spaces.operations import half
from nas_search.spaces.parts import Part
from nas_search.spaces.stages import StageSpace
from nas_search.spaces.text_form import unwrap

KEYS = ("ds", "ws", "bot_muls", "num_gs")
"""Depths, widths, ratios of bottlenecks and groups, as the published files call them."""

STAGES = len(STRIDES)
LEAST = 0.01
MOST = {"ds": 64, "ws": 4096, "bot_muls": 8, "num_gs": 1024}
"""Smallest and largest values that are read; the grids are well inside."""

_NUMBER = re.compile(r"\s*(?:\d+\.?\d*|\.\d+)\s*", re.ASCII)  # float() reads digits of any script


@dataclass(frozen=True)
class NdsResidual(Choices):
    """Values of three stages per key; ``str`` gives ``ds=1-12-4,ws=16-64-128``."""

    def __str__(self) -> str:
        return ",".join(f"{key}={'-'.join(row)}" for key, row in self.rows.items())

    @property
    def rows(self) -> dict[str, tuple[str, ...]]:
        """The values by key, one per stage."""
        starts = range(0, len(self.choices), STAGES)
        return {key: self.choices[i : i + STAGES] for key, i in zip(KEYS, starts, strict=False)}


@dataclass(frozen=True)
class NdsResidualOptions:
    """Keyword arguments of :class:`NdsResidualSpace`.

    Attributes:
        family: ``resnet``, ``resnext_a`` or ``resnext_b``.
        depths: numbers of blocks in place of the family's; None for the family's.
        widths: channels in place of the family's; None for the family's.
    """

    family: str = "resnet"
    depths: list[int] | None = None
    widths: list[int] | None = None


class NdsResidualSpace(StageSpace[NdsResidual]):
    """All networks of a family; for the arguments see :class:`NdsResidualOptions`.

    Raises:
        InputError: there is no such family, or a list is impossible.
    """

    name = "nds_residual"
    genotype = NdsResidual

    def __init__(
        self,
        family: str = "resnet",
        depths: Sequence[int] | None = None,
        widths: Sequence[int] | None = None,
    ) -> None:
        if family not in RESIDUAL_FAMILIES:
            guess = did_you_mean(family, RESIDUAL_FAMILIES)
            raise InputError(
                f"search_space.family: unknown {quote(family)}{guess}; possible: "
                f"{', '.join(RESIDUAL_FAMILIES)}"
            )
        own = RESIDUAL_FAMILIES[family]
        values: dict[str, Sequence[float]] = {
            "ds": own.depths if depths is None else depths,
            "ws": own.widths if widths is None else widths,
            "bot_muls": own.ratios,
            "num_gs": own.groups,
        }
        self.keys = tuple(key for key in KEYS if values[key] or key in ("ds", "ws"))
        grid = {key: tuple(_value(key, one) for one in values[key]) for key in self.keys}
        for key, texts in grid.items():
            if not texts or len(set(texts)) < len(texts):
                _fail(key, f"expected different values, got {quote(list(values[key]))}")
        self.positions = tuple(grid[key] for key in self.keys for _ in range(STAGES))
        self.labels = tuple(f"{key}{i + 1}" for key in self.keys for i in range(STAGES))
        if self.size == 1:
            raise InputError("search_space: there is one network, nothing to choose")

    def parse(self, text: str) -> NdsResidual:
        """Return the network written as ``ds=1-12-4,ws=16-64-128``.

        Values beside the grid are read too: only mutation keeps to it.

        Raises:
            InputError: it is not written so, or a value is impossible.
        """
        net: dict[str, Any] = {}
        for pair in unwrap(text).split(","):
            key, equals, row = (part.strip() for part in pair.partition("="))
            if not equals or key not in self.keys or key in net:
                example = ",".join(
                    f"{key}={'-'.join(self.positions[i * STAGES][0] for _ in STRIDES)}"
                    for i, key in enumerate(self.keys)
                )
                _fail("", f"cannot read {quote(pair)}; write it like {example}")
            net[key] = row.split("-")
        return self._made(net)

    def from_net(self, net: Mapping[str, Any]) -> NdsResidual:
        """Return the genotype of a ``net`` of the published files, whose first stage is the stem.

        Raises:
            InputError: something is missing or impossible, or the network is of another family.
        """
        if "genotype" in net:
            _fail("", "the net has a genotype: it is of cells (search_space=nds_cells)")
        others = [key for key in KEYS if net.get(key) and key not in self.keys]
        if others:
            _fail("", f"the net has {', '.join(others)}, which this family has not")
        return self._made({key: _behind_stem(key, net.get(key)) for key in self.keys})

    def _made(self, net: Mapping[str, Any]) -> NdsResidual:
        choices: list[str] = []
        for key in self.keys:
            row = net.get(key)
            if row is None:
                _fail("", f"{key} is missing; the keys are {', '.join(self.keys)}")
            if len(row) != STAGES:
                _fail(key, f"expected {STAGES} values, one per stage, got {len(row)}")
            choices += [_value(key, one) for one in row]
        made = NdsResidual(tuple(choices))
        for stage, (_, width, ratio, groups) in enumerate(_stages(made), 1):
            inner = ratio * width
            if ratio and (inner != int(inner) or int(inner) % groups):
                _fail(
                    f"stage {stage}",
                    f"{groups} groups do not divide a bottleneck of {inner:g} channels",
                )
        return made

    def _moves(self, genotype: NdsResidual) -> Iterator[tuple[int, str]]:
        for position, names in enumerate(self.positions):
            for name in names:
                if name != genotype.choices[position]:
                    yield position, name

    def build(
        self,
        genotype: NdsResidual,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> nn.Module:
        """Return the network; ``macro`` as in :class:`NdsMacro`."""
        channels, stages = _plan(genotype, input_shape, num_classes, macro)
        return NdsResidualNetwork(channels, stages, input_shape[0], num_classes)

    def droppable(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return the branches of all blocks."""
        return [one.branch for one in network.modules() if isinstance(one, ResidualBlock)]

    def in_order(
        self,
        genotype: NdsResidual,
        input_shape: tuple[int, int, int],
        num_classes: int,
        macro: Mapping[str, Any],
    ) -> list[Part]:
        """Return stem, blocks and head."""
        first, stages = _plan(genotype, input_shape, num_classes, macro)
        channels, height, width = input_shape
        parts = [Part(stem, (channels, first), (channels, height, width))]
        for block in (block for stage in stages for block in stage):
            parts.append(Part(ResidualBlock, (block,), (block.inputs, height, width)))
            if block.stride == 2:
                height, width = half(height), half(width)
        last = stages[-1][-1].outputs
        return [*parts, Part(head, (last, num_classes), (last, height, width))]

    def stage_texts(self, genotype: NdsResidual) -> Sequence[str]:
        """Return the values of each stage with their keys."""
        rows = genotype.rows
        return [
            " ".join(f"{key}={row[stage]}" for key, row in rows.items()) for stage in range(STAGES)
        ]


def _stages(genotype: NdsResidual) -> list[tuple[int, int, float, int]]:
    """Return depth, width, ratio of the bottleneck (0 for a basic block) and groups per stage."""
    rows = genotype.rows
    ratios = rows.get("bot_muls", ("0",) * STAGES)
    groups = rows.get("num_gs", ("1",) * STAGES)
    each = zip(rows["ds"], rows["ws"], ratios, groups, strict=True)
    return [(int(d), int(w), float(r), int(g)) for d, w, r, g in each]


def _plan(
    genotype: NdsResidual,
    input_shape: tuple[int, int, int],
    num_classes: int,
    macro: Mapping[str, Any],
) -> tuple[int, tuple[tuple[Block, ...], ...]]:
    """Return the channels of the stem, and the blocks of each stage."""
    sizes = read_macro(NdsMacro, macro)
    check_problem(input_shape, num_classes, SMALLEST_IMAGE, "a network with two reductions")
    channels = first = sizes.wide(STEM_WIDTH)
    stages = []
    for (depth, width, ratio, groups), stride in zip(_stages(genotype), STRIDES, strict=True):
        outputs = sizes.wide(width)
        # A factor must leave the groups of a bottleneck whole.
        inner = groups * max(1, round(sizes.width_factor * ratio * width / groups)) if ratio else 0
        blocks = []
        for number in range(sizes.deep(depth, 1)):
            blocks.append(Block(channels, outputs, stride if number == 0 else 1, inner, groups))
            channels = outputs
        stages.append(tuple(blocks))
    return first, tuple(stages)


def _behind_stem(key: str, row: Any) -> Any:
    """Return the values of the stages, without that of the stem that the files have before."""
    if not isinstance(row, Sequence) or isinstance(row, str) or len(row) != STAGES + 1:
        _fail(key, f"expected a list of {STAGES + 1}, the stem's first, got {quote(row)}")
    return row[1:]


def _value(key: str, value: Any) -> str:
    """Return a value as it stands in a text.

    Raises:
        InputError: it is none.
    """
    try:
        number = 0.0 if isinstance(value, str) and not _NUMBER.fullmatch(value) else float(value)
    except (TypeError, ValueError):
        number = 0.0
    whole = key != "bot_muls"
    if not LEAST <= number <= MOST[key] or (whole and number != int(number)):
        kind = "an integer of 1" if whole else f"a number of {LEAST}"
        _fail(key, f"expected {kind} to {MOST[key]}, got {quote(value)}")
    return f"{number:g}"


def _fail(where: str, what: str) -> NoReturn:
    raise InputError(f"nds_residual{', ' + where if where else ''}: {what}")


SPACES.add(
    SpaceRecord(
        name="nds_residual",
        space=NdsResidualSpace,
        macro=NdsMacro,
        source="Radosavovic et al., ICCV 2019, arXiv 1905.13214",
        options=NdsResidualOptions,
    )
)
