"""Texts that people wrote, as messages quote them and as files hold them."""

from __future__ import annotations

import json
from pathlib import Path

from nas_search.core.errors import InputError

MAX_BYTES = 1_000_000
"""Size of the largest file that is read as a text that a person wrote."""


def quote(value: object, width: int = 60) -> str:
    """Return ``repr(value)`` as one line of ``width`` characters at most, for a message."""
    return shorten(" ".join(repr(value).split()), width)


def shorten(text: str, width: int) -> str:
    """Return ``text`` cut to ``width`` characters."""
    return text if len(text) <= width else text[: width - 3] + "..."


def read_text(file: Path) -> str:
    """Return the text in a small file: UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Windows' PowerShell writes UTF-16 where a program's output is redirected into a file.

    Raises:
        InputError: it cannot be read, is too large, or is no text.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"cannot read {file} ({error.strerror}); give a file that exists"
        ) from None
    if len(content) > MAX_BYTES:
        raise InputError(f"{file} has more than {MAX_BYTES:,} bytes: that is no text to read here")
    try:
        return content.decode(json.detect_encoding(content)).removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise InputError(f"{file} is not a text file") from None
