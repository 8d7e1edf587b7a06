"""What a person may have meant by a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def closest(name: str, possible: Iterable[str]) -> str:
    """Return the possible name that ``name`` is a misspelling of, whatever its case; or ``""``."""
    plain = {_plain(one): one for one in possible}
    match = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.7)
    return plain[match[0]] if match else ""


def did_you_mean(name: str, possible: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for a message, or ``""``."""
    guess = closest(name, possible)
    return f" (did you mean '{guess}'?)" if guess else ""


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")
