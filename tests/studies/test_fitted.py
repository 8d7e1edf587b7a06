"""Models that are fitted to trained networks: shared features mean the same, and pages are true."""

from __future__ import annotations

import numpy as np
import pytest

from nas_search.core.errors import InputError
from nas_search.features import graph_features
from nas_search.spaces import SPACES
from studies import fitted
from studies.result_files import RESULTS, read_rows
from studies.shared_features import common_names, shared
from studies.shipped_priors import Trainings
from studies.study_report import DOCS

CELLS = {
    "nasbench201": "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|none~0|none~1|nor_conv_3x3~2|",
    "nasbench101": "ModelSpec(matrix=[[0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0], "
    "[0, 0, 0, 0, 1], [0, 0, 0, 0, 0]], ops=['input', 'conv3x3-bn-relu', 'conv1x1-bn-relu', "
    "'conv3x3-bn-relu', 'output'])",
    "transnas_micro": "64-41414-3_02_003",
}
"""In every space the same chain: a 3x3, a 1x1 and a 3x3 convolution."""


@pytest.mark.parametrize("first", CELLS)
@pytest.mark.parametrize("second", CELLS)
def test_one_chain_has_the_same_shared_features_in_every_space(first: str, second: str) -> None:
    one, other = SPACES.get(first).space(), SPACES.get(second).space()
    names, x, z = shared(one, [CELLS[first]], other, [CELLS[second]])
    of = dict(zip(names, zip(x[0], z[0], strict=True), strict=True))
    assert of["count[conv3x3]"] == (2, 2)
    assert of["count[conv1x1]"] == (1, 1)
    assert of["count[convolution]"] == (3, 3)
    assert of["edges_from_input[conv3x3]"] == (1, 1)
    assert of["depth_max"][0] == of["depth_max"][1]


def test_a_family_is_not_mistaken_for_one_of_its_operations() -> None:
    names = common_names(SPACES.get("darts").space())
    assert names["count[pooling]"] == "normal.count[pooling]"
    assert not any("reduce." in name for name in names.values())
    assert common_names(SPACES.get("nasbench101").space())["count[pooling]"] == (
        "cell.count[maxpool3x3]"
    )


def test_choices_have_no_features_in_common_with_cells() -> None:
    macro, micro = SPACES.get("nas_bench_macro").space(), SPACES.get("transnas_micro").space()
    with pytest.raises(InputError, match="nas_bench_macro and transnas_micro have no feature"):
        shared(macro, [], micro, [])


def test_a_rule_that_holds_in_both_spaces_is_carried_over() -> None:
    rng = np.random.default_rng(0)
    spaces = [SPACES.get(name).space() for name in ("nasbench201", "transnas_micro")]
    cells = [[space.sample(rng) for _ in range(150)] for space in spaces]
    names, x, z = shared(spaces[0], cells[0], spaces[1], cells[1])
    counted = names.index("count[conv3x3]")
    trainings = Trainings(
        spaces[0], cells[0], {"a": x[:, counted] + rng.normal(0, 0.1, 150)}, {"a": 1.0}, {}
    )
    said = fitted._fitted(trainings, x, z)
    assert np.corrcoef(said, z[:, counted])[0, 1] > 0.9
    raw = graph_features(spaces[1], cells[1])
    column = raw.values[:, raw.names.index("cell.count[nor_conv_3x3]")]
    assert z[:, counted].tolist() == column.tolist()


@pytest.mark.parametrize(
    ("text", "reached"),
    [
        *(("1_02_333", True), ("0_02_333", False), ("0_00_003", False), ("0_00_100", True)),
        *(("3_00_000", False), ("0_00_000", False), ("0_30_103", True), ("0_30_100", False)),
    ],
)
def test_cells_without_unreachable_operations(text: str, reached: bool) -> None:
    space = SPACES.get("transnas_micro").space()
    assert fitted.all_reached(space.parse(f"64-41414-{text}")) == reached


def test_the_page_shows_the_results() -> None:
    page = (DOCS / "study_tables.md").read_text(encoding="utf-8")
    for name, text in fitted.tables(RESULTS).items():
        assert text
        shown = page.split(f"<!-- {name}: begin -->\n")[1].split(f"<!-- {name}: end -->\n")[0]
        assert shown == text, "run: python -m studies.fitted ... --page docs/study_tables.md"


def test_every_published_figure_has_a_source_and_a_place() -> None:
    rows = read_rows(RESULTS / "fitted_published.csv")
    assert {row["method"] for row in rows} == {"GRAF", "FLAN"}
    for row in rows:
        assert row["column"] in fitted.JUDGES[row["space"]]
        assert row["source"] and 0 < float(row["tau"]) < 1
