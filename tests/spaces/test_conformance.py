from collections.abc import Hashable, Sequence
from typing import Any

from nas_search.spaces.darts import DartsSpace
from nas_search.spaces.nas_bench_macro import NasBenchMacroGenotype, NasBenchMacroSpace
from nas_search.spaces.nasbench201 import Nasbench201Genotype, Nasbench201Space
from nas_search.spaces.nats_size import NatsSizeSpace
from nas_search.spaces.transnas import (
    TransnasMacroGenotype,
    TransnasMacroSpace,
    TransnasMicroGenotype,
    TransnasMicroSpace,
)
from nas_search.testing.spaces import SearchSpaceConformance


class TestDarts(SearchSpaceConformance):
    space = DartsSpace()
    macro = {"cells": 3, "channels": 2}  # noqa: RUF012

    def genes(self, genotype: Any) -> Sequence[Hashable]:
        cells = (genotype.normal, genotype.reduce)
        nodes = [cell[2 * node : 2 * node + 2] for cell in cells for node in range(4)]
        return [*nodes, genotype.normal_concat, genotype.reduce_concat]


class TestDartsWithNone(TestDarts):
    space = DartsSpace(("none", "skip_connect", "max_pool_3x3", "dil_conv_5x5"))


class TestNasbench201(SearchSpaceConformance):
    space = Nasbench201Space()
    macro = {"cells": 1, "channels": 2}  # noqa: RUF012

    def genes(self, genotype: Nasbench201Genotype) -> Sequence[Hashable]:
        return genotype.operations


class TestTransnasMicro(SearchSpaceConformance):
    space = TransnasMicroSpace()
    macro = {"channels": 2, "stem_halvings": 0}  # noqa: RUF012

    def genes(self, genotype: TransnasMicroGenotype) -> Sequence[Hashable]:
        return genotype.choices


class TestTransnasMacro(SearchSpaceConformance):
    space = TransnasMacroSpace()
    macro = {"channels": 2, "stem_halvings": 1}  # noqa: RUF012
    fixed_shapes = False

    def genes(self, genotype: TransnasMacroGenotype) -> Sequence[Hashable]:
        return genotype.modules.ljust(6)


class TestNatsSize(SearchSpaceConformance):
    space = NatsSizeSpace()
    fixed_shapes = False


class TestNasBenchMacro(SearchSpaceConformance):
    space = NasBenchMacroSpace()
    macro = {"channels": 2}  # noqa: RUF012

    def genes(self, genotype: NasBenchMacroGenotype) -> Sequence[Hashable]:
        return genotype.choices
