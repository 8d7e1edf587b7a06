"""The three search spaces of AutoFormer, and others of the same kind.

Source: Chen et al., ICCV 2021, arXiv 2107.00651.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from nas_search.core.errors import InputError
from nas_search.spaces.arguments import check_problem, read_macro
from nas_search.spaces.autoformer.genotype import Autoformer, Layer, read
from nas_search.spaces.autoformer.network import (
    AutoformerMacro,
    AutoformerNetwork,
    Block,
    BlockAlone,
    check_patches,
)
from nas_search.spaces.base import (
    SPACES,
    CellGraph,
    Parameter,
    SearchSpace,
    SpaceRecord,
)
from nas_search.spaces.parts import Part


@dataclass(frozen=True)
class Ranges:
    """What can be chosen: the values of each dimension, in ascending order."""

    depth: tuple[int, ...]
    embed_dim: tuple[int, ...]
    mlp_ratio: tuple[float, ...]
    num_heads: tuple[int, ...]


SUPERNETS: Mapping[str, Ranges] = {
    "tiny": Ranges((12, 13, 14), (192, 216, 240), (3.5, 4.0), (3, 4)),
    "small": Ranges((12, 13, 14), (320, 384, 448), (3.0, 3.5, 4.0), (5, 6, 7)),
    "base": Ranges((14, 15, 16), (528, 576, 624), (3.0, 3.5, 4.0), (8, 9, 10)),
}
"""As published."""


@dataclass(frozen=True)
class AutoformerOptions:
    """Options of the space.

    Attributes:
        supernet: tiny, small or base, whose values are taken where those below are None.
        depth: numbers of layers.
        embed_dim: widths of the tokens.
        mlp_ratio: widths of a layer's MLP in units of the embedding's.
        num_heads: numbers of heads of a layer, of 64 channels each.
    """

    supernet: str = "tiny"
    depth: list[int] | None = None
    embed_dim: list[int] | None = None
    mlp_ratio: list[float] | None = None
    num_heads: list[int] | None = None


class AutoformerSpace(SearchSpace[Autoformer]):
    """Vision transformers; arguments as in :class:`AutoformerOptions`.

    Raises:
        InputError: the super-network is unknown, or a list of values is empty, repeats one, or
            holds one that is not above zero; or there is one architecture only.
    """

    name = "autoformer"

    def __init__(
        self,
        supernet: str = "tiny",
        depth: Sequence[int] | None = None,
        embed_dim: Sequence[int] | None = None,
        mlp_ratio: Sequence[float] | None = None,
        num_heads: Sequence[int] | None = None,
    ) -> None:
        if supernet not in SUPERNETS:
            raise InputError(
                f"unknown supernet '{supernet}' of autoformer; possible: {', '.join(SUPERNETS)}"
            )
        given = {
            "depth": depth,
            "embed_dim": embed_dim,
            "mlp_ratio": mlp_ratio,
            "num_heads": num_heads,
        }
        changed = {name: _values(name, of) for name, of in given.items() if of is not None}
        self.ranges = replace(SUPERNETS[supernet], **changed)
        if self.size < 2:
            raise InputError("autoformer: one architecture is no search; give two values somewhere")
        self.numbers = _numbers(self.ranges)

    @property
    def size(self) -> int:
        """Number of genotypes: widths times the layers' choices to the power of the depth."""
        ranges = self.ranges
        layer: int = len(ranges.mlp_ratio) * len(ranges.num_heads)
        of_layers: int = sum(layer**depth for depth in ranges.depth)
        return len(ranges.embed_dim) * of_layers

    def sample(self, rng: np.random.Generator) -> Autoformer:
        """Return a genotype whose depth and every choice are drawn uniformly, as published.

        Uniformly among all genotypes, nearly all would have the greatest depth.
        """
        depth = _draw(self.ranges.depth, rng)
        layers = tuple(self._layer(rng) for _ in range(depth))
        return Autoformer(_draw(self.ranges.embed_dim, rng), layers)

    def crossover(
        self, first: Autoformer, second: Autoformer, rng: np.random.Generator
    ) -> Autoformer:
        """Return a child with depth, width and every ratio and number of heads of a random parent.

        A layer that one parent lacks is the other's.
        """
        deep, shallow = sorted((first, second), key=lambda parent: -len(parent.layers))
        depth = len((deep if rng.integers(2) else shallow).layers)
        layers = []
        for number in range(depth):
            of = [parent.layers[number] for parent in (deep, shallow)[: 1 + _has(shallow, number)]]
            layers.append(Layer(_draw(of, rng).mlp_ratio, _draw(of, rng).heads))
        return Autoformer(_draw((first, second), rng).embed_dim, tuple(layers))

    def neighbors(self, genotype: Autoformer) -> Iterator[Autoformer]:
        """Yield the genotypes of another width, ratio or number of heads of one layer, or depth.

        Of the depths these are the next ones: the last layers go, or new ones of one kind come.
        """
        ranges, layers = self.ranges, genotype.layers
        for width in ranges.embed_dim:
            if width != genotype.embed_dim:
                yield replace(genotype, embed_dim=width)
        for number, old in enumerate(layers):
            others = [replace(old, mlp_ratio=ratio) for ratio in ranges.mlp_ratio]
            others += [replace(old, heads=heads) for heads in ranges.num_heads]
            for layer in others:
                if layer != old:
                    yield replace(genotype, layers=(*layers[:number], layer, *layers[number + 1 :]))
        at = ranges.depth.index(len(layers))
        if at > 0:
            yield replace(genotype, layers=layers[: ranges.depth[at - 1]])
        if at + 1 < len(ranges.depth):
            more = ranges.depth[at + 1] - len(layers)
            for ratio in ranges.mlp_ratio:
                for heads in ranges.num_heads:
                    yield replace(genotype, layers=(*layers, *[Layer(ratio, heads)] * more))

    def parse(self, text: str) -> Autoformer:
        """Return the genotype written ``embed_dim=192,mlp_ratio=4-3.5-4,num_heads=3-4-3``.

        Raises:
            InputError: the text has another form, or a value that the space does not have.
        """
        genotype = read(text)
        self._check("embed_dim", genotype.embed_dim)
        self._check("depth", len(genotype.layers))
        for layer in genotype.layers:
            self._check("mlp_ratio", layer.mlp_ratio)
            self._check("num_heads", layer.heads)
        return genotype

    def build(
        self,
        genotype: Autoformer,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> nn.Module:
        """Return the network; ``macro`` as in :class:`AutoformerMacro`."""
        sizes = _checked(macro, input_shape, num_classes)
        return AutoformerNetwork(genotype, sizes, input_shape, num_classes)

    def parts(
        self,
        genotype: Autoformer,
        input_shape: tuple[int, int, int],
        num_classes: int,
        **macro: Any,
    ) -> Mapping[Part, int]:
        """Return the layers, and the network without them."""
        sizes = _checked(macro, input_shape, num_classes)
        channels, height, width = input_shape
        shape = (channels, height, width)
        rows, columns = height // sizes.patch_size, width // sizes.patch_size
        embed = genotype.embed_dim
        rest = replace(genotype, layers=())
        parts = Counter({Part(AutoformerNetwork, (rest, sizes, shape, num_classes), shape): 1})
        tokens = (1, 1 + rows * columns, embed)
        for layer in genotype.layers:
            parts[Part(BlockAlone, (embed, layer, rows, columns), tokens)] += 1
        return parts

    def droppable(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return attention and MLP of every layer."""
        blocks = [block for block in network.modules() if isinstance(block, Block)]
        return [branch for block in blocks for branch in (block.attention, block.mlp)]

    def parameters(self, genotype: Autoformer) -> Mapping[str, Parameter]:
        """Return depth and width, and both choices of each layer."""
        chosen: dict[str, tuple[float, Sequence[float]]] = {
            "depth": (len(genotype.layers), self.ranges.depth),
            "embed_dim": (genotype.embed_dim, self.ranges.embed_dim),
        }
        for number, layer in enumerate(genotype.layers, 1):
            chosen[f"mlp_ratio {number}"] = (layer.mlp_ratio, self.ranges.mlp_ratio)
            chosen[f"num_heads {number}"] = (layer.heads, self.ranges.num_heads)
        return {
            name: (f"{value:g}", tuple(f"{one:g}" for one in possible))
            for name, (value, possible) in chosen.items()
        }

    def graphs(self, genotype: Autoformer) -> tuple[CellGraph, ...]:
        """Return the layers as a chain."""
        labels = [f"{layer.heads} heads, mlp x{layer.mlp_ratio:g}" for layer in genotype.layers]
        return (CellGraph.chain("layers", labels),)

    def described(self, genotype: Autoformer) -> Sequence[float]:
        """Return depth, width, sums of ratios and heads, then both by layer, 0 if missing."""
        values = [float(len(genotype.layers)), float(genotype.embed_dim)]
        middle = len(genotype.layers) // 2
        missing = [0.0] * (max(self.ranges.depth) - len(genotype.layers))
        by_layer: list[float] = []
        for of in (
            [layer.mlp_ratio for layer in genotype.layers],
            [float(layer.heads) for layer in genotype.layers],
        ):
            values += [sum(of), sum(of[:middle]), sum(of[middle:])]
            by_layer += [*of, *missing]
        return [*values, *by_layer]

    def _layer(self, rng: np.random.Generator) -> Layer:
        return Layer(_draw(self.ranges.mlp_ratio, rng), _draw(self.ranges.num_heads, rng))

    def _check(self, name: str, value: float) -> None:
        possible = getattr(self.ranges, name)
        if value not in possible:
            raise InputError(
                f"autoformer: {name} {value:g} is not in this space; possible: "
                f"{', '.join(f'{one:g}' for one in possible)} (search_space.{name})"
            )


def _numbers(ranges: Ranges) -> tuple[str, ...]:
    """Return names of sizes of the whole, then of every layer."""
    parts = ("all", "first_half", "second_half")
    names = ["depth", "embed_dim"]
    names += [f"{of}[{part}]" for of in ("mlp_ratio", "num_heads") for part in parts]
    layers = range(1, max(ranges.depth) + 1)
    names += [f"{of}{number}" for of in ("mlp_ratio", "num_heads") for number in layers]
    return tuple(names)


def _checked(
    macro: Mapping[str, Any], input_shape: tuple[int, int, int], num_classes: int
) -> AutoformerMacro:
    sizes = read_macro(AutoformerMacro, macro)
    why = f"a patch is {sizes.patch_size}x{sizes.patch_size}, which"
    check_problem(input_shape, num_classes, max(2, sizes.patch_size), why)
    check_patches(input_shape, sizes)
    return sizes


def _values(name: str, values: Sequence[Any]) -> tuple[Any, ...]:
    found = tuple(sorted(values))
    if not found or found[0] <= 0 or len(set(found)) < len(found):
        raise InputError(
            f"search_space.{name} must be one or more different numbers above 0, got {list(values)}"
        )
    return found


def _draw(values: Sequence[Any], rng: np.random.Generator) -> Any:
    return values[int(rng.integers(len(values)))]


def _has(genotype: Autoformer, number: int) -> bool:
    return number < len(genotype.layers)


SPACES.add(
    SpaceRecord(
        name="autoformer",
        space=AutoformerSpace,
        macro=AutoformerMacro,
        source="Chen et al., ICCV 2021, arXiv 2107.00651",
        options=AutoformerOptions,
        narrow={"patch_size": 1},
    )
)
