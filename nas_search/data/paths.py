"""Paths as users write them."""

from __future__ import annotations

from pathlib import Path

from nas_search.core.errors import InputError


def user_path(text: str, key: str) -> Path:
    """Return the path that ``key`` of the configuration gives; ``~`` is the home folder.

    Raises:
        InputError: there is no home folder.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:  # HOME is unset, and the system knows no home of this user
        raise InputError(
            f"{key}={text}: there is no home folder for ~; write the whole path"
        ) from None
