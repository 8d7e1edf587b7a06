"""The layered layout: slots, order and rows."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_search.report.layout import arrange, node_depths, place_rows, separate


def test_nodes_are_deeper_than_their_inputs_and_the_output_is_deepest() -> None:
    # Node 3 has no inputs but is not a cell input, so it comes after those; node 4 is the output.
    assert node_depths(5, [(0, 2), (2, 4), (1, 4)], [0, 1], 4) == [0, 0, 1, 1, 2]
    assert node_depths(3, [], [0], 2) == [0, 1, 2]


def test_edge_has_one_item_per_column_that_it_passes() -> None:
    layout = arrange(3, [(0, 1), (1, 2), (0, 2)], [0], 2)
    column = {item: c for c, items in enumerate(layout.columns) for item in items}
    for chain, label in zip(layout.chains, layout.labels, strict=True):
        assert [column[b] - column[a] for a, b in pairwise(chain)] == [1] * (len(chain) - 1)
        assert label == chain[-2]


def test_avoidable_crossings_are_removed() -> None:
    # Two inputs whose edges cross if the nodes keep their given order.
    layout = arrange(5, [(0, 3), (1, 2), (2, 4), (3, 4)], [0, 1], 4)
    first, _, second, _, _ = layout.columns
    assert (first == (0, 1)) == (second == (3, 2))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-100, 100), st.floats(0, 30)),
        min_size=1,
        max_size=12,
    )
)
def test_separate_keeps_distances_and_is_idempotent(
    items: list[tuple[float, float]],
) -> None:
    wanted = [w for w, _ in items]
    steps = [s for _, s in items[1:]]
    values = separate(wanted, steps)
    for (a, b), step in zip(pairwise(values), steps, strict=True):
        assert b - a >= step - 1e-6
    assert separate(values, steps) == pytest.approx(values)
    assert sum(values) == pytest.approx(sum(wanted), abs=1e-6)  # a least-squares fit keeps the mean


def test_line_with_room_is_straight() -> None:
    layout = arrange(3, [(0, 1), (1, 2), (0, 2)], [0], 2)
    items = sum(len(column) for column in layout.columns)
    y = place_rows(layout, [20.0] * items, 5.0, 8.0)
    long = layout.chains[2][1:-1]
    assert max(y[i] for i in long) - min(y[i] for i in long) < 1.0
