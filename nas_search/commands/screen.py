"""Where the commands print: names of files and columns are shown as they are."""

from __future__ import annotations

from rich.console import Console


def screen() -> Console:
    """Return a console that takes no text for markup (``x[/b]``) or for a symbol (``:cat:``)."""
    return Console(markup=False, emoji=False, highlight=False)
