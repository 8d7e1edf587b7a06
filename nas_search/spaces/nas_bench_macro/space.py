"""NAS-Bench-Macro: the 6,561 rows of eight layers and three operations.

Source: Su et al., CVPR 2021, arXiv 2103.11922.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from nas_search.core.errors import InputError
from nas_search.core.text import quote
from nas_search.spaces.arguments import check_problem, read_macro
from nas_search.spaces.base import SPACES, SpaceRecord
from nas_search.spaces.choices import Choices, ChoiceSpace
from nas_search.spaces.nas_bench_macro.network import (
    FIRST,
    HEAD,
    OPERATIONS,
    SMALLEST_IMAGE,
    STAGES,
    InvertedResidual,
    NasBenchMacroNetwork,
    NasBenchMacroSizes,
    head,
    layer,
    places,
    stem,
)
from nas_search.spaces.nas_bench_macro.stacked import StackedNasBenchMacro
from nas_search.spaces.parts import Part
from nas_search.spaces.text_form import unwrap
from nas_search.stacked.network import Pool, StackedNetwork

_NAMES = tuple(OPERATIONS)
_TEXT = re.compile(r"[0-2]{8}", re.ASCII)


@dataclass(frozen=True)
class NasBenchMacroGenotype(Choices):
    """Eight operations; ``str`` gives the benchmark's text form, ``01201201``."""

    def __str__(self) -> str:
        return "".join(str(_NAMES.index(name)) for name in self.choices)


class NasBenchMacroSpace(ChoiceSpace[NasBenchMacroGenotype]):
    """The 6,561 networks of NAS-Bench-Macro and the moves between them."""

    name = "nas_bench_macro"

    positions = (_NAMES,) * sum(STAGES)
    genotype = NasBenchMacroGenotype

    def parse(self, text: str) -> NasBenchMacroGenotype:
        """Return the network written in the benchmark's form, ``01201201``.

        Raises:
            InputError: the text is not eight digits of 0 to 2.
        """
        text = unwrap(text)
        if not _TEXT.fullmatch(text):
            meaning = ", ".join(f"{digit} ({name})" for digit, name in enumerate(_NAMES))
            raise InputError(
                f"a nas_bench_macro network is eight digits, {meaning}, got {quote(text)}; write "
                "it like 01201201"
            )
        return NasBenchMacroGenotype(tuple(_NAMES[int(digit)] for digit in text))

    def canonical(self, genotype: NasBenchMacroGenotype) -> str:
        """Return the text whose identities stand last in each stage.

        Behind the first layer of a stage, an identity leaves the image as it is, wherever it
        stands. There are 3,969 canonical forms.
        """
        return str(NasBenchMacroGenotype(_identities_last(genotype)))

    def expressed(self, genotype: NasBenchMacroGenotype) -> tuple[str | None, ...]:
        """Return the choices of the canonical form."""
        return _identities_last(genotype)

    def build(
        self,
        genotype: NasBenchMacroGenotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> nn.Module:
        """Return the network; ``macro`` as in :class:`NasBenchMacroSizes`."""
        sizes = _check(input_shape, num_classes, macro)
        return NasBenchMacroNetwork(genotype.choices, sizes, input_shape, num_classes)

    def build_stacked(
        self,
        genotypes: Sequence[NasBenchMacroGenotype],
        pool: Pool,
        input_shape: tuple[int, int, int],
        num_classes: int,
        include_dead_branches: bool = False,
        **macro: Any,
    ) -> StackedNetwork:
        """Return one network for any candidates: all have the same skeleton and no branches."""
        sizes = _check(input_shape, num_classes, macro)
        candidates = [genotype.choices for genotype in genotypes]
        return StackedNasBenchMacro(candidates, sizes, input_shape, num_classes, pool)

    def droppable(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return the convolutions of the blocks that add their input."""
        return [
            block.convolutions
            for block in network.modules()
            if isinstance(block, InvertedResidual) and block.adds_input
        ]

    def parts(
        self,
        genotype: NasBenchMacroGenotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> Mapping[Part, int]:
        """Return the network's parts: stem, layers and head."""
        sizes = _check(input_shape, num_classes, macro)
        image_channels, height, width = input_shape
        found = places((height, width), sizes.channels)
        parts = Counter(
            [Part(stem, (image_channels, sizes.channels), (image_channels, height, width))]
        )
        for name, place in zip(genotype.choices, found, strict=True):
            parts[Part(layer, (name, *place[:3]), (place.inputs, *place.sides))] += 1
        last = found[-1]
        ends = (last.outputs, HEAD * sizes.channels, num_classes)
        parts[Part(head, ends, (last.outputs, *last.sides))] += 1
        return parts


def _identities_last(genotype: NasBenchMacroGenotype) -> tuple[str, ...]:
    row: list[str] = []
    for first, layers in zip(FIRST, STAGES, strict=True):
        names = genotype.choices[first + 1 : first + layers]
        row += [genotype.choices[first], *sorted(names, key=lambda name: name == "identity")]
    return tuple(row)


def _check(
    input_shape: tuple[int, int, int], num_classes: int, macro: Mapping[str, Any]
) -> NasBenchMacroSizes:
    sizes = read_macro(NasBenchMacroSizes, macro)
    check_problem(input_shape, num_classes, SMALLEST_IMAGE, "batch-norm")
    return sizes


SPACES.add(
    SpaceRecord(
        name="nas_bench_macro",
        space=NasBenchMacroSpace,
        macro=NasBenchMacroSizes,
        source="Su et al., CVPR 2021, arXiv 2103.11922",
        narrow={"channels": 1},
    )
)
