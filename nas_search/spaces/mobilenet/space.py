"""The space of mobile networks: depth, kernel, expansion, width and squeeze-excitation per stage.

All blocks of a stage are alike, as in MnasNet (Tan et al., CVPR 2019, arXiv 1807.11626).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from nas_search.core.errors import InputError
from nas_search.core.text import quote
from nas_search.spaces.arguments import check_int, read_macro
from nas_search.spaces.base import SPACES, CellEdge, CellGraph, SpaceRecord
from nas_search.spaces.choices import Choices, ChoiceSpace
from nas_search.spaces.mobilenet.network import (
    InvertedResidual,
    Mobilenet,
    MobilenetMacro,
    Plan,
    Stage,
    head,
    plan,
    stem,
)
from nas_search.spaces.operations import half
from nas_search.spaces.parts import Part
from nas_search.spaces.segments import Segment, alone
from nas_search.spaces.text_form import unwrap

GENES = ("depth", "kernel", "expansion", "width", "se")
"""The choices of a stage, in the order of a genotype's."""

_STAGE = re.compile(r"r(\d+)_k(\d+)_e(\d+(?:\.\d+)?)_c(\d+)(_se)?", re.ASCII)
_EXAMPLE = "r1_k3_e1_c16|r2_k5_e6_c24_se|..."


@dataclass(frozen=True)
class MobilenetOptions:
    """What can be chosen; MobileNetV2 and EfficientNet-B0 are among the defaults.

    Attributes:
        strides: per stage, of its first block: 1 or 2.
        widths: per stage, the numbers of output channels.
        depths: numbers of blocks, for every stage.
        kernels: sides of the depthwise convolutions, odd.
        expansions: expanded channels per input channel.
        se: with and without squeeze and excitation, or one of them.
    """

    strides: list[int] = field(default_factory=lambda: [1, 2, 2, 2, 1, 2, 1])
    widths: list[list[int]] = field(
        default_factory=lambda: [
            [8, 16, 24],
            [16, 24, 32],
            [24, 32, 40],
            [48, 64, 80],
            [64, 96, 112],
            [96, 160, 192],
            [160, 240, 320],
        ]
    )
    depths: list[int] = field(default_factory=lambda: [1, 2, 3, 4])
    kernels: list[int] = field(default_factory=lambda: [3, 5, 7])
    expansions: list[float] = field(default_factory=lambda: [1, 3, 6])
    se: list[bool] = field(default_factory=lambda: [False, True])


@dataclass(frozen=True)
class MobilenetGenotype(Choices):
    """Five choices per stage; ``str`` gives ``r2_k5_e6_c24_se`` per stage, joined by bars."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages, as numbers."""
        count = len(GENES)
        rows = [self.choices[i : i + count] for i in range(0, len(self.choices), count)]
        return tuple(
            Stage(int(depth), int(kernel), float(expansion), int(width), se == "1")
            for depth, kernel, expansion, width, se in rows
        )

    def __str__(self) -> str:
        return "|".join(map(text_of_stage, self.stages))


def text_of_stage(stage: Stage) -> str:
    """Return ``r2_k5_e6_c24_se``: repeats, kernel, expansion, channels as EfficientNet's."""
    text = f"r{stage.depth}_k{stage.kernel}_e{stage.expansion:g}_c{stage.width}"
    return text + "_se" * stage.se


class MobilenetSpace(ChoiceSpace[MobilenetGenotype]):
    """Stages of inverted residual blocks; for the arguments see :class:`MobilenetOptions`.

    Raises:
        InputError: a list is empty or repeats a value, or a value is impossible.
    """

    name = "mobilenet"
    genotype = MobilenetGenotype

    def __init__(
        self,
        strides: Sequence[int] | None = None,
        widths: Sequence[Sequence[int]] | None = None,
        depths: Sequence[int] | None = None,
        kernels: Sequence[int] | None = None,
        expansions: Sequence[float] | None = None,
        se: Sequence[bool] | None = None,
    ) -> None:
        given = {k: v for k, v in locals().items() if k in _DEFAULTS and v is not None}
        options = {**_DEFAULTS, **given}
        _check_options(options)
        self.strides = tuple(options["strides"])
        shared = [tuple(map(_text, options[name])) for name in ("depths", "kernels", "expansions")]
        self.positions = tuple(
            position
            for widths_ in options["widths"]
            for position in (*shared, tuple(map(_text, widths_)), tuple(map(_text, options["se"])))
        )
        stages = range(1, len(self.strides) + 1)
        self.labels = tuple(f"{gene}{stage}" for stage in stages for gene in GENES)
        if self.size < 2:
            raise InputError("search_space: there is one network, nothing to choose")

    def parse(self, text: str) -> MobilenetGenotype:
        """Return the network written as ``r2_k5_e6_c24_se`` per stage, joined by bars.

        Raises:
            InputError: a stage is not written so, or not among the choices.
        """
        stages = unwrap(text).split("|")
        if len(stages) != len(self.strides):
            raise InputError(
                f"mobilenet: expected {len(self.strides)} stages joined by '|', got {len(stages)} "
                f"in {quote(text)}; write them like {_EXAMPLE}"
            )
        choices: list[str] = []
        for number, stage in enumerate(stages, 1):
            found = _STAGE.fullmatch(stage.strip())
            if not found:
                raise InputError(
                    f"mobilenet, stage {number}: cannot read {quote(stage)}; write stages like "
                    f"{_EXAMPLE}"
                )
            depth, kernel, expansion, width, se = found.groups()
            values = (int(depth), int(kernel), float(expansion), int(width), bool(se))
            for gene, value in zip(GENES, map(_text, values), strict=True):
                possible = self.positions[len(choices)]
                if value not in possible:
                    raise InputError(
                        f"mobilenet, stage {number}: {gene} {value} is not among its choices "
                        f"{', '.join(possible)}"
                    )
                choices.append(value)
        return MobilenetGenotype(tuple(choices))

    def build(
        self,
        genotype: MobilenetGenotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> nn.Module:
        """Return the network; ``macro`` as in :class:`MobilenetMacro`."""
        sizes = read_macro(MobilenetMacro, macro)
        planned = self._plan(genotype, input_shape, num_classes, sizes)
        return Mobilenet(planned, input_shape[0], sizes.head, num_classes)

    def droppable(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return the branches of the blocks that add their input."""
        blocks = [one for one in network.modules() if isinstance(one, InvertedResidual)]
        return [block.branch for block in blocks if block.residual]

    def parts(
        self,
        genotype: MobilenetGenotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> Mapping[Part, int]:
        """Return stem, blocks and head."""
        return Counter(self._in_order(genotype, input_shape, num_classes, macro))

    def segments(
        self,
        genotype: MobilenetGenotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> Sequence[Segment]:
        """Return the parts, one after another."""
        return [alone(part) for part in self._in_order(genotype, input_shape, num_classes, macro)]

    def graphs(self, genotype: MobilenetGenotype) -> tuple[CellGraph, ...]:
        """Return the stages as a chain."""
        labels = [text_of_stage(stage) for stage in genotype.stages]
        nodes = tuple(map(str, range(len(labels) + 1)))
        edges = tuple(map(CellEdge, nodes, nodes[1:], labels))
        return (CellGraph("stages", nodes[:1], nodes[-1], nodes, edges),)

    def _plan(
        self,
        genotype: MobilenetGenotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        sizes: MobilenetMacro,
    ) -> Plan:
        return plan(genotype.stages, self.strides, sizes, input_shape, num_classes)

    def _in_order(
        self,
        genotype: MobilenetGenotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        macro: Mapping[str, Any],
    ) -> list[Part]:
        sizes = read_macro(MobilenetMacro, macro)
        planned = self._plan(genotype, input_shape, num_classes, sizes)
        channels, height, width = input_shape
        first = (channels, planned.stem, planned.stem_stride, planned.style)
        parts = [Part(stem, first, (channels, height, width))]
        if planned.stem_stride == 2:
            height, width = half(height), half(width)
        for block in (block for stage in planned.stages for block in stage):
            parts.append(Part(InvertedResidual, (block,), (block.inputs, height, width)))
            if block.stride == 2:
                height, width = half(height), half(width)
        last = planned.stages[-1][-1].outputs
        parts.append(
            Part(head, (last, sizes.head, num_classes, planned.style), (last, height, width))
        )
        return parts


_DEFAULTS = vars(MobilenetOptions())


def _text(value: float | bool) -> str:
    return str(int(value)) if isinstance(value, bool) else f"{value:g}"


def _check_options(options: Mapping[str, Any]) -> None:
    def fail(key: str, problem: str) -> None:
        raise InputError(f"search_space.{key}: {problem}")

    strides, widths = options["strides"], options["widths"]
    if not strides or set(strides) - {1, 2}:
        fail("strides", f"expected 1 or 2 per stage, got {quote(list(strides))}")
    if len(widths) != len(strides):
        fail("widths", f"expected a list per stage, {len(strides)} of them, got {len(widths)}")
    lists = {f"widths.{i}": row for i, row in enumerate(widths)}
    lists |= {name: options[name] for name in ("depths", "kernels", "expansions", "se")}
    for key, values in lists.items():
        if not values or len(set(map(_text, values))) < len(values):
            fail(key, f"expected different values, got {quote(list(values))}")
        if key.startswith(("widths", "depths", "kernels")):
            for value in values:
                check_int(f"search_space.{key}", value, 1)
        if key == "kernels" and not all(value % 2 for value in values):
            fail(key, f"sides must be odd, got {quote(list(values))}")
        if key == "expansions" and not all(1 <= value <= 64 for value in values):
            fail(key, f"must be 1 to 64, got {quote(list(values))}")


SPACES.add(
    SpaceRecord(
        name="mobilenet",
        space=MobilenetSpace,
        macro=MobilenetMacro,
        source="Sandler et al., CVPR 2018, arXiv 1801.04381; Tan et al., arXiv 1807.11626",
        options=MobilenetOptions,
        narrow={"stem": 1, "head": 1, "multiplier": 0.001, "divisor": 1},
    )
)
