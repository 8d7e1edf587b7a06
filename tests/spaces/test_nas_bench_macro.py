"""NAS-Bench-Macro: its members, and the sizes and accuracies of the table."""

import csv
import itertools
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch

from nas_search.core.errors import InputError
from nas_search.features import graph_features
from nas_search.spaces.nas_bench_macro import NasBenchMacroGenotype, NasBenchMacroSpace

SPACE = NasBenchMacroSpace()
PROBLEM = ((3, 32, 32), 10)


@pytest.fixture(scope="module")
def rows(shared_data: Path) -> list[dict[str, str]]:
    with (shared_data / "nas_bench_macro.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def classes() -> dict[str, list[NasBenchMacroGenotype]]:
    found = defaultdict(list)
    for row in itertools.product(*SPACE.positions):
        found[SPACE.canonical(NasBenchMacroGenotype(row))].append(NasBenchMacroGenotype(row))
    return found


def test_there_are_6561_texts(classes: dict[str, list[NasBenchMacroGenotype]]) -> None:
    every = [one for members in classes.values() for one in members]
    assert SPACE.size == len({str(one) for one in every}) == 6561
    assert all(SPACE.parse(str(one)) == one for one in every)


def test_parameters_and_flops_are_those_of_every_row(rows: list[dict[str, str]]) -> None:
    assert len(rows) > 3000
    for row in rows:
        cost = SPACE.cost(SPACE.parse(row["arch"]), *PROBLEM)
        assert (cost.params, cost.macs) == (int(row["params"]), int(row["flops"])), row


def test_3969_networks_compute_what_all_of_their_texts_do(
    classes: dict[str, list[NasBenchMacroGenotype]],
) -> None:
    # 3 x 3 of the first stage, 3 x (1 + 2 + 4) of each other one.
    assert len(classes) == 9 * 21 * 21 == 3969
    rng = np.random.default_rng(0)
    images = torch.randn(2, 3, 8, 8)
    many = [members for members in classes.values() if len(members) > 1]
    for number in rng.permutation(len(many))[:10]:
        outputs = []
        for one in many[number]:
            network = SPACE.build(one, (3, 8, 8), 5, channels=2).eval()
            for place, parameter in enumerate(network.parameters()):  # in the order of the layers
                torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(place))
            outputs.append(network(images))
        for other in outputs[1:]:
            torch.testing.assert_close(other, outputs[0])
        features = graph_features(SPACE, many[number]).values
        assert (features == features[0]).all()


def test_texts_of_one_network_were_trained_alike(rows: list[dict[str, str]]) -> None:
    groups = defaultdict(list)
    for row in rows:
        groups[SPACE.canonical(SPACE.parse(row["arch"]))].append(float(row["mean_acc"]))
    same = [np.ptp(one) for one in groups.values() if len(one) > 1]
    assert len(same) > 500
    assert np.median(same) < 0.25 * np.std([float(row["mean_acc"]) for row in rows])


@pytest.mark.parametrize("text", ["0120120", "012012012", "01201203", "٠1201201"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"eight digits, 0 \(identity\), 1 \(mb3_k3\)"):
        SPACE.parse(text)
