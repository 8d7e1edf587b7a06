"""Tables of trained architectures: their readers, and the truth that a search is compared with.

No table comes with the package: users bring the files.
"""

from nas_search.tables.table import BENCHMARKS, Array, BenchmarkRecord, Table

__all__ = ["BENCHMARKS", "Array", "BenchmarkRecord", "Table"]
