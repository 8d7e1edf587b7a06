"""The vision transformer of AutoFormer, with relative positions of keys and values.

A layer with h heads has queries, keys and values of 64 h channels, whatever the embedding's width
(``change_qkv`` of the authors' configurations), so that heads change its size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.layers.initial_weights import Distribution, Normal, Scheme
from nas_search.layers.rule import LAYERS, LayerRule
from nas_search.spaces.arguments import check_int
from nas_search.spaces.autoformer.genotype import Autoformer, Layer

HEAD = 64
"""Channels of a head."""
FARTHEST = 14
"""Rows or columns from which on all distances are one."""


@dataclass(frozen=True)
class AutoformerMacro:
    """Sizes of the skeleton.

    Attributes:
        patch_size: side of the square patches that become tokens, in pixels; divides height and
            width of the images.
    """

    patch_size: int = 16

    def __post_init__(self) -> None:
        check_int("patch_size", self.patch_size, 1)


class Table(nn.Module):
    """Rows that are learned, of nothing that comes in: a class token, positions."""

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, width))
        if not self.weight.is_meta:
            nn.init.trunc_normal_(self.weight, std=0.02)

    def forward(self) -> Tensor:
        """Return the rows."""
        return self.weight


def _table_weights(module: Table, scheme: Scheme) -> dict[str, Distribution]:
    """Return N(0, .02^2), the authors', in every scheme: no input is summed over a table's rows."""
    return {"weight": Normal(0.02)}


LAYERS.add(LayerRule(name="table", kinds=(Table,), initial_weights=_table_weights))


class RelativePositions(nn.Module):
    """For every distance of two patches, in rows and in columns, a vector of a head's width.

    Number 0 is the distance to the class token. Heads share the vectors.
    """

    def __init__(self) -> None:
        super().__init__()
        self.vertical = Table(2 * FARTHEST + 2, HEAD)
        self.horizontal = Table(2 * FARTHEST + 2, HEAD)

    def of_keys(self, queries: Tensor, distances: Tensor) -> Tensor:
        """Return queries (n, h, T, 64) times the vectors to all tokens, (n, h, T, T).

        The products with all distances come first: they are few, and pairs of tokens are many.
        """
        parts = [
            F.linear(queries, table()).gather(-1, index.expand(*queries.shape[:2], -1, -1))
            for table, index in zip((self.vertical, self.horizontal), distances, strict=True)
        ]
        return parts[0] + parts[1]

    def of_values(self, shares: Tensor, distances: Tensor) -> Tensor:
        """Return the means, by shares (n, h, T, T), of the vectors to all tokens, (n, h, T, 64)."""
        parts = []
        for table, index in zip((self.vertical, self.horizontal), distances, strict=True):
            weight = table()
            by_distance = shares.new_zeros(*shares.shape[:3], len(weight))
            by_distance = by_distance.scatter_add(-1, index.expand_as(shares), shares)
            parts.append(F.linear(by_distance, weight.t()))
        return parts[0] + parts[1]


@lru_cache(maxsize=16)
def distances(rows: int, columns: int, device: torch.device) -> Tensor:
    """Return the numbers of the distances between tokens, (2, T, T), of rows and of columns.

    T = 1 + rows * columns, the class token first. They are no buffer: networks are made without
    values, and only weights are drawn.
    """
    numbers = []
    lines = (torch.arange(side, device=device) for side in (rows, columns))
    places = torch.meshgrid(*lines, indexing="ij")
    for place in places:
        flat = place.flatten()
        between = (flat[None, :] - flat[:, None]).clamp(-FARTHEST, FARTHEST) + FARTHEST + 1
        numbers.append(F.pad(between, (1, 0, 1, 0)))
    return torch.stack(numbers)


class Attention(nn.Module):
    """Attention of ``heads`` heads among tokens (n, T, width)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * HEAD * heads)
        self.keys = RelativePositions()
        self.values = RelativePositions()
        self.proj = nn.Linear(HEAD * heads, width)

    def forward(self, x: Tensor, distances: Tensor) -> Tensor:
        """Return what every token takes from the others."""
        parts = self.qkv(x).unflatten(-1, (3, self.heads, HEAD))
        queries, keys, values = parts.permute(2, 0, 3, 1, 4).unbind()
        products = queries @ keys.mT + self.keys.of_keys(queries, distances)
        shares = (products * HEAD**-0.5).softmax(-1)
        y = shares @ values + self.values.of_values(shares, distances)
        taken: Tensor = self.proj(y.transpose(1, 2).flatten(2))
        return taken


class Mlp(nn.Sequential):
    """Two linear layers, applied to every token."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


class Block(nn.Module):
    """A layer: attention and MLP, each after a normalization and beside an identity."""

    def __init__(self, width: int, layer: Layer) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, layer.heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, int(width * layer.mlp_ratio))

    def forward(self, x: Tensor, distances: Tensor) -> Tensor:
        """Return the tokens (n, T, width) after the layer."""
        x = x + self.attention(self.norm1(x), distances)
        y: Tensor = x + self.mlp(self.norm2(x))
        return y


class BlockAlone(nn.Module):
    """A layer to be counted: takes its tokens as an image (n, 1, T, width) of one channel."""

    def __init__(self, width: int, layer: Layer, rows: int, columns: int) -> None:
        super().__init__()
        self.block = Block(width, layer)
        self.grid = (rows, columns)

    def forward(self, x: Tensor) -> Tensor:
        """Return the tokens (n, T, width)."""
        y: Tensor = self.block(x.flatten(1, 2), distances(*self.grid, x.device))
        return y


class AutoformerNetwork(nn.Module):
    """The network: patches, class token and positions, layers, mean of the patches, classifier."""

    def __init__(
        self,
        genotype: Autoformer,
        sizes: AutoformerMacro,
        input_shape: tuple[int, int, int],
        num_classes: int,
    ) -> None:
        super().__init__()
        channels, height, width = input_shape
        patch, embed = sizes.patch_size, genotype.embed_dim
        rows, columns = height // patch, width // patch
        self.patches = nn.Conv2d(channels, embed, patch, patch)
        self.class_token = Table(1, embed)
        self.positions = Table(1 + rows * columns, embed)
        self.blocks = nn.ModuleList(Block(embed, layer) for layer in genotype.layers)
        self.norm = nn.LayerNorm(embed)
        self.classifier = nn.Linear(embed, num_classes)
        self.grid = (rows, columns)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (n, num_classes)."""
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token().expand(len(x), 1, -1), x], 1) + self.positions()
        between = distances(*self.grid, x.device)
        for block in self.blocks:
            x = block(x, between)
        logits: Tensor = self.classifier(self.norm(x)[:, 1:].mean(1))
        return logits


def check_patches(input_shape: tuple[int, int, int], sizes: AutoformerMacro) -> None:
    """Raise InputError unless the images can be cut into patches."""
    _, height, width = input_shape
    if height % sizes.patch_size or width % sizes.patch_size:
        fit = [p for p in range(2, min(height, width) // 2 + 1) if not height % p and not width % p]
        raise InputError(
            f"images of {height}x{width} pixels cannot be cut into patches of "
            f"{sizes.patch_size}x{sizes.patch_size}; possible: search_space.patch_size="
            f"{', '.join(map(str, fit)) or 1}"
        )
