"""What a command says of the data before it starts: two lines, and what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Iterable

from rich.console import Console

from nas_search.commands.screen import prose
from nas_search.data import ImageData


def say(data: ImageData, console: Console, notes: Iterable[str] = ()) -> None:
    """Print the two lines of ``data.summary``, its notes and ``notes``; in one process of many."""
    if os.environ.get("RANK", "0") == "0":
        said = [f"note: {note}" for note in (*data.notes, *notes)]
        for line in (*data.summary, *said):
            prose(console, line)
