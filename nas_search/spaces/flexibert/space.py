"""The language models of FlexiBERT that Serianni and Kalita trained, and others of the kind.

Sources: Tuli, Dedhia, Tuli and Jha, 2022, arXiv 2205.11656; Serianni and Kalita, ACL 2023, arXiv
2306.00288.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from nas_search.core.errors import InputError
from nas_search.core.guess import did_you_mean
from nas_search.spaces.arguments import check_problem, read_macro
from nas_search.spaces.base import SPACES, CellGraph, SpaceRecord
from nas_search.spaces.flexibert.network import (
    OPERATIONS,
    Block,
    BlockAlone,
    FlexibertMacro,
    FlexibertNetwork,
    Layer,
)
from nas_search.spaces.named import Condition, NamedChoice, NamedChoices, NamedSpace
from nas_search.spaces.parts import Part

PUBLISHED = ("sa_sdp", "sa_wma", "lt_dft", "lt_dct", "dsc_5", "dsc_9")
_CONVOLUTION = re.compile(r"dsc_\d{1,3}", re.ASCII)

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class FlexibertOptions:
    """Options of the space: the values of each choice.

    Attributes:
        layers: numbers of layers.
        hidden: widths of the tokens; the same in all layers.
        operations: ways of a layer to mix tokens: ``sa_sdp`` and ``sa_wma``, attention by scaled
            dot products or with a matrix between; ``lt_dft`` and ``lt_dct``, Fourier and cosine
            transforms; ``dsc_K``, dynamic convolutions of odd kernel K beside attention.
        heads: of a layer; divide all widths.
        feed_forward: widths of a layer's feed-forward.
        stack: numbers of hidden layers in it.
    """

    layers: list[int] = field(default_factory=lambda: [2, 4])
    hidden: list[int] = field(default_factory=lambda: [128, 256])
    operations: list[str] = field(default_factory=lambda: list(PUBLISHED))
    heads: list[int] = field(default_factory=lambda: [2, 4])
    feed_forward: list[int] = field(default_factory=lambda: [512, 1024])
    stack: list[int] = field(default_factory=lambda: [1, 3])


class FlexibertSpace(NamedSpace):
    """Text encoders; arguments as in :class:`FlexibertOptions`.

    A genotype has the choices of the greatest number of layers; those of layers that are not there
    do not count.

    Raises:
        InputError: a list of values is empty, repeats one, or holds an impossible one.
    """

    name = "flexibert"

    def __init__(
        self,
        layers: Sequence[int] = (2, 4),
        hidden: Sequence[int] = (128, 256),
        operations: Sequence[str] = PUBLISHED,
        heads: Sequence[int] = (2, 4),
        feed_forward: Sequence[int] = (512, 1024),
        stack: Sequence[int] = (1, 3),
    ) -> None:
        numbers = {"layers": layers, "hidden": hidden, "heads": heads}
        numbers |= {"feed_forward": feed_forward, "stack": stack}
        for name, values in {**numbers, "operations": operations}.items():
            _check(name, values, 0 if name == "operations" else 1)
        for operation in operations:
            _check_operation(operation)
        for width in hidden:
            for count in heads:
                if width % count:
                    raise InputError(
                        f"flexibert: {count} heads do not divide a hidden size of {width}; change "
                        "search_space.heads or search_space.hidden"
                    )
        choices = [
            NamedChoice("hidden", tuple(sorted(hidden))),
            NamedChoice("layers", tuple(sorted(layers))),
        ]
        for number in range(1, max(layers) + 1):
            there = Condition("layers", ">=", number) if number > min(layers) else None
            choices += [
                NamedChoice(f"op{number}", tuple(operations), there),
                NamedChoice(f"heads{number}", tuple(sorted(heads)), there),
                NamedChoice(f"ff{number}", tuple(sorted(feed_forward)), there),
                NamedChoice(f"stack{number}", tuple(sorted(stack)), there),
            ]
        super().__init__(choices)
        if self.size < 2:
            raise InputError("flexibert: one architecture is no search; give two values somewhere")

    def specified(self, genotype: NamedChoices) -> tuple[int, tuple[Layer, ...]]:
        """Return the hidden size and the layers of a genotype."""
        values: dict[str, Any] = dict(self.values(genotype))
        layers = tuple(
            Layer(*(values[f"{name}{number}"] for name in ("op", "heads", "ff", "stack")))
            for number in range(1, values["layers"] + 1)
        )
        return values["hidden"], layers

    def of(self, hidden: int, layers: Sequence[Layer]) -> NamedChoices:
        """Return the genotype of a hidden size and of layers.

        Raises:
            InputError: the space does not have them.
        """
        texts = [f"hidden={hidden}", f"layers={len(layers)}"]
        for number, layer in enumerate(layers, 1):
            texts += [f"op{number}={layer.operation}", f"heads{number}={layer.heads}"]
            texts += [f"ff{number}={layer.feed_forward}", f"stack{number}={layer.stack}"]
        return self.parse(",".join(texts))

    def build(
        self, genotype: NamedChoices, input_shape: Shape, num_classes: int, **macro: Any
    ) -> nn.Module:
        """Return the network; ``macro`` as in :class:`FlexibertMacro`.

        An image (C, H, W) is H * W tokens, row by row, of a vocabulary of C.
        """
        sizes = _checked(macro, input_shape, num_classes)
        return FlexibertNetwork(*self.specified(genotype), sizes, input_shape, num_classes)

    def parts(
        self, genotype: NamedChoices, input_shape: Shape, num_classes: int, **macro: Any
    ) -> Mapping[Part, int]:
        """Return the layers, and the network without them."""
        sizes = _checked(macro, input_shape, num_classes)
        vocabulary, rows, columns = input_shape
        shape = (vocabulary, rows, columns)
        width, layers = self.specified(genotype)
        rest = Part(FlexibertNetwork, (width, (), sizes, shape, num_classes), shape)
        parts = Counter({rest: 1})
        for layer in layers:
            parts[Part(BlockAlone, (width, layer), (1, 1 + rows * columns, width))] += 1
        return parts

    def droppable(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return mixing and feed-forward of every layer."""
        blocks = [block for block in network.modules() if isinstance(block, Block)]
        return [branch for block in blocks for branch in block.branches]

    def graphs(self, genotype: NamedChoices) -> tuple[CellGraph, ...]:
        """Return the layers as a chain."""
        width, layers = self.specified(genotype)
        labels = [
            f"{one.operation}, {one.heads} heads, mlp {one.stack} x {one.feed_forward}"
            for one in layers
        ]
        return (CellGraph.chain(f"hidden {width}", labels),)


def _check(name: str, values: Sequence[Any], least: int) -> None:
    if not values or len(set(values)) < len(values) or (least and min(values) < least):
        raise InputError(
            f"search_space.{name} must be one or more different values"
            f"{' of 1 or more' * bool(least)}, got {list(values)}"
        )


def _check_operation(name: str) -> None:
    kernel = int(name.removeprefix("dsc_")) if _CONVOLUTION.fullmatch(name) else 0
    if name not in OPERATIONS and kernel % 2 == 0:
        raise InputError(
            f"unknown operation '{name}' in search_space.operations"
            f"{did_you_mean(name, PUBLISHED)}; possible: {', '.join(OPERATIONS)}, and dsc_K with "
            "an odd kernel K"
        )


def _checked(
    macro: Mapping[str, Any], input_shape: tuple[int, int, int], num_classes: int
) -> FlexibertMacro:
    sizes = read_macro(FlexibertMacro, macro)
    check_problem(input_shape, num_classes, 1, "")
    if input_shape[1] * input_shape[2] < 2:
        raise InputError(
            "a text of one token is too small for flexibert, which mixes tokens; use 2 or more"
        )
    return sizes


SPACES.add(
    SpaceRecord(
        name="flexibert",
        space=FlexibertSpace,
        macro=FlexibertMacro,
        source="Tuli et al., 2022, arXiv 2205.11656; Serianni and Kalita, ACL 2023, "
        "arXiv 2306.00288",
        options=FlexibertOptions,
        narrow={"embedding": 1},
    )
)
