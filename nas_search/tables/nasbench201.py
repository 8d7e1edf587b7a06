"""NAS-Bench-201: the official files, or the same table as a CSV (Dong and Yang, ICLR 2020)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nas_search.core.errors import InputError
from nas_search.core.files import user_path
from nas_search.spaces import SearchSpace
from nas_search.tables.columns import accuracies, read_columns
from nas_search.tables.nasbench201_files import is_official, read_official
from nas_search.tables.table import (
    BENCHMARKS,
    BenchmarkRecord,
    Table,
    check_space,
    existing_file,
)

ARCHITECTURE = "arch_str"

VALIDATION = ("v11_c10valid_val_200", "c10valid_val_200")


@dataclass(frozen=True)
class Nasbench201Options:
    """Options of the NAS-Bench-201 table.

    Attributes:
        path: CSV with the column ``arch_str`` and columns of accuracies in percent, or an official
            file, see :mod:`nas_search.tables.nasbench201_files`.
        validation: column that ``proxy=oracle`` searches on; empty means CIFAR-10's validation
            accuracy after 200 epochs, under either of its names in :data:`VALIDATION`.
        test: columns that a search reports.
    """

    path: str = ""
    validation: str = ""
    test: list[str] = field(
        default_factory=lambda: ["c10_test_200", "c100_test_200", "in16_test_200"]
    )


def read_nasbench201(space: SearchSpace[Any], options: Nasbench201Options) -> Table:
    """Return the table; accuracy columns of a CSV end in ``_12`` or ``_200``.

    Raises:
        InputError: the file is not such a table, or the search space is another one.
    """
    check_space(space, "nasbench201")
    file = user_path(options.path, "benchmark.path")
    if not (options.path and file.is_dir()):
        file = existing_file(options.path, "nasbench201")
    if is_official(file):
        texts, columns, repeats = read_official(file)
    else:
        cells = read_columns(file)
        if ARCHITECTURE not in cells:
            raise InputError(f"{file} is not a table of NAS-Bench-201: no column '{ARCHITECTURE}'")
        texts = list(map(str, cells[ARCHITECTURE]))
        names = [name for name in cells if name.endswith(("_12", "_200"))]
        columns = {name: accuracies(file, name, cells[name]) for name in names}
        repeats = {}
    default = next((name for name in VALIDATION if name in columns), VALIDATION[0])
    validation = options.validation or default
    architectures = [space.parse(text) for text in texts]
    return Table(space, architectures, columns, validation, options.test, repeats=repeats)


BENCHMARKS.add(
    BenchmarkRecord(
        name="nasbench201",
        read=read_nasbench201,
        options=Nasbench201Options,
        source="Dong and Yang, ICLR 2020, arXiv 2001.00326",
    )
)
