"""NATS-Bench size: five widths of a fixed cell network."""

from nas_search.spaces.nats_size.space import NatsSizeGenotype, NatsSizeSpace

__all__ = ["NatsSizeGenotype", "NatsSizeSpace"]
