"""The page of priors shows the cards of the priors in the package."""

from __future__ import annotations

from studies.prior_cards import PAGE, replaced


def test_the_page_shows_the_cards_as_they_are() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert replaced(page) == page, "run: python -m studies.prior_cards --write"
