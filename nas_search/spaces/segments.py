"""How the parts of a network are wired, cell by cell: enough to know which buffers live at once."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from nas_search.spaces.parts import Part


@dataclass(frozen=True)
class Node:
    """A buffer of a segment and what makes it.

    Attributes:
        part: the module that makes it; None for a sum, a concatenation, or zeros.
        sources: numbers of the buffers that are read: a segment's inputs first, then its nodes.
        elements: elements of the buffer where there is no part; otherwise 0.
    """

    part: Part | None
    sources: tuple[int, ...]
    elements: int = 0


@dataclass(frozen=True)
class Segment:
    """What runs between two points of a network, such as a cell.

    Attributes:
        inputs: elements of each buffer that it is given.
        kept: numbers of the inputs that are read after the segment, too.
        nodes: what it makes, in the order of the network's own calls.
        output: number of the buffer that it hands on.
    """

    inputs: tuple[int, ...]
    kept: frozenset[int]
    nodes: tuple[Node, ...]
    output: int


class Wiring:
    """A segment under construction: every method returns the number of a buffer."""

    def __init__(self, *inputs: int) -> None:
        self._inputs = inputs
        self._nodes: list[Node] = []

    def apply(self, part: Part, source: int) -> int:
        """Run a part."""
        return self._add(Node(part, (source,)))

    def sum(self, terms: list[int], shape: tuple[int, ...]) -> int:
        """Add up, from left to right; one term is itself, none are zeros of ``shape``."""
        if not terms:
            return self._add(Node(None, (), prod(shape)))
        total = terms[0]
        for term in terms[1:]:
            total = self._add(Node(None, (total, term), prod(shape)))
        return total

    def concatenate(self, sources: list[int], shape: tuple[int, ...]) -> int:
        """Concatenate to ``shape``; one source is itself."""
        if len(sources) == 1:
            return sources[0]
        return self._add(Node(None, tuple(sources), prod(shape)))

    def segment(self, output: int, kept: frozenset[int] = frozenset()) -> Segment:
        """Return the segment that hands ``output`` on."""
        return Segment(self._inputs, kept, tuple(self._nodes), output)

    def _add(self, node: Node) -> int:
        self._nodes.append(node)
        return len(self._inputs) + len(self._nodes) - 1


def alone(part: Part) -> Segment:
    """Return the segment of one part."""
    wiring = Wiring(prod(part.input_shape))
    return wiring.segment(wiring.apply(part, 0))
