"""A further section of a run's page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas_search.pages.chart import Chart, Grid


@dataclass(frozen=True)
class Section:
    """A title, a text, charts and tables.

    Attributes:
        key: letters, digits and dashes; the section's anchor, unique on its page.
        title: its heading.
        text: a sentence or two.
        charts: drawn below the text; their keys are unique on the page.
        grids: tables below the charts; their keys are unique on the page.
    """

    key: str
    title: str
    text: str
    charts: Sequence[Chart] = ()
    grids: Sequence[Grid] = ()
