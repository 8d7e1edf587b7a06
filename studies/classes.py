"""Write a table with the first of every class of equal NAS-Bench-201 cells: 5,425 of 15,625 rows.

Cells that differ only in how they are written are the same network; a search scores one of them.

    python -m studies.classes --table nasbench201.csv --out outputs/nasbench201_classes.csv
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from nas_search.spaces import SPACES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    space = SPACES.get("nasbench201").space()
    with options.table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    first = {space.canonical(space.parse(row["arch_str"])): row for row in reversed(rows)}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(reversed(first.values()))
    print(f"{len(first)} classes of {len(rows)} cells")


if __name__ == "__main__":
    main()
