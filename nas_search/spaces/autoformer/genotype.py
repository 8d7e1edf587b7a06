"""A vision transformer as numbers: its width, and MLP ratio and heads of every layer."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nas_search.core.errors import InputError
from nas_search.core.text import quote
from nas_search.spaces.text_form import unwrap

_FORM = re.compile(
    r"embed_dim=(?P<embed>\d{1,6}),mlp_ratio=(?P<ratios>[\d.]{1,8}(-[\d.]{1,8})*),"
    r"num_heads=(?P<heads>\d{1,4}(-\d{1,4})*)",
    re.ASCII,
)
_EXAMPLE = "embed_dim=192,mlp_ratio=4-3.5-4,num_heads=3-4-3"


@dataclass(frozen=True)
class Layer:
    """One layer: the width of its MLP in units of the embedding, and its heads."""

    mlp_ratio: float
    heads: int


@dataclass(frozen=True)
class Autoformer:
    """A genotype; ``str`` gives ``embed_dim=192,mlp_ratio=4-3.5-4,num_heads=3-4-3``.

    Attributes:
        embed_dim: width of the tokens.
        layers: one or more, first to last.
    """

    embed_dim: int
    layers: tuple[Layer, ...]

    def __str__(self) -> str:
        ratios = "-".join(f"{layer.mlp_ratio:g}" for layer in self.layers)
        heads = "-".join(str(layer.heads) for layer in self.layers)
        return f"embed_dim={self.embed_dim},mlp_ratio={ratios},num_heads={heads}"


def read(text: str) -> Autoformer:
    """Return the genotype written as ``text``, whatever numbers it has.

    Raises:
        InputError: the text has another form, or as many heads as ratios are missing.
    """
    found = _FORM.fullmatch(re.sub(r"\s", "", unwrap(text)))
    if found is None:
        raise InputError(
            f"not a vision transformer of autoformer: {quote(text)}; write it like {_EXAMPLE}"
        )
    try:
        ratios = [float(ratio) for ratio in found["ratios"].split("-")]
    except ValueError:
        raise InputError(f"autoformer: an mlp_ratio of {quote(text)} is no number") from None
    heads = [int(count) for count in found["heads"].split("-")]
    if len(ratios) != len(heads):
        raise InputError(
            f"autoformer: {len(ratios)} values of mlp_ratio and {len(heads)} of num_heads; each "
            "layer has one of both"
        )
    layers = tuple(Layer(ratio, count) for ratio, count in zip(ratios, heads, strict=True))
    return Autoformer(int(found["embed"]), layers)
