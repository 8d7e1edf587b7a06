"""Images that are the same: in two parts, with two labels, or twice in the training part."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch

from nas_search.data.base import Part

LARGEST = 4_000_000_000
"""Bytes of images up to which all are compared with each other."""
_CHUNK = 64
_SHOWN = 3

_Place = tuple[str, int]
"""Name of a part and row in it."""


def copy_notes(parts: Mapping[str, Part], shape: tuple[int, int, int]) -> list[str]:
    """Return one line for each kind of copies among the images of a data set.

    Files are the same if their bytes are, other images if their pixels are.

    Args:
        parts: by name; the one called ``training`` counts as that.
        shape: (C, H, W) of one image.
    """
    digests = _digests(parts, shape)
    kind = parts["training"].kind
    if digests is None:
        return [f"the {kind} are too many to look for copies among them"]
    groups: dict[bytes, list[_Place]] = defaultdict(list)
    for place, key in digests:
        groups[key].append(place)
    shared: list[str] = []
    doubtful: list[str] = []
    again = 0
    for places in groups.values():
        count = Counter(name for name, _ in places)
        again += max(count["training"] - 1, 0)
        outside = [place for place in places if place[0] != "training"]
        labels = {int(parts[name].labels[row]): (name, row) for name, row in places}
        if count["training"] and outside:
            inside = next(place for place in places if place[0] == "training")
            shared.append(_pair(parts, inside, outside[0]))
        if len(labels) > 1:
            doubtful.append(_pair(parts, *list(labels.values())[:2]))
    notes = []
    if shared:
        notes.append(
            f"training {kind} that are in another part too (accuracies will be too high; remove "
            f"the copies): {len(shared):,}, {some(shared)}"
        )
    if doubtful:
        notes.append(f"{kind} with two labels (keep one): {len(doubtful):,}, {some(doubtful)}")
    if again:
        notes.append(f"training {kind} that are copies of other training {kind}: {again:,}")
    return notes


def _digests(
    parts: Mapping[str, Part], shape: tuple[int, int, int]
) -> Iterator[tuple[_Place, bytes]] | None:
    """Return places and digests of images; None if they are too large to be compared."""
    if not all(part.files for part in parts.values()):
        count = sum(len(part.labels) for part in parts.values())
        return None if count * shape[0] * shape[1] * shape[2] > LARGEST else _of_pixels(parts)
    sizes = {
        (name, row): _size(file)
        for name, part in parts.items()
        for row, file in enumerate(part.files)
    }
    often = Counter(sizes.values())
    alike = [place for place, size in sizes.items() if often[size] > 1]
    return None if sum(map(sizes.__getitem__, alike)) > LARGEST else _of_files(parts, alike)


def _of_files(
    parts: Mapping[str, Part], places: Sequence[_Place]
) -> Iterator[tuple[_Place, bytes]]:
    for name, row in places:
        try:
            yield (name, row), _digest(parts[name].files[row].read_bytes())
        except OSError:  # said where the pixels are read
            continue


def _of_pixels(parts: Mapping[str, Part]) -> Iterator[tuple[_Place, bytes]]:
    for name, part in parts.items():
        for rows in torch.arange(len(part.labels)).split(_CHUNK):
            for row, image in zip(rows.tolist(), part.read(rows), strict=True):
                yield (name, row), _digest(image.numpy().tobytes())


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _pair(parts: Mapping[str, Part], one: _Place, other: _Place) -> str:
    return " = ".join(parts[name].named(row) for name, row in (one, other))


def some(names: Sequence[str]) -> str:
    """Return the first few of ``names``."""
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
