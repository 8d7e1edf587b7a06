"""Split a table of trained architectures by a fixed rule, for choosing a score and judging it.

An architecture belongs to the development half when the first byte of the SHA-256 of its text is
even, else to the held-out half: the rule knows neither accuracies nor scores, and never changes.

    python -m studies.halves --table nasbench201.csv --architecture arch_str --out outputs/halves

writes outputs/halves/nasbench201_development.csv and outputs/halves/nasbench201_heldout.csv with
the table's own columns.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from pathlib import Path

HALVES = ("development", "heldout")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--architecture", required=True, help="column of architectures' texts")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with options.table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    options.out.mkdir(parents=True, exist_ok=True)
    for name in HALVES:
        chosen = [row for row in rows if half(row[options.architecture]) == name]
        with (options.out / f"{options.table.stem}_{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(chosen)
        print(f"{len(chosen)} of {len(rows)} architectures: {name}")


def half(text: str, byte: int = 0) -> str:
    """Return the half that the architecture of this text belongs to, by one of its hash's bytes."""
    return HALVES[hashlib.sha256(text.encode()).digest()[byte] % 2]


if __name__ == "__main__":
    main()
