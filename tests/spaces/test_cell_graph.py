"""The certificate against brute force: the least relabeling of all permutations."""

import itertools
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from nas_search.spaces.cell_graph import Expression

_laws = settings(max_examples=150, deadline=None, derandomize=True, database=None)

Instances = list[tuple[str, tuple[int, ...]]]
Cell = tuple[Instances, list[tuple[int, ...]]]


@st.composite
def cells(draw: st.DrawFn) -> Cell:
    """Few labels and few inputs, so that symmetric and equal cells are common."""
    size = draw(st.integers(0, 5))
    instances = []
    for i in range(size):
        terms = draw(st.lists(st.integers(-2, i - 1), min_size=1, max_size=2))
        instances.append((draw(st.sampled_from("pq")), tuple(terms)))
    outputs = draw(
        st.lists(st.lists(st.integers(-2, size - 1), max_size=2).map(tuple), min_size=1, max_size=3)
    )
    return instances, outputs


def certificate(cell: Cell) -> str:
    instances, outputs = cell
    expression = Expression()
    for label, terms in instances:
        expression.apply(label, terms)
    return expression.certificate(outputs)


def brute_force(cell: Cell) -> object:
    instances, outputs = cell
    live: set[int] = set()
    while True:
        reached = {t for terms in outputs for t in terms if t >= 0}
        reached |= {t for i in live for t in instances[i][1] if t >= 0}
        if reached <= live:
            break
        live |= reached
    best = None
    for permutation in itertools.permutations(range(len(live))):
        place = dict(zip(sorted(live), permutation, strict=True))
        rows = sorted(
            (place[i], instances[i][0], sorted(place.get(t, t) for t in instances[i][1]))
            for i in live
        )
        candidate = (rows, sorted(sorted(place.get(t, t) for t in terms) for terms in outputs))
        if best is None or candidate < best:
            best = candidate
    return best


def relabeled(cell: Cell, rng: random.Random) -> Cell:
    """Renumber the instances along another topological order, shuffle every multiset."""
    instances, outputs = cell
    place: dict[int, int] = {}
    shuffled: list[tuple[str, tuple[int, ...]]] = []
    while len(place) < len(instances):
        ready = [
            i
            for i, (_, terms) in enumerate(instances)
            if i not in place and all(t < 0 or t in place for t in terms)
        ]
        chosen = rng.choice(ready)
        label, terms = instances[chosen]
        new = [place.get(t, t) for t in terms]
        rng.shuffle(new)
        place[chosen] = len(shuffled)
        shuffled.append((label, tuple(new)))
    new_outputs = [tuple(place.get(t, t) for t in terms) for terms in outputs]
    rng.shuffle(new_outputs)
    return shuffled, new_outputs


@_laws
@given(cells(), st.randoms(use_true_random=False))
def test_relabeling_keeps_the_certificate(cell: Cell, rng: random.Random) -> None:
    assert certificate(relabeled(cell, rng)) == certificate(cell)


def test_certificates_are_equal_exactly_if_brute_force_finds_an_isomorphism() -> None:
    rng = random.Random(0)
    by_certificate: dict[str, set[str]] = {}
    by_brute_force: dict[str, set[str]] = {}
    for _ in range(3000):
        size = rng.randint(1, 5)
        instances = [
            (rng.choice("pq"), tuple(rng.randint(-1, i - 1) for _ in range(rng.randint(1, 2))))
            for i in range(size)
        ]
        outputs = [tuple(rng.randint(-1, size - 1) for _ in range(2)) for _ in range(2)]
        cell = (instances, outputs)
        ours, exact = certificate(cell), repr(brute_force(cell))
        by_certificate.setdefault(ours, set()).add(exact)
        by_brute_force.setdefault(exact, set()).add(ours)
    assert len(by_certificate) < 2500  # equal pairs did occur
    assert all(len(exact) == 1 for exact in by_certificate.values())
    assert all(len(ours) == 1 for ours in by_brute_force.values())


@_laws
@given(cells())
def test_parts_that_cannot_reach_the_output_do_not_count(cell: Cell) -> None:
    instances, outputs = cell
    dead = [("p", (-1,)), ("q", (len(instances), *range(len(instances))))]
    assert certificate((instances + dead, outputs)) == certificate(cell)


def test_shared_and_repeated_expressions_differ() -> None:
    shared = certificate(([("p", (-1,)), ("q", (0, 0))], [(1,)]))
    repeated = certificate(([("p", (-1,)), ("p", (-1,)), ("q", (0, 1))], [(2,)]))
    assert shared != repeated


def test_crossed_users_differ_where_colors_alone_are_equal() -> None:
    # Two pairs of equal operations; either each output adds the two of one pair, or one of each.
    pairs: Instances = [("p", (-1,)), ("p", (-1,)), ("q", (0,)), ("q", (1,))]
    straight = certificate((pairs, [(0, 2), (1, 3)]))
    crossed = certificate((pairs, [(0, 3), (1, 2)]))
    assert straight != crossed


def ring(start: int, length: int) -> list[tuple[int, ...]]:
    """Output sums that tie ``length`` instances into a ring: each is in two sums of two."""
    return [(start + i, start + (i + 1) % length) for i in range(length)]


def test_ring_of_six_differs_from_two_rings_of_three() -> None:
    # Color refinement cannot split either: every instance looks like every other one.
    six: Instances = [("p", (-1,))] * 6
    assert certificate((six, ring(0, 6))) != certificate((six, ring(0, 3) + ring(3, 3)))


@_laws
@given(st.randoms(use_true_random=False))
def test_refined_classes_may_contain_different_instances(rng: random.Random) -> None:
    # A ring of three beside one of four: one class, two kinds of instances. The certificate does
    # not depend on the numbering only if all choices are compared.
    cell: Cell = ([("p", (-1,))] * 7, ring(0, 3) + ring(3, 4))
    assert certificate(relabeled(cell, rng)) == certificate(cell)


def test_interchangeable_twins_give_one_leaf() -> None:
    # 20! leaves would never end.
    text = certificate(([("p", (-1,))] * 20, [tuple(range(20))]))
    assert text.count("p(a)") == 20


def test_zero_stays_zero() -> None:
    expression = Expression()
    assert expression.apply("p", ()) == ()
    assert expression.certificate([()]) == Expression().certificate([()])


def test_used_inputs_are_those_that_reach_the_output() -> None:
    expression = Expression()
    first = expression.apply("p", Expression.cell_input(0))
    expression.apply("p", Expression.cell_input(1))
    assert expression.used_inputs([first]) == {0}
    assert expression.used_inputs([first, Expression.cell_input(1)]) == {0, 1}
    assert expression.used_inputs([()]) == set()
