"""A text encoder whose layers mix tokens by attention, by a transform or by a convolution.

As specified by Serianni and Kalita (ACL 2023) after Tuli et al. (2022), in the skeleton of ELECTRA:
every layer is mixing, a linear layer, a sum with what came in and a layer norm; then feed-forward,
a sum and a layer norm. The authors' PyTorch file lacks the first linear layer, sum and norm around
a transform; their TensorFlow file, which trained the table, has them.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.layers import linear
from nas_search.layers.initial_weights import Distribution, Normal, Scheme
from nas_search.layers.rule import LAYERS
from nas_search.spaces.arguments import check_int
from nas_search.spaces.autoformer.network import Table

EPSILON = 1e-12
"""Of the layer norms, as in BERT."""


@dataclass(frozen=True)
class FlexibertMacro:
    """Sizes of the skeleton.

    Attributes:
        embedding: width of the tables of tokens and positions; a linear layer leads from there to
            the hidden size, unless they are equal.
    """

    embedding: int = 128

    def __post_init__(self) -> None:
        check_int("embedding", self.embedding, 1)


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        operation: one of :data:`OPERATIONS`.
        heads: that share the hidden size.
        feed_forward: width of the feed-forward's hidden layers.
        stack: number of these hidden layers, 1 or more.
    """

    operation: str
    heads: int
    feed_forward: int
    stack: int


class Tokens(nn.Linear):
    """The table of tokens, (embedding, vocabulary).

    Takes (n, T, vocabulary), one-hot or a mixture, or int64 tokens (n, T).
    """

    def __init__(self, vocabulary: int, embedding: int) -> None:
        super().__init__(vocabulary, embedding, bias=False)
        if not self.weight.is_meta:
            nn.init.normal_(self.weight, std=0.02)

    def forward(self, input: Tensor) -> Tensor:
        """Return the embeddings (n, T, embedding)."""
        if not input.is_floating_point():
            return F.embedding(input, self.weight.t())
        return super().forward(input)


def _token_weights(module: Tokens, scheme: Scheme) -> dict[str, Distribution]:
    """Return N(0, .02^2), BERT's, in every scheme: nothing is summed over a table's rows."""
    return {"weight": Normal(0.02)}


LAYERS.add(
    replace(
        linear.RULE,
        name="tokens",
        kinds=(Tokens,),
        functions=(),
        initial_weights=_token_weights,
    )
)


def attended(queries: Tensor, keys: Tensor, values: Tensor, heads: int) -> Tensor:
    """Return what attention of some heads takes from values (n, T, width), all of one shape."""
    q, k, v = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (queries, keys, values))
    shares = (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1)
    return (shares @ v).transpose(1, 2).flatten(2)


class Attention(nn.Module):
    """Scaled dot products of queries and keys (SDP)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return what every token (n, T, width) takes from the others."""
        y = attended(self.query(x), self.key(x), self.value(x), self.heads)
        taken: Tensor = self.out(y)
        return taken


class WeightedAttention(Attention):
    """Queries and keys are multiplied with a matrix between them (WMA)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.weight = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return what every token (n, T, width) takes from the others."""
        queries = self.weight(self.query(x))
        taken: Tensor = self.out(attended(queries, self.key(x), self.value(x), self.heads))
        return taken


def cosines(size: int, like: Tensor) -> Tensor:
    """Return the matrix of the discrete cosine transform II: 2 cos(pi (2j + 1) i / 2N)."""
    numbers = torch.arange(size, dtype=like.dtype, device=like.device)
    return 2 * torch.cos(numbers[:, None] * (2 * numbers + 1) * (math.pi / (2 * size)))


def cosine_transform(x: Tensor) -> Tensor:
    """Return the transform of matrices (..., T, d) along both axes, not normalized."""
    rows, columns = x.shape[-2:]
    return cosines(rows, x) @ x @ cosines(columns, x).mT


def angles(size: int, like: Tensor) -> Tensor:
    """Return 2 pi i j / N."""
    numbers = torch.arange(size, device=like.device)
    products = (numbers[:, None] * numbers) % size  # exact, where angles of many turns are not
    return products.to(like.dtype) * (2 * math.pi / size)


def fourier_transform(x: Tensor) -> Tensor:
    """Return the real part of the transform of matrices (..., T, d) along both axes."""
    rows, columns = (angles(size, x) for size in x.shape[-2:])
    return rows.cos() @ x @ columns.cos() - rows.sin() @ x @ columns.sin()


class Transform(nn.Module):
    """A transform of every head without weights, over positions and channels, as in FNet."""

    def __init__(self, width: int, heads: int, transform: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.heads = heads
        self.transform = transform
        self.input = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the transformed tokens (n, T, width)."""
        parts = self.input(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        mixed: Tensor = self.out(self.transform(parts).transpose(1, 2).flatten(2))
        return mixed


class SpanConvolution(nn.Module):
    """Half of the heads attend, the others are span-based dynamic convolutions (ConvBERT).

    A dynamic convolution draws its kernel, one per head and position, from the query times what a
    separable convolution sees around it.
    """

    def __init__(self, width: int, heads: int, kernel: int) -> None:
        super().__init__()
        self.heads = max(heads // 2, 1)
        self.kernel = kernel
        half = self.heads * (width // heads)
        self.query = nn.Linear(width, half)
        self.key = nn.Linear(width, half)
        self.value = nn.Linear(width, half)
        self.depthwise = nn.Conv1d(
            width, width, kernel, padding=kernel // 2, groups=width, bias=False
        )
        self.pointwise = nn.Linear(width, half)
        self.kernels = nn.Linear(half, self.heads * kernel)
        self.convolved = nn.Linear(width, half)
        self.out = nn.Linear(2 * half, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return what every token (n, T, width) takes from others and from its neighbors."""
        queries = self.query(x)
        taken = attended(queries, self.key(x), self.value(x), self.heads)
        spans = self.pointwise(self.depthwise(x.transpose(1, 2)).transpose(1, 2))
        kernels = self.kernels(spans * queries).unflatten(-1, (self.heads, self.kernel)).softmax(-1)
        around = self.kernel // 2
        values = F.pad(self.convolved(x), (0, 0, around, around)).unfold(1, self.kernel, 1)
        values = values.unflatten(2, (self.heads, -1))  # (n, T, heads, width of a head, kernel)
        convolved = (values @ kernels[..., None]).flatten(2)
        mixed: Tensor = self.out(torch.cat([taken, convolved], -1))
        return mixed


def _fourier(width: int, heads: int) -> nn.Module:
    return Transform(width, heads, fourier_transform)


def _cosine(width: int, heads: int) -> nn.Module:
    return Transform(width, heads, cosine_transform)


OPERATIONS: Mapping[str, Callable[[int, int], nn.Module]] = {
    "sa_sdp": Attention,
    "sa_wma": WeightedAttention,
    "lt_dft": _fourier,
    "lt_dct": _cosine,
}
"""The ways to mix tokens that have no size; ``dsc_K`` is the convolution of kernel K."""


def mixing(width: int, operation: str, heads: int) -> nn.Module:
    """Return the module of an operation."""
    if operation in OPERATIONS:
        return OPERATIONS[operation](width, heads)
    return SpanConvolution(width, heads, int(operation.removeprefix("dsc_")))


def feed_forward(width: int, hidden: int, stack: int) -> nn.Sequential:
    """Return one or more hidden layers, applied to every token."""
    modules: OrderedDict[str, nn.Module] = OrderedDict(into=nn.Linear(width, hidden))
    modules["gelu"] = nn.GELU()
    for number in range(1, stack):
        modules[f"hidden{number}"] = nn.Linear(hidden, hidden)
        modules[f"gelu{number}"] = nn.GELU()
    modules["back"] = nn.Linear(hidden, width)
    return nn.Sequential(modules)


class Block(nn.Module):
    """A layer of the encoder on tokens (n, T, width)."""

    def __init__(self, width: int, layer: Layer) -> None:
        super().__init__()
        self.operation = layer.operation
        self.add_module(layer.operation, mixing(width, layer.operation, layer.heads))
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.feed_forward = feed_forward(width, layer.feed_forward, layer.stack)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)

    @property
    def branches(self) -> tuple[nn.Module, nn.Module]:
        """Mixing and feed-forward."""
        return self.get_submodule(self.operation), self.feed_forward

    def forward(self, x: Tensor) -> Tensor:
        """Return the tokens after the layer."""
        mix, feed = self.branches
        x = self.norm1(x + mix(x))
        y: Tensor = self.norm2(x + feed(x))
        return y


class BlockAlone(nn.Module):
    """A layer to be counted: takes its tokens as an image (n, 1, T, width) of one channel."""

    def __init__(self, width: int, layer: Layer) -> None:
        super().__init__()
        self.block = Block(width, layer)

    def forward(self, x: Tensor) -> Tensor:
        """Return the tokens (n, T, width)."""
        y: Tensor = self.block(x.flatten(1, 2))
        return y


class FlexibertNetwork(nn.Module):
    """Tokens, positions and a class token, layers, and a classifier of the class token.

    Args:
        width: the hidden size.
        layers: first to last.
        sizes: of the skeleton.
        input_shape: (vocabulary, rows, columns): rows x columns positions, each one-hot.
        num_classes: number of logits.
    """

    def __init__(
        self,
        width: int,
        layers: tuple[Layer, ...],
        sizes: FlexibertMacro,
        input_shape: tuple[int, int, int],
        num_classes: int,
    ) -> None:
        super().__init__()
        vocabulary, rows, columns = input_shape
        self.tokens = Tokens(vocabulary, sizes.embedding)
        self.class_token = Table(1, sizes.embedding)
        self.positions = Table(1 + rows * columns, sizes.embedding)
        self.norm = nn.LayerNorm(sizes.embedding, eps=EPSILON)
        equal = sizes.embedding == width
        self.project = nn.Identity() if equal else nn.Linear(sizes.embedding, width)
        self.blocks = nn.ModuleList(Block(width, layer) for layer in layers)
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of one-hot (n, V, rows, columns) or int64 tokens (n, T)."""
        x = self.tokens(x.flatten(2).transpose(1, 2) if x.is_floating_point() else x)
        x = torch.cat([self.class_token().expand(len(x), 1, -1), x], 1) + self.positions()
        x = self.project(self.norm(x))
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.classifier(x[:, 0])
        return logits
