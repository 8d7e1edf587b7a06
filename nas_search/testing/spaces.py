"""The laws of a search space, as tests to inherit.

Example of a complete test file::

    class TestMySpace(SearchSpaceConformance):
        space = MySpace()
        macro = {"cells": 3}

``macro`` should give a small network: every example builds one.
"""

# ruff: noqa: D102  (a test's name says what it checks)

from __future__ import annotations

import random
import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nas_search.core.errors import InputError
from nas_search.costs import At
from nas_search.costs.peak_memory import peak_elements, peak_memory
from nas_search.costs.trace import trace
from nas_search.scoring import initialize
from nas_search.scoring.pool import ModulePool
from nas_search.spaces.base import SearchSpace, builds_stacked
from nas_search.spaces.costs import count

_seeds = st.integers(0, 2**32 - 1)


def _law(examples: int) -> settings:
    # The same examples in every run, so results are reproducible. One test body runs for several
    # spaces, which differing_executors warns about.
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.differing_executors],
    )


class SearchSpaceConformance:
    """The laws of every search space; inherit it and set :attr:`space`.

    Attributes:
        space: the space under test.
        macro: sizes of a small skeleton.
        input_shape: (channels, height, width) of the networks' images.
        num_classes: number of classes.
        symmetric: whether g is a neighbor of each of its neighbors, for sampled g.
        fixed_shapes: whether a module has the same shape in all networks; false if its width
            depends on the rest of the cell.
    """

    space: ClassVar[SearchSpace[Any]]
    macro: ClassVar[Mapping[str, Any]] = {}
    input_shape: ClassVar[tuple[int, int, int]] = (3, 9, 12)
    num_classes: ClassVar[int] = 4
    symmetric: ClassVar[bool] = True
    fixed_shapes: ClassVar[bool] = True

    def genes(self, genotype: Any) -> Sequence[Hashable]:
        """Return the genes that crossover inherits; by default the words of the text form."""
        return re.findall(r"\w+", str(genotype))

    @_law(30)
    @given(_seeds)
    def test_parameters_name_what_was_chosen_from_the_same_names_everywhere(
        self, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        first, second = (self.space.parameters(self.space.sample(rng)) for _ in range(2))
        for place, (name, names) in first.items():
            assert name in names and len(set(names)) == len(names)
            assert second.get(place, (name, names))[1] == names

    @_law(30)
    @given(_seeds)
    def test_text_form_and_parse_are_inverse(self, seed: int) -> None:
        genotype = self.space.sample(np.random.default_rng(seed))
        again = self.space.parse(str(genotype))
        assert again == genotype
        assert hash(again) == hash(genotype)
        assert self.space.parse(f"\n  {genotype} \n") == genotype

    @pytest.mark.parametrize("text", ["", "?", "(", "none", "|", "Genotype()", "\0", "a" * 10**5])
    def test_malformed_text_is_refused_in_one_line(self, text: str) -> None:
        with pytest.raises(InputError) as caught:
            self.space.parse(text)
        assert "\n" not in str(caught.value)
        assert 10 < len(str(caught.value)) < 500

    @_law(30)
    @given(_seeds)
    def test_mutation_is_another_valid_neighbor(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        genotype = self.space.sample(rng)
        neighbors = set(self.space.neighbors(genotype))
        for _ in range(5):
            child = self.space.mutate(genotype, rng)
            assert child != genotype
            assert child in neighbors
            assert self.space.parse(str(child)) == child

    @_law(5)
    @given(_seeds)
    def test_neighbors_are_different_and_symmetric(self, seed: int) -> None:
        genotype = self.space.sample(np.random.default_rng(seed))
        neighbors = list(self.space.neighbors(genotype))
        assert neighbors
        assert len(set(neighbors)) == len(neighbors)
        assert genotype not in neighbors
        if self.symmetric:
            for neighbor in neighbors[:: max(1, len(neighbors) // 20)]:
                assert genotype in set(self.space.neighbors(neighbor))

    def test_mutation_reaches_every_neighbor(self) -> None:
        rng = np.random.default_rng(0)
        genotype = self.space.sample(rng)
        missing = set(self.space.neighbors(genotype))
        for _ in range(30 * len(missing)):
            missing.discard(self.space.mutate(genotype, rng))
        assert not missing

    @_law(30)
    @given(_seeds)
    def test_crossover_inherits_every_gene(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        first, second = self.space.sample(rng), self.space.sample(rng)
        child = self.space.crossover(first, second, rng)
        genes = zip(self.genes(child), self.genes(first), self.genes(second), strict=True)
        assert all(gene in (a, b) for gene, a, b in genes)
        assert self.space.parse(str(child)) == child
        assert self.space.crossover(first, first, rng) == first

    def test_crossover_mixes_the_parents(self) -> None:
        rng = np.random.default_rng(0)
        mixed = 0
        for _ in range(20):  # in a small space, two samples may be alike
            first, second = self.space.sample(rng), self.space.sample(rng)
            children = {self.space.crossover(first, second, rng) for _ in range(50)}
            mixed = max(mixed, len(children - {first, second}))
        assert mixed > 1

    @_law(20)
    @given(_seeds)
    def test_all_randomness_comes_from_the_generator(self, seed: int) -> None:
        def moves() -> list[Any]:
            rng = np.random.default_rng(seed)
            first, second = self.space.sample(rng), self.space.sample(rng)
            return [first, self.space.mutate(first, rng), self.space.crossover(first, second, rng)]

        before = (random.getstate(), str(np.random.get_state()), torch.get_rng_state())  # noqa: NPY002
        reference = moves()
        after = (random.getstate(), str(np.random.get_state()), torch.get_rng_state())  # noqa: NPY002
        assert before[:2] == after[:2]
        assert torch.equal(before[2], after[2])
        random.seed(1)
        torch.manual_seed(1)
        assert moves() == reference

    def test_samples_differ(self) -> None:
        rng = np.random.default_rng(0)
        samples = {self.space.sample(rng) for _ in range(50)}
        assert len(samples) > min(self.space.size, 50) // 4

    @_law(20)
    @given(_seeds)
    def test_canonical_form_depends_on_the_genotype_alone(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        genotype = self.space.sample(rng)
        text = self.space.canonical(genotype)
        assert isinstance(text, str)
        assert text
        neighbor = self.space.mutate(genotype, rng)
        self.space.canonical(neighbor)
        assert self.space.canonical(self.space.parse(str(genotype))) == text
        if self.symmetric:
            back = next(n for n in self.space.neighbors(neighbor) if n == genotype)
            assert self.space.canonical(back) == text

    @_law(8)
    @given(_seeds)
    def test_network_has_the_right_output_and_the_predicted_cost(self, seed: int) -> None:
        genotype = self.space.sample(np.random.default_rng(seed))
        network = self.space.build(genotype, self.input_shape, self.num_classes, **self.macro)
        logits = network(torch.randn(2, *self.input_shape))
        assert logits.shape == (2, self.num_classes)
        assert torch.isfinite(logits).all()
        cost = self.space.cost(genotype, self.input_shape, self.num_classes, **self.macro)
        assert cost == count(network, self.input_shape)

    @_law(3)
    @given(_seeds)
    def test_the_wiring_has_the_memory_of_the_network(self, seed: int) -> None:
        # Where the space says how its parts are wired; an order may be found on one side alone.
        genotype = self.space.sample(np.random.default_rng(seed))
        problem = (genotype, self.input_shape, self.num_classes)
        if self.space.segments(*problem, **self.macro) is not None:
            with torch.device("meta"):
                network = self.space.build(*problem, **self.macro)
            whole = 4 * peak_elements(trace(network, self.input_shape))
            cells = peak_memory(self.space, genotype, At(*problem[1:], self.macro))
            assert 0.8 * whole <= cells <= 1.25 * whole

    @_law(8)
    @given(_seeds)
    def test_modules_are_named_by_position_and_operation(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        genotype = self.space.sample(rng)
        shapes: dict[str, torch.Size] = {}
        shared = 0
        for each in (genotype, self.space.mutate(genotype, rng)):
            with torch.device("meta"):
                network = self.space.build(each, self.input_shape, self.num_classes, **self.macro)
            for name, parameter in network.named_parameters():
                assert parameter.is_meta
                shared += name in shapes
                shape = shapes.setdefault(name, parameter.shape)
                assert len(shape) == len(parameter.shape)
                assert shape == parameter.shape or not self.fixed_shapes, name
        assert shared  # at least the skeleton is the same

    @_law(5)
    @given(_seeds)
    def test_stacked_candidates_compute_the_same_as_alone(self, seed: int) -> None:
        if not builds_stacked(self.space):
            pytest.skip("the space builds networks one at a time")
        rng = np.random.default_rng(seed)
        genotypes = [self.space.sample(rng) for _ in range(4)]
        genotypes += [self.space.mutate(genotypes[0], rng), genotypes[0]]
        groups: dict[Hashable, list[Any]] = {}
        for genotype in genotypes:
            groups.setdefault(self.space.skeleton(genotype), []).append(genotype)
        problem = (self.input_shape, self.num_classes)
        images = torch.randn(2, *self.input_shape, generator=torch.Generator().manual_seed(0))
        pool = ModulePool("cpu", 0, "default", 0)
        for group in groups.values():
            together = self.space.build_stacked(group, pool, *problem, **self.macro).eval()
            logits = together(images).unflatten(0, (len(group), -1))
            names: set[str] = set()
            for genotype, stacked in zip(group, logits, strict=True):
                alone = initialize(self.space.build(genotype, *problem, **self.macro), 0).eval()
                torch.testing.assert_close(stacked, alone(images), rtol=1e-4, atol=1e-5)
                names |= {name for name, _ in alone.named_parameters()}
            assert {name for name, _ in together.named_parameters()} <= names

    @_law(15)
    @given(_seeds)
    def test_graphs_are_in_topological_order(self, seed: int) -> None:
        graphs = self.space.graphs(self.space.sample(np.random.default_rng(seed)))
        assert graphs
        assert len({graph.name for graph in graphs}) == len(graphs)
        for graph in graphs:
            position = {node: i for i, node in enumerate(graph.nodes)}
            assert len(position) == len(graph.nodes)
            assert graph.nodes[: len(graph.inputs)] == graph.inputs
            assert graph.nodes[-1] == graph.output
            for edge in graph.edges:
                assert position[edge.source] < position[edge.target]
                assert edge.label != "none"

    def test_impossible_networks_are_refused(self) -> None:
        genotype = self.space.sample(np.random.default_rng(0))
        channels, _, width = self.input_shape
        for make in (self.space.build, self.space.cost):
            with pytest.raises(InputError, match="too small"):
                make(genotype, (channels, 1, 1), self.num_classes, **self.macro)
            with pytest.raises(InputError, match="num_classes"):
                make(genotype, self.input_shape, 1, **self.macro)
            with pytest.raises(InputError, match="height"):
                make(genotype, (channels, 0, width), self.num_classes, **self.macro)
            with pytest.raises(InputError, match="no_such_size"):
                make(genotype, self.input_shape, self.num_classes, no_such_size=1)
