"""Tables of trained architectures: readers, the ranking study, search against a table.

No table comes with the package: users bring the files.
"""

from nas_search.tables.table import BENCHMARKS, Array, BenchmarkRecord, Table

__all__ = ["BENCHMARKS", "Array", "BenchmarkRecord", "Table"]
