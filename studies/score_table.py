"""The table of all scores in docs/scores.md, generated from their records.

python -m studies.score_table            prints it
python -m studies.score_table --write    puts it between the marks in docs/scores.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

from nas_search.proxies import PROXIES, ProxyRecord
from nas_search.ranking.aggregates import AGGREGATES, AggregateRecord
from studies import markdown

PAGE = Path(__file__).parent.parent / "docs" / "scores.md"
TITLES = (
    *("name", "score, higher is better", "needs", "batch-norm"),
    *("init", "n x draws", "whose", "caveats"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    if parser.parse_args().write:
        PAGE.write_text(replaced(PAGE.read_text()))
    else:
        print(table())


def table() -> str:
    """Return the table of the package's own scores: what a plugin registered is not among them."""
    own = [record for record in PROXIES if record.score.__module__.startswith("nas_search.")]
    records = sorted([*own, *AGGREGATES], key=lambda record: record.name)
    return markdown.table(TITLES, [cells(record) for record in records])


def cells(record: ProxyRecord | AggregateRecord) -> list[str]:
    """Return a score's line of the table."""
    texts = (
        f"`{record.name}`",
        f"{record.summary}: {record.formula}",
        *definition(record),
        f"{record.origin}: {record.source}",
        record.caveats or "-",
    )
    return [text.replace("|", "&#124;") for text in texts]


def definition(record: ProxyRecord | AggregateRecord) -> tuple[str, str, str, str]:
    if isinstance(record, AggregateRecord):  # each member keeps its own
        return "ranks of " + (", ".join(record.members) or "those you name"), "-", "-", "-"
    return (
        ", ".join(kind.__name__ for kind in record.needs),
        record.normalization or "-",
        record.init,
        f"{record.batch_size} x {record.repeats}",
    )


def replaced(page: str) -> str:
    """Return ``page`` with the table of the records between its marks."""
    return markdown.replaced(page, "generated", table())


if __name__ == "__main__":
    main()
