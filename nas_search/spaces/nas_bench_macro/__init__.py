"""NAS-Bench-Macro: eight layers, each an identity or one of two inverted residual blocks."""

from nas_search.spaces.nas_bench_macro.space import NasBenchMacroGenotype, NasBenchMacroSpace

__all__ = ["NasBenchMacroGenotype", "NasBenchMacroSpace"]
