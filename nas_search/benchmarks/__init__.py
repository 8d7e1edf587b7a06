"""Tables of trained architectures: readers, the ranking study, search against a table.

No table comes with the package: users bring the files.
"""

from nas_search.benchmarks.tables import BENCHMARKS, BenchmarkRecord, Table

__all__ = ["BENCHMARKS", "BenchmarkRecord", "Table"]
