"""The tables of docs/training.md from the files of the studies that train.

python -m studies.training_report OUT    keeps OUT/recipe_against_table.csv,
                                         OUT/found_against_published.csv and
                                         OUT/small_data.csv, as far as they are there, in
                                         studies/results/, and puts their tables between the
                                         marks in docs/training.md
python -m studies.training_report        the tables alone, from studies/results/
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from studies import found_against_published, recipe_against_table, small_data
from studies.markdown import replaced
from studies.result_files import RESULTS, Row, read_rows

PAGE = Path(__file__).parent.parent / "docs" / "training.md"
FILES = ("recipe_against_table", "found_against_published", "small_data")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, nargs="?")
    options = parser.parse_args()
    if options.out:
        for name in FILES:
            if (options.out / f"{name}.csv").exists():
                shutil.copy(options.out / f"{name}.csv", RESULTS)
    PAGE.write_text(filled(PAGE.read_text(), RESULTS))


def filled(page: str, results: Path) -> str:
    """Return ``page`` with the tables of the kept ``results`` between their marks."""
    recipe, found, small = (read_rows(results / f"{name}.csv") for name in FILES)
    texts = {
        "recipe": _by_settings(recipe, recipe_against_table.SETTINGS, recipe_against_table.report),
        "found": _by_settings(
            found, found_against_published.SETTINGS, found_against_published.report
        ),
        "small": _by_settings(small, small_data.SETTINGS, small_data.report),
    }
    for name, text in texts.items():
        if text:
            page = replaced(page, name, text)
    return page


def _by_settings(
    rows: list[Row], settings: Sequence[str], report: Callable[[list[Row]], str]
) -> str:
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in settings), []).append(row)
    parts = []
    for values, group in groups.items():
        named = (f"{n.replace('_', ' ')} {v}" for n, v in zip(settings, values, strict=True))
        parts.append(f"Settings: {', '.join(named)}.\n\n{report(group)}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    main()
