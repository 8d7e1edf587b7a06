"""The space of mobile networks: depth, kernel, expansion, width and squeeze-excitation per stage.

All blocks of a stage are alike, as in MnasNet (Tan et al., CVPR 2019, arXiv 1807.11626).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from nas_search.core.errors import InputError
from nas_search.core.text import quote
from nas_search.spaces.arguments import check_int, read_macro
from nas_search.spaces.base import SPACES, SpaceRecord
from nas_search.spaces.choices import Choices
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
from nas_search.spaces.stages import GeneSpace

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


class MobilenetSpace(GeneSpace[MobilenetGenotype]):
    """Stages of inverted residual blocks; for the arguments see :class:`MobilenetOptions`.

    Raises:
        InputError: a list is empty or repeats a value, or a value is impossible.
    """

    name = "mobilenet"
    genotype = MobilenetGenotype
    genes = GENES
    stage_form = _STAGE
    example = _EXAMPLE

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
        last = tuple(map(_text, options["se"]))
        super().__init__((*shared, tuple(map(_text, row)), last) for row in options["widths"])

    def values_of(self, *groups: Any) -> Iterable[str]:
        """Return the values of a stage's genes, as a genotype has them."""
        depth, kernel, expansion, width, se = groups
        return map(_text, (int(depth), int(kernel), float(expansion), int(width), bool(se)))

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

    def in_order(
        self,
        genotype: MobilenetGenotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        macro: Mapping[str, Any],
    ) -> list[Part]:
        """Return stem, blocks and head."""
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
        ends = (last, sizes.head, num_classes, planned.style)
        return [*parts, Part(head, ends, (last, height, width))]

    def _plan(
        self,
        genotype: MobilenetGenotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        sizes: MobilenetMacro,
    ) -> Plan:
        return plan(genotype.stages, self.strides, sizes, input_shape, num_classes)


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
