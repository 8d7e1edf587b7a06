"""The interface of a search space for evolution and scoring."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from torch import nn

from nas_search.core.registry import Registry
from nas_search.spaces.costs import Cost
from nas_search.spaces.operation_graph import CellKind, OperationGraph
from nas_search.spaces.parts import Part, total_cost
from nas_search.spaces.segments import Segment
from nas_search.stacked.network import Pool, StackedNetwork

G = TypeVar("G", bound=Hashable)


Parameter = tuple[str, tuple[str, ...]]
"""What was chosen at a place of a genotype, and the names that it was chosen from."""


@dataclass(frozen=True)
class CellEdge:
    """A labeled edge of a cell's drawing, from node ``source`` to node ``target``."""

    source: str
    target: str
    label: str


@dataclass(frozen=True)
class CellGraph:
    """A cell as it is drawn: named nodes in topological order, and labeled edges.

    Attributes:
        name: the cell's name, e.g. ``"normal"``.
        inputs: names of the input nodes.
        output: name of the output node.
        nodes: names of all nodes, in topological order, inputs first, output last.
        edges: labeled edges, without zero edges (``none``).
    """

    name: str
    inputs: tuple[str, ...]
    output: str
    nodes: tuple[str, ...]
    edges: tuple[CellEdge, ...]

    @staticmethod
    def chain(name: str, labels: Sequence[str]) -> CellGraph:
        """Return a row of nodes with an edge of each label from one to the next."""
        nodes = tuple(map(str, range(len(labels) + 1)))
        edges = tuple(map(CellEdge, nodes, nodes[1:], labels))
        return CellGraph(name, nodes[:1], nodes[-1], nodes, edges)


class SearchSpace(ABC, Generic[G]):
    """A set of genotypes, the moves between them, and the network of each.

    A genotype is immutable, hashable and cheap; ``str(genotype)`` and :meth:`parse` are inverse.
    All randomness comes from the ``rng`` that is passed in, never from a global generator.
    :class:`nas_search.spaces.choices.ChoiceSpace` is one whose genotype is a row of choices.
    """

    name: str

    cells: tuple[CellKind, ...] = ()
    """The kinds of cells, for features of structure; optional, with :meth:`operation_graphs`."""

    numbers: tuple[str, ...] = ()
    """Names of the features of a space that has no cells, optional, with :meth:`described`."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of genotypes that :meth:`sample` can return."""

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> G:
        """Return a genotype drawn uniformly from the valid ones."""

    @abstractmethod
    def crossover(self, first: G, second: G, rng: np.random.Generator) -> G:
        """Return a valid child; each gene comes from one of the parents."""

    @abstractmethod
    def neighbors(self, genotype: G) -> Iterator[G]:
        """Yield every genotype that :meth:`mutate` can return, each once."""

    def mutate(self, genotype: G, rng: np.random.Generator) -> G:
        """Return a valid genotype one published mutation away, never ``genotype`` itself.

        By default one of its :meth:`neighbors`, drawn uniformly.
        """
        neighbors = list(self.neighbors(genotype))
        return neighbors[int(rng.integers(len(neighbors)))]

    @abstractmethod
    def parse(self, text: str) -> G:
        """Return the genotype written as ``text`` in the published text form.

        Raises:
            InputError: the text is not a valid genotype of this space; the message locates the
                error.
        """

    def canonical(self, genotype: G) -> str:
        """Return a text that two genotypes share exactly if they are the same network.

        Networks are the same up to relabeling of nodes, removal of parts that cannot reach the
        output, and contraction of identities.
        By default every genotype is a network of its own; where that is not so, a network is
        scored once per genotype that stands for it.
        """
        return str(genotype)

    @abstractmethod
    def build(
        self, genotype: G, input_shape: tuple[int, int, int], num_classes: int, **macro: Any
    ) -> nn.Module:
        """Return the network of ``genotype``, from (n, C, H, W) images to (n, num_classes) logits.

        Modules of one operation at one position of the cell have the same name in every network, so
        that weights can be drawn by name; a caller may overwrite all weights drawn here.

        Args:
            genotype: the cell or cells.
            input_shape: (channels, height, width) of one image.
            num_classes: number of classes, 2 or more.
            macro: the skeleton's sizes, by default those of the published full-size network.

        Raises:
            InputError: the images are too small for the skeleton, or a macro parameter is
                impossible.
        """

    def call(
        self, genotype: G, input_shape: tuple[int, int, int], num_classes: int, **macro: Any
    ) -> tuple[Callable[..., nn.Module], tuple[Any, ...]] | None:
        """Return a function and its arguments that give :meth:`build`'s network; optional.

        A trained network's ``model.py`` calls it. None, the default, means that the network is what
        the constructor of its class gives.
        """
        return None

    def check(self, input_shape: tuple[int, int, int], num_classes: int, **macro: Any) -> None:
        """Refuse at once what would be the failure of every candidate; optional.

        Raises:
            InputError: no network of this space can be built so.
        """
        return

    def skeleton(self, genotype: G) -> Hashable:
        """Return a key that is equal for candidates that :meth:`build_stacked` can combine."""
        return None

    def build_stacked(
        self,
        genotypes: Sequence[G],
        pool: Pool,
        input_shape: tuple[int, int, int],
        num_classes: int,
        include_dead_branches: bool = False,
        **macro: Any,
    ) -> StackedNetwork:
        """Return one network that runs all of ``genotypes``; optional.

        It computes the same as the candidates' networks from :meth:`build` with the same weights.
        If it is not defined, or a subclass overrides :meth:`build` without it, candidates are
        scored one at a time.

        Args:
            genotypes: one or more candidates with equal :meth:`skeleton`.
            pool: returns the modules, by their names in the networks of :meth:`build`.
            input_shape: as in :meth:`build`, like ``num_classes``, ``macro`` and the errors.
            include_dead_branches: whether the network must have branches from which no path leads
                to the logits; otherwise they may be left out.
        """
        raise NotImplementedError(f"{self.name} builds networks one at a time")

    def droppable(self, network: nn.Module) -> Sequence[nn.Module]:
        """Return the modules of :meth:`build`'s network whose outputs drop path drops.

        These are the operations of the cells but identities; their outputs are added to others or
        to zero. Without this method, drop path is not available.
        """
        return ()

    def parts(
        self, genotype: G, input_shape: tuple[int, int, int], num_classes: int, **macro: Any
    ) -> Mapping[Part, int]:
        """Return what :meth:`build`'s network is made of, and how often; same arguments and errors.

        Costs that add up (:mod:`nas_search.costs`) are sums over the parts, each of which is built
        and looked at once. By default the network is one part; a space of large networks names
        its operations instead, so that thousands of genotypes can be counted per second.
        """
        channels, height, width = input_shape
        shape = (channels, height, width)  # a list cannot be a key
        sizes = tuple(sorted(macro.items()))
        return {Part(_whole, (self, genotype, shape, num_classes, sizes), shape): 1}

    def segments(
        self, genotype: G, input_shape: tuple[int, int, int], num_classes: int, **macro: Any
    ) -> Sequence[Segment] | None:
        """Return how the parts are wired, one segment per kind; arguments and errors as above.

        Between two segments the network holds what the second one is given, and nothing else.
        None, the default, means that the network is built to see which of its buffers live at once.
        """
        return None

    def cost(
        self, genotype: G, input_shape: tuple[int, int, int], num_classes: int, **macro: Any
    ) -> Cost:
        """Return the size of :meth:`build`'s network: the sum over its :meth:`parts`."""
        return total_cost(self.parts(genotype, input_shape, num_classes, **macro))

    @abstractmethod
    def graphs(self, genotype: G) -> tuple[CellGraph, ...]:
        """Return the cells as graphs to draw."""

    def operation_graphs(self, genotype: G) -> tuple[OperationGraph, ...]:
        """Return one graph per kind in ``cells``, for :mod:`nas_search.features`; optional.

        Genotypes of one :meth:`canonical` form have graphs that differ in the numbering of inner
        nodes alone; a dead genotype has graphs without operations.
        """
        raise NotImplementedError(f"{self.name} names no graphs of operations")

    def parameters(self, genotype: G) -> Mapping[str, Parameter]:
        """Return what was chosen at each place, and from what, by name of the place; optional.

        The names at a place are the same for all genotypes; a place that a genotype does not have
        is left out.
        """
        return {}

    def described(self, genotype: G) -> Sequence[float]:
        """Return the features that ``numbers`` names, equal for genotypes of one canonical form."""
        raise NotImplementedError(f"{self.name} names no features")


def _whole(
    space: SearchSpace[Any],
    genotype: Any,
    input_shape: tuple[int, int, int],
    num_classes: int,
    macro: tuple[tuple[str, Any], ...],
) -> nn.Module:
    """Return the network of a genotype, the only part of itself."""
    return space.build(genotype, input_shape, num_classes, **dict(macro))


def builds_stacked(space: SearchSpace[Any]) -> bool:
    """Whether ``build_stacked`` of ``space`` gives the same networks as ``build``."""
    for kind in type(space).__mro__:
        if kind is SearchSpace:
            return False
        if "build_stacked" in vars(kind):
            return True
        if "build" in vars(kind):
            return False
    return False


@dataclass(frozen=True)
class NoOptions:
    """Options of a space that has none."""


@dataclass(frozen=True)
class SpaceRecord:
    """A registered search space.

    Attributes:
        name: the name in ``search_space=...``.
        space: class of the space.
        macro: dataclass of the skeleton's sizes; the defaults are the published full-size network.
        source: paper that defines the space.
        options: dataclass of the keyword arguments of ``space``.
        narrow: sizes of the narrowest and shortest skeleton, for scores defined on it.
    """

    name: str
    space: type[SearchSpace[Any]]
    macro: type[Any]
    source: str
    options: type[Any] = NoOptions
    narrow: Mapping[str, Any] = field(default_factory=dict)


SPACES: Registry[SpaceRecord] = Registry("search_space", "nas_search.spaces")
