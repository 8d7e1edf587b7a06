"""TransNAS-Bench-101 macro: the 3,256 skeletons of four to six modules.

Source: Duan et al., CVPR 2021, arXiv 2105.11871.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from torch import nn

from nas_search.core.errors import InputError
from nas_search.core.text import quote
from nas_search.spaces.base import (
    SPACES,
    CellGraph,
    Parameter,
    SearchSpace,
    SpaceRecord,
)
from nas_search.spaces.parts import Part
from nas_search.spaces.text_form import unwrap
from nas_search.spaces.transnas.block import BasicBlock, TransnasMacroNetwork
from nas_search.spaces.transnas.cost import macro_parts
from nas_search.spaces.transnas.skeleton import (
    BASE,
    DOUBLES,
    HALVES,
    TransnasMacro,
    blocks_of,
    checked_sizes,
)

KINDS = {"1": "normal", "2": "double", "3": "halve", "4": "double_and_halve"}
"""Kinds of modules by their digits: what they do to the channels and to the image."""

LENGTHS = (4, 5, 6)
DOUBLINGS = (1, 2, 3)
HALVINGS = (1, 2, 3, 4)

_TEXT = re.compile(rf"{BASE}-([0-9]+)-basic", re.ASCII)
_EXAMPLE = f"{BASE}-1234-basic"


def rule_broken(modules: str) -> str:
    """Return what keeps a row of digits from being a skeleton; empty if it is one."""
    doublings = sum(digit in DOUBLES for digit in modules)
    halvings = sum(digit in HALVES for digit in modules)
    if any(digit not in KINDS for digit in modules):
        kinds = ", ".join(f"{digit} ({name})" for digit, name in KINDS.items())
        return f"its modules are {kinds}"
    if len(modules) not in LENGTHS:
        return f"it has 4 to 6 modules, not {len(modules)}"
    if doublings not in DOUBLINGS:
        return f"1 to 3 of its modules double the channels (2 or 4), not {doublings}"
    if halvings not in HALVINGS:
        return f"1 to 4 of its modules halve the image (3 or 4), not {halvings}"
    return ""


@dataclass(frozen=True)
class TransnasMacroGenotype:
    """A skeleton: the digits of its four to six modules.

    ``str`` gives the benchmark's text form, ``64-1234-basic``.
    """

    modules: str

    def __str__(self) -> str:
        return f"{BASE}-{self.modules}-basic"


def _features() -> tuple[str, ...]:
    """Return the names of what :func:`_described` returns."""
    places = range(1, LENGTHS[-1] + 1)
    return (
        *("modules", "doublings", "halvings", "work", "width"),
        *(f"doublings_by[{place}]" for place in places),
        *(f"halvings_by[{place}]" for place in places),
        *(f"module_of_doubling[{count}]" for count in DOUBLINGS),
        *(f"module_of_halving[{count}]" for count in HALVINGS),
        *(f"modules_after_halvings[{count}]" for count in (0, *HALVINGS)),
    )


def _described(modules: str) -> list[float]:
    """Return numbers of a skeleton: where it doubles and halves, and how long it stays there."""
    doublings = np.cumsum([digit in DOUBLES for digit in modules]).tolist()
    halvings = np.cumsum([digit in HALVES for digit in modules]).tolist()
    missing = LENGTHS[-1] - len(modules)

    def first(counts: list[int], wanted: int) -> int:
        """Return the module that brings the count to ``wanted``; behind the last if none does."""
        return next((i for i, count in enumerate(counts, 1) if count >= wanted), LENGTHS[-1] + 1)

    return [
        *(len(modules), doublings[-1], halvings[-1]),
        # Multiply-adds and weights of the modules, over those of one without either.
        sum(4.0 ** (d - h) for d, h in zip(doublings, halvings, strict=True)),
        sum(4.0**d for d in doublings),
        *doublings,
        *[doublings[-1]] * missing,
        *halvings,
        *[halvings[-1]] * missing,
        *(first(doublings, count) for count in DOUBLINGS),
        *(first(halvings, count) for count in HALVINGS),
        *(halvings.count(count) for count in (0, *HALVINGS)),
    ]


class TransnasMacroSpace(SearchSpace[TransnasMacroGenotype]):
    """The 3,256 skeletons of TransNAS-Bench-101 and the moves between them.

    Every skeleton is a network of its own. On images that are too small for four halvings, maps
    of 2 x 2 pixels are not halved further.
    """

    name = "transnas_macro"

    numbers = _features()

    @property
    def size(self) -> int:
        """Number of skeletons: 3,256."""
        return len(_all_modules())

    def sample(self, rng: np.random.Generator) -> TransnasMacroGenotype:
        """Return a skeleton drawn uniformly from all of them."""
        every = _all_modules()
        return TransnasMacroGenotype(every[int(rng.integers(len(every)))])

    def crossover(
        self, first: TransnasMacroGenotype, second: TransnasMacroGenotype, rng: np.random.Generator
    ) -> TransnasMacroGenotype:
        """Return a child that has the length of a parent and each module from one that has it.

        It is drawn uniformly from all such children that are skeletons.
        """
        a, b = first.modules, second.modules
        both = min(len(a), len(b))
        rest = max(a, b, key=len)[both:]
        children = {
            "".join(mixed) + end
            for mixed in itertools.product(*zip(a[:both], b[:both], strict=True))
            for end in {rest, ""}
        }
        valid = sorted(child for child in children if not rule_broken(child))
        return TransnasMacroGenotype(valid[int(rng.integers(len(valid)))])

    def neighbors(self, genotype: TransnasMacroGenotype) -> Iterator[TransnasMacroGenotype]:
        """Yield the skeletons that have one module changed, inserted or left out."""
        modules = genotype.modules
        changed: dict[str, None] = {}
        for place in range(len(modules) + 1):
            before, after = modules[:place], modules[place:]
            for digit in KINDS:
                changed[before + digit + after[1:]] = None
                changed[before + digit + after] = None
            changed[before + after[1:]] = None
        changed.pop(modules, None)
        for one in changed:
            if not rule_broken(one):
                yield TransnasMacroGenotype(one)

    def parse(self, text: str) -> TransnasMacroGenotype:
        """Return the skeleton written in the benchmark's form, ``64-1234-basic``.

        Raises:
            InputError: the text is not a skeleton; the message says why.
        """
        text = unwrap(text)
        match = _TEXT.fullmatch(text)
        if match is None:
            raise InputError(
                f"a transnas_macro skeleton is {BASE}-MODULES-basic, got {quote(text)}; write it "
                f"like {_EXAMPLE}"
            )
        broken = rule_broken(match[1])
        if broken:
            raise InputError(f"transnas_macro, {quote(text)} is no skeleton: {broken}")
        return TransnasMacroGenotype(match[1])

    def build(
        self,
        genotype: TransnasMacroGenotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> nn.Module:
        """Return the network; ``macro`` as in :class:`TransnasMacro`."""
        sizes = checked_sizes(input_shape, num_classes, macro)
        blocks = blocks_of(genotype.modules, input_shape, sizes)
        return TransnasMacroNetwork(blocks, sizes, input_shape, num_classes)

    def droppable(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return the convolutions of all blocks, which are added to their shortcuts."""
        return [one.convolutions for one in network.modules() if isinstance(one, BasicBlock)]

    def parts(
        self,
        genotype: TransnasMacroGenotype,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> Mapping[Part, int]:
        """Return the network's parts: stem, blocks and classifier."""
        sizes = checked_sizes(input_shape, num_classes, macro)
        return macro_parts(genotype.modules, input_shape, num_classes, sizes)

    def parameters(self, genotype: TransnasMacroGenotype) -> Mapping[str, Parameter]:
        """Return the kind of each module."""
        kinds = tuple(KINDS.values())
        return {f"module {n}": (KINDS[m], kinds) for n, m in enumerate(genotype.modules, 1)}

    def graphs(self, genotype: TransnasMacroGenotype) -> tuple[CellGraph, ...]:
        """Return the modules as a chain."""
        return (CellGraph.chain("skeleton", [KINDS[digit] for digit in genotype.modules]),)

    def described(self, genotype: TransnasMacroGenotype) -> Sequence[float]:
        """Return where the skeleton doubles and halves, and how long it stays there."""
        return _described(genotype.modules)


@cache
def _all_modules() -> tuple[str, ...]:
    rows = ("".join(row) for length in LENGTHS for row in itertools.product(KINDS, repeat=length))
    return tuple(row for row in rows if not rule_broken(row))


SPACES.add(
    SpaceRecord(
        name="transnas_macro",
        space=TransnasMacroSpace,
        macro=TransnasMacro,
        source="Duan et al., CVPR 2021, arXiv 2105.11871",
        narrow={"channels": 1, "stem_halvings": 0, "last_relu": True},
    )
)
