"""Vision transformers of AutoFormer: depth, width, and heads and MLP by layer."""

from nas_search.spaces.autoformer.space import AutoformerSpace

__all__ = ["AutoformerSpace"]
