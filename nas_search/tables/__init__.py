"""Tables of trained architectures: their readers, and the true accuracies of a search's results.

The package contains no tables: users provide the files.
"""

from nas_search.tables.repeats import Array, Repeats
from nas_search.tables.table import BENCHMARKS, BenchmarkRecord, Table

__all__ = ["BENCHMARKS", "Array", "BenchmarkRecord", "Repeats", "Table"]
