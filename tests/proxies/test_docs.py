"""docs/scores.md lists every score as its record has it."""

from __future__ import annotations

from studies.score_table import PAGE, replaced


def test_table_of_scores_equals_the_records() -> None:
    page = PAGE.read_text()
    assert replaced(page) == page, "run: python -m studies.score_table --write"
