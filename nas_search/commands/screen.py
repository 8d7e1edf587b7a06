"""Where the commands print: names of files and columns are shown as they are."""

from __future__ import annotations

import os
import textwrap

from rich.console import Console


def screen() -> Console:
    """Return a console that takes no text for markup (``x[/b]``) or for a symbol (``:cat:``)."""
    return Console(markup=False, emoji=False, highlight=False)


def prose(console: Console, text: str, indent: str = "") -> None:
    """Print a sentence, or a genotype, wrapped between words where somebody looks.

    That is in a terminal, and where ``COLUMNS`` says how wide; a pipe gets one line, as programs
    that read lines want it. A word that is too long, such as a path, stays whole. A genotype is
    read as well with line breaks where it has spaces.
    """
    if console.is_terminal or os.environ.get("COLUMNS"):
        text = textwrap.fill(
            text,
            console.width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    else:
        text = indent + text
    verbatim(console, text)


def verbatim(console: Console, text: str) -> None:
    """Print what may be copied, as a command: no line break is put into it."""
    console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)
