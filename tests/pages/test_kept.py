"""What a report counts of what evolution kept: by place, against the texts of the genotypes."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from nas_search.pages.kept import OPERATIONS, kinds_of
from nas_search.spaces import SPACES


def test_operations_of_cells_are_one_kind() -> None:
    space = SPACES.get("darts").space()
    genotypes = [space.sample(np.random.default_rng(seed)) for seed in range(20)]
    (kind,) = kinds_of(space, genotypes)
    assert kind.title == OPERATIONS
    counted = Counter(name for one in kind.found for _, name in one)
    written = Counter(name for g in genotypes for name in re.findall(r"'(\w+)', ", str(g)))
    assert counted == written
    assert list(kind.names) == [name for name, _ in counted.most_common()]


def test_choices_of_a_stage_are_kinds_of_their_own() -> None:
    space = SPACES.get("mobilenet").space()
    genotypes = [space.sample(np.random.default_rng(seed)) for seed in range(30)]
    kinds = {kind.title: kind for kind in kinds_of(space, genotypes)}
    assert {"depth", "kernel", "expansion"} <= set(kinds)
    for title, letter in {"depth": "r", "kernel": "k", "expansion": "e"}.items():
        written = [
            [
                next(part[1:] for part in stage.split("_") if part[0] == letter)
                for stage in str(genotype).split("|")
            ]
            for genotype in genotypes
        ]
        assert [[name for _, name in one] for one in kinds[title].found] == written
        assert len({place for one in kinds[title].found for place, _ in one}) == len(written[0])
        assert list(kinds[title].names) == sorted(kinds[title].names, key=float)


@pytest.mark.parametrize("name", [name for name in SPACES.names() if name != "module"])
def test_hardly_anything_is_found_once(name: str) -> None:
    space = SPACES.get(name).space()
    genotypes = [space.sample(np.random.default_rng(seed)) for seed in range(60)]
    for kind in kinds_of(space, genotypes):
        counts = Counter(name for one in kind.found for _, name in one)
        assert len(counts) <= 24, kind.title
        assert sum(counts.values()) / len(counts) > 2.5, kind.title
