"""Atomic checkpoints: written to a file beside the old one, which then replaces it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from nas_search.core.errors import InputError, RunError
from nas_search.core.files import write_whole


def save(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors and plain values); see :func:`.write_whole`."""
    write_whole(path, lambda file: torch.save(state, file))


def load(path: Path, device: str) -> dict[str, Any] | None:
    """Return the state that :func:`save` wrote, or None if there is no file.

    Raises:
        InputError: the file is damaged, by a single bit too: torch itself reads on.
    """
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                raise zipfile.BadZipFile("a checksum is wrong")
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        if not isinstance(state, dict) or not isinstance(state.get("identity"), dict):
            raise TypeError("it holds no training")
    except Exception as error:  # a damaged file raises a dozen types
        raise _damaged(path, error) from error
    return state


@contextmanager
def restoring(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a state of :func:`load` is taken over into one line.

    Raises:
        InputError: it is not the state that :func:`save` was given.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} is damaged ({type(error).__name__}); delete it to train anew")


def on_disk(write: Callable[[], None]) -> None:
    """Call ``write`` for a file that can be made again from the checkpoints.

    Raises:
        RunError: the disk refuses.
    """
    try:
        write()
    except OSError as error:
        raise RunError(
            f"cannot write {error.filename} ({error.strerror}); every trained "
            "epoch is in its checkpoint: free space and repeat the command"
        ) from error
