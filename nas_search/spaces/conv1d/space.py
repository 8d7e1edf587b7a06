"""The space of series: depth, kernel, width, dilation, pooling and residuals per stage."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from nas_search.core.errors import InputError
from nas_search.core.text import quote
from nas_search.spaces.arguments import check_int, check_problem, read_macro
from nas_search.spaces.base import SPACES, SpaceRecord
from nas_search.spaces.choices import Choices
from nas_search.spaces.conv1d.network import (
    LEAST_LENGTH,
    POOLS,
    Conv1dMacro,
    Conv1dNetwork,
    Plan,
    ResidualBlock,
    Stage,
    Stem,
    block_alone,
    head_alone,
    plan,
)
from nas_search.spaces.operations import half
from nas_search.spaces.parts import Part
from nas_search.spaces.stages import GeneSpace

GENES = ("depth", "kernel", "width", "dilation", "pool", "residual")
"""The choices of a stage, in the order of a genotype's."""

_STAGE = re.compile(r"r(\d{1,7})_k(\d{1,7})_c(\d{1,7})_d(\d{1,7})_([a-z]+)(_res)?", re.ASCII)
_EXAMPLE = "r2_k5_c32_d1_max|r2_k9_c64_d2_stride_res|..."


@dataclass(frozen=True)
class Conv1dOptions:
    """What can be chosen.

    Attributes:
        widths: per stage, the numbers of output channels.
        depths: numbers of blocks, for every stage.
        kernels: lengths of kernels, odd, 3 or more.
        dilations: steps between neighbors under a kernel.
        pools: how a stage halves the length: ``stride``, ``max``, ``avg``, or ``none``.
        residual: with and without residual connections, or one of them.
    """

    widths: list[list[int]] = field(
        default_factory=lambda: [[16, 32, 48], [32, 64, 96], [64, 96, 128]]
    )
    depths: list[int] = field(default_factory=lambda: [1, 2, 3])
    kernels: list[int] = field(default_factory=lambda: [3, 5, 9, 15])
    dilations: list[int] = field(default_factory=lambda: [1, 2, 4])
    pools: list[str] = field(default_factory=lambda: ["stride", "max", "avg"])
    residual: list[bool] = field(default_factory=lambda: [False, True])


@dataclass(frozen=True)
class Conv1dGenotype(Choices):
    """Six choices per stage; ``str`` gives ``r2_k5_c32_d1_max_res`` per stage, joined by bars."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages, as numbers."""
        count = len(GENES)
        rows = [self.choices[i : i + count] for i in range(0, len(self.choices), count)]
        return tuple(
            Stage(int(depth), int(kernel), int(width), int(dilation), pool, residual == "1")
            for depth, kernel, width, dilation, pool, residual in rows
        )

    def __str__(self) -> str:
        return "|".join(map(text_of_stage, self.stages))


def text_of_stage(stage: Stage) -> str:
    """Return ``r2_k5_c32_d1_max_res``: repeats, kernel, channels, dilation, pooling, residual."""
    text = f"r{stage.depth}_k{stage.kernel}_c{stage.width}_d{stage.dilation}_{stage.pool}"
    return text + "_res" * stage.residual


class Conv1dSpace(GeneSpace[Conv1dGenotype]):
    """Stages of convolutions over time; for the arguments see :class:`Conv1dOptions`.

    Raises:
        InputError: a list is empty or repeats a value, or a value is impossible.
    """

    name = "conv1d"
    genotype = Conv1dGenotype
    genes = GENES
    stage_form = _STAGE
    example = _EXAMPLE

    def __init__(
        self,
        widths: Sequence[Sequence[int]] | None = None,
        depths: Sequence[int] | None = None,
        kernels: Sequence[int] | None = None,
        dilations: Sequence[int] | None = None,
        pools: Sequence[str] | None = None,
        residual: Sequence[bool] | None = None,
    ) -> None:
        given: dict[str, Any] = {
            "widths": widths,
            "depths": depths,
            "kernels": kernels,
            "dilations": dilations,
            "pools": pools,
            "residual": residual,
        }
        defaults = vars(Conv1dOptions())
        lists = {key: defaults[key] if value is None else value for key, value in given.items()}
        _check_options(lists)
        before, after = ("depths", "kernels"), ("dilations", "pools", "residual")
        texts = {key: list(map(_text, lists[key])) for key in (*before, *after)}
        super().__init__(
            (*(texts[k] for k in before), list(map(_text, row)), *(texts[k] for k in after))
            for row in lists["widths"]
        )

    def values_of(self, *groups: Any) -> Iterable[str]:
        """Return the values of a stage's genes, as a genotype has them."""
        *numbers, pool, residual = groups
        return (*(str(int(one)) for one in numbers), pool, _text(bool(residual)))

    def build(
        self,
        genotype: Conv1dGenotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> nn.Module:
        """Return the network; ``macro`` as in :class:`Conv1dMacro`."""
        channels, rows, _ = input_shape
        planned = _plan(genotype, input_shape, num_classes, macro)
        return Conv1dNetwork(planned, channels * rows, num_classes)

    def droppable(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return the branches of the blocks that add their input."""
        blocks = [one for one in network.modules() if isinstance(one, ResidualBlock)]
        return [block.branch for block in blocks if block.residual]

    def in_order(
        self,
        genotype: Conv1dGenotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        macro: Mapping[str, Any],
    ) -> list[Part]:
        """Return stem, blocks and head."""
        planned = _plan(genotype, input_shape, num_classes, macro)
        channels, rows, length = input_shape
        first = (channels * rows, planned.stem, planned.stem_stride)
        parts = [Part(Stem, first, (channels, rows, length))]
        length = -(-length // planned.stem_stride)
        for block in (block for stage in planned.stages for block in stage):
            parts.append(Part(block_alone, (block,), (block.inputs, 1, length)))
            length = length if block.pool == "none" else half(length)
        last = planned.stages[-1][-1].outputs
        return [*parts, Part(head_alone, (last, num_classes), (last, 1, length))]


def _plan(
    genotype: Conv1dGenotype,
    input_shape: tuple[int, int, int],
    num_classes: int,
    macro: Mapping[str, Any],
) -> Plan:
    sizes = read_macro(Conv1dMacro, macro)
    check_problem(input_shape, num_classes, 1, "a series")
    length = input_shape[2]
    if length < LEAST_LENGTH:
        raise InputError(
            f"series of length {length} are too small: batch-norm needs at least {LEAST_LENGTH} "
            "steps; use longer series"
        )
    return plan(genotype.stages, sizes, length)


def _text(value: float | bool | str) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _check_options(options: Mapping[str, Any]) -> None:
    def fail(key: str, problem: str) -> None:
        raise InputError(f"search_space.{key}: {problem}")

    if not options["widths"]:
        fail("widths", "expected a list of channels per stage, got none")
    lists = {f"widths.{i}": row for i, row in enumerate(options["widths"])}
    lists |= {key: values for key, values in options.items() if key != "widths"}
    for key, values in lists.items():
        if not values or len(set(map(_text, values))) < len(values):
            fail(key, f"expected different values, got {quote(list(values))}")
        if key not in ("pools", "residual"):
            for value in values:
                check_int(f"search_space.{key}", value, 3 if key == "kernels" else 1)
        if key == "kernels" and not all(value % 2 for value in values):
            fail(key, f"lengths must be odd, got {quote(list(values))}")
        if key == "pools" and set(values) - set(POOLS):
            fail(key, f"possible: {', '.join(POOLS)}, got {quote(list(values))}")


SPACES.add(
    SpaceRecord(
        name="conv1d",
        space=Conv1dSpace,
        macro=Conv1dMacro,
        source="after Wang et al., IJCNN 2017, arXiv 1611.06455; Bai et al., arXiv 1803.01271",
        options=Conv1dOptions,
    )
)
