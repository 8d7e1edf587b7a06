"""The table of the package's priors in docs/prior.md, generated from their cards.

python -m studies.prior_cards            prints it
python -m studies.prior_cards --write    puts it between the marks in docs/prior.md
"""

from __future__ import annotations

import argparse
from pathlib import Path

from nas_search.priors import shipped_prior
from nas_search.priors.shipped import shipped_names
from nas_search.spaces import SPACES
from studies import markdown

PAGE = Path(__file__).parent.parent / "docs" / "prior.md"
TITLES = ("space", "judged on", "how it was kept from the fit", "n", "pairs", "95 %", "tau", "rho")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    if parser.parse_args().write:
        PAGE.write_text(replaced(PAGE.read_text()))
    else:
        print(table())


def table() -> str:
    """Return the figures of all cards, and what each prior was fitted on."""
    lines, told = [], []
    for name in shipped_names():
        card = shipped_prior(SPACES.get(name).space()).card
        counts = ", ".join(f"{protocol} {count:,}" for protocol, count in card["trainings"].items())
        told.append(
            f"* `{name}`: {card['fitted_on']} ({counts}). Does not hold: {card['does_not_hold']}.\n"
        )
        for figure in card["held_out"]:
            ends = [f"{figure[key]:.2f}".lstrip("0") for key in ("pairs_low", "pairs_high")]
            lines.append(
                [
                    *(f"`{name}`", figure["protocol"], figure["how"], f"{figure['n']:,}"),
                    markdown.number(str(figure["pairs"])),
                    " to ".join(ends),
                    *(markdown.number(str(figure[key])) for key in ("tau", "rho")),
                ]
            )
    return markdown.table(TITLES, lines) + "\n" + "".join(told)


def replaced(page: str) -> str:
    """Return ``page`` with the table of the cards between its marks."""
    return markdown.replaced(page, "generated", table())


if __name__ == "__main__":
    main()
