"""What a search would read: every image looked at, and what is odd about it, in one line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from PIL import Image
from torch import Tensor

from nas_search.core.errors import InputError
from nas_search.data.assemble import is_constant, spaced_rows
from nas_search.data.base import DatasetRecord, Part, Parts, Split, printable, summary_lines
from nas_search.data.copies import copy_notes, some

_CHUNK = 64
_UNEQUAL = 3  # the largest class has so many times the images of the smallest
_FLAT = 0.1  # of the range of 8-bit values


@dataclass
class Inspection:
    """What was found.

    Attributes:
        parts: the data, before its pixels were read.
        input_shape: (C, H, W) of one image.
        facts: lines that describe the data.
        notes: lines that say what may be wrong with it, and what to do.
        broken: images that cannot be read, with the reason; a search refuses them.
        blank: whether every image is of one color throughout; a search refuses that too.
    """

    parts: Parts
    input_shape: tuple[int, int, int]
    facts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    blank: bool = False


@dataclass
class _Seen:
    """What was seen of the images of one part."""

    count: int = 0
    low: float = float("inf")
    high: float = float("-inf")
    total: float = 0.0
    pixels: int = 0
    eight_bit: bool = True
    shape: tuple[int, int, int] = (0, 0, 0)
    constant: list[int] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def find_parts(record: DatasetRecord, options: object) -> Parts:
    """Return the parts of a data set, without reading pixels where it can do without.

    Raises:
        InputError: it cannot be read at all.
    """
    if record.find is not None:
        return record.find(options)
    data = record.load(options)
    train, test, validation = (
        None if s is None else Part(s.origin, s.labels, s.read, s.files, s.series)
        for s in (data.train, data.test, data.validation)
    )
    assert train is not None and test is not None
    names = data.class_names
    return Parts(data.name, names, train, test, validation, data.used, data.form, data.fit)


def inspect_parts(parts: Parts, limit: int) -> Inspection:
    """Read at most ``limit`` images of each part, evenly spaced, and say what is in them.

    Raises:
        InputError: no image of the training part can be read.
    """
    named = {"training": parts.train, "validation": parts.validation, "test": parts.test}
    present = {name: part for name, part in named.items() if part is not None}
    seen = {
        name: _look(part, spaced_rows(len(part.labels), limit)) for name, part in present.items()
    }
    if not seen["training"].count:
        raise InputError(f"no training {parts.train.one} can be read: {seen['training'].broken[0]}")
    shape = seen["training"].shape
    found = Inspection(parts, shape, [*summary_lines(parts, shape)], [*parts.notes])
    found.facts += _file_facts(present, limit)
    for name, one in seen.items():
        found.facts.append(_values(name, one, present[name]))
        found.broken += one.broken
    if found.broken:  # what is in use is known by the files' names alone
        found.facts[0] += f"; of those used {len(found.broken):,} cannot be read"
    _note_constant(found, present, seen)
    _note_range(found, seen["training"])
    _note_balance(found, parts)
    found.notes += copy_notes(present, shape)
    return found


def label_samples(part: Part, label: int, count: int) -> list[Tensor]:
    """Return up to ``count`` raw images (C, H, W) of a class, evenly spaced, that can be read."""
    rows = torch.nonzero(part.labels == label).flatten()
    chosen = rows[spaced_rows(len(rows), count)] if len(rows) else rows
    return [image for _, raw in _readable(part, chosen, []) for image in raw]


def _look(part: Part, rows: Tensor) -> _Seen:
    seen = _Seen()
    for chunk in rows.split(_CHUNK):
        for read, raw in _readable(part, chunk, seen.broken):
            seen.shape = (raw.shape[1], raw.shape[2], raw.shape[3])
            seen.eight_bit = raw.dtype == torch.uint8
            seen.count += len(raw)
            seen.low, seen.high = min(seen.low, float(raw.min())), max(seen.high, float(raw.max()))
            seen.total += float(raw.double().sum())
            seen.pixels += raw.numel()
            seen.constant += read[is_constant(raw)].tolist()
    return seen


def _readable(part: Part, rows: Tensor, broken: list[str]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield rows and their pixels: all at once, or one by one where that fails."""
    split = Split(part.origin, part.labels, part.read, (), (), part.files, part.series)
    try:
        yield rows, split.raw(rows)
    except InputError as error:
        if len(rows) == 1:
            broken.append(str(error))
            return
        for row in rows.split(1):
            yield from _readable(part, row, broken)


def _file_facts(present: dict[str, Part], limit: int) -> list[str]:
    """Return one line on the formats of picture files, from their headers."""
    modes: Counter[str] = Counter()
    sizes: list[tuple[int, int]] = []
    for part in present.values():
        if not part.files:
            return []
        for row in spaced_rows(len(part.files), limit).tolist():
            try:
                with Image.open(part.files[row]) as image:
                    modes[f"{image.format} {image.mode}"] += 1
                    sizes.append(image.size)
            except Exception:  # said where the pixels are read
                continue
    if not sizes:
        return []
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in modes.most_common())
    small, large = min(sizes, key=min), max(sizes, key=max)
    return [
        f"files: {kinds} (format, mode); sizes from {small[0]} x {small[1]} to "
        f"{large[0]} x {large[1]} (width x height)"
    ]


def _values(name: str, seen: _Seen, part: Part) -> str:
    read = f"{seen.count:,} of {len(part.labels):,} {name} {part.kind} read"
    if not seen.count:
        return read
    kind = "8-bit" if seen.eight_bit else "float"
    mean = seen.total / seen.pixels
    return f"{read}: {kind} values {seen.low:g} to {seen.high:g}, mean {mean:.4g}"


def _note_constant(found: Inspection, present: dict[str, Part], seen: dict[str, _Seen]) -> None:
    for name, one in seen.items():
        if one.constant:
            which = some([present[name].named(row) for row in one.constant])
            how = "that are constant" if present[name].series else "of one color throughout"
            found.notes.append(f"{name} {present[name].kind} {how}: {len(one.constant):,}, {which}")
    train = seen["training"]
    found.blank = bool(train.count) and len(train.constant) == train.count


def _note_range(found: Inspection, seen: _Seen) -> None:
    if seen.eight_bit and seen.high - seen.low < 255 * _FLAT:
        found.notes.append(
            f"all values lie between {seen.low:g} and {seen.high:g} of 0 to 255; if the files hold "
            "more bits than are used (10 or 12 in 16), save them with their full range"
        )


def _note_balance(found: Inspection, parts: Parts) -> None:
    for name, part in (("training", parts.train), ("test", parts.test)):
        counts = torch.bincount(part.labels, minlength=len(parts.class_names))
        low, high = int(counts.argmin()), int(counts.argmax())
        few, many = int(counts[low]), int(counts[high])
        if many >= _UNEQUAL * max(few, 1) or few == 0:
            found.notes.append(
                f"unequal classes: {printable(parts.class_names[low])} has {few:,} {name} "
                f"{part.kind}, "
                f"{printable(parts.class_names[high])} has {many:,}"
            )
