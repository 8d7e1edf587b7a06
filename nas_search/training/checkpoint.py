"""Atomic checkpoints: written to a file beside the old one, which then replaces it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import torch

from nas_search.core.errors import InputError, RunError
from nas_search.core.files import replacing


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file atomically: a killed process or a full disk leaves the previous file.

    Raises:
        RunError: the disk refuses; the previous file is kept.
    """
    try:
        with replacing(path) as new, new.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:  # torch.save turns a full disk into RuntimeError
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise RunError(
            f"cannot write {path} ({reason}); free space and repeat the command: it continues "
            "after the last epoch that was written"
        ) from error


def save(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors and plain values); see :func:`write_whole`."""
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
