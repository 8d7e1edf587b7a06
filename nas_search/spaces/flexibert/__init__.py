"""Language models of FlexiBERT: attention, linear transforms and span convolutions by layer."""

from nas_search.spaces.flexibert.space import FlexibertSpace

__all__ = ["FlexibertSpace"]
