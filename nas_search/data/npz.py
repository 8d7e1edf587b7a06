"""Arrays on disk: x_train, y_train and optionally x_test, y_test in one .npz file."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from nas_search.core.errors import InputError
from nas_search.core.files import user_path
from nas_search.data.assemble import assign, check_labels, image_data, read_array
from nas_search.data.base import DATASETS, DatasetRecord, ImageData, Part, Parts
from nas_search.data.fit import LEAST_SIZE, FitName
from nas_search.data.layout import ArrayRule, Layout, channels_first

VALIDATION = ("val", "valid", "validation")
"""What follows x_ and y_ in the names of validation arrays."""


@dataclass(frozen=True)
class NpzOptions:
    """Options of ``dataset=npz``.

    Attributes:
        path: the .npz file.
        layout: order of the axes of x_*.
        size: height and width that images are fitted to, 8 or more; None leaves them as stored.
        fit: how images become square where ``size`` is set.
        rows: height of a series as an image, whose rows are all the series, 1 or more.
        holdout: fraction of every class held out for testing if the file has no x_test, in (0, 1).
        holdout_seed: seed of the choice of these images, 0 or more.
    """

    path: str = ""
    layout: Layout = "auto"
    size: int | None = None
    fit: FitName = "crop"
    rows: int = LEAST_SIZE
    holdout: float = 0.2
    holdout_seed: int = 0


def load_npz(options: NpzOptions) -> ImageData:
    """Return the images of an .npz file.

    x_* are uint8 (0..255) or float (not scaled), of shape (n, H, W), (n, H, W, C) or
    (n, C, H, W), or series (n, C, L) with ``layout=ncl``. y_* are integers 0..C-1 of shape (n,).
    Arrays written by ``np.savez`` are mapped, not loaded: only the requested images are read.
    Those of ``np.savez_compressed`` are kept in memory.

    Raises:
        InputError: the file or a key is missing, broken, or of the wrong shape or type.
    """
    return image_data(find_npz(options))


def find_npz(options: NpzOptions) -> Parts:
    """Return the parts of the data set.

    Raises:
        InputError: as :func:`load_npz`.
    """
    if not options.path:
        raise InputError("dataset=npz needs a file; add dataset.path=FILE.npz")
    rule = ArrayRule(options.layout, options.size, options.fit, options.rows)
    path = user_path(options.path, "dataset.path")
    arrays = read_npz(path)
    train, form = _part(path, arrays, "train", None, rule)
    num_classes = int(train.labels.max()) + 1
    parts = {"train": train}
    names: dict[str, str] = {}
    for split in ("test", *VALIDATION):
        if f"x_{split}" in arrays or f"y_{split}" in arrays:
            part, _ = _part(path, arrays, split, num_classes, rule)
            if part.read(part.labels[:0]).shape[1:] != train.read(train.labels[:0]).shape[1:]:
                raise InputError(
                    f"{path}: x_train {arrays['x_train'].shape} and x_{split} "
                    f"{arrays[f'x_{split}'].shape} hold {train.kind} of different shapes; "
                    "save both with the same"
                )
            role = "test" if split == "test" else "validation"
            parts[role], names[role] = part, f"x_{split}"
    images = sum(len(part.labels) for part in parts.values())
    known = {f"{axis}_{split}" for axis in "xy" for split in ("train", "test", *VALIDATION)}
    unread = sorted(arrays.keys() - known)
    others = f"; arrays not read: {', '.join(unread)}" if unread else ""
    train, validation, test, origin = assign(parts, names, options.holdout, options.holdout_seed)
    return Parts(
        name="npz",
        class_names=tuple(map(str, range(num_classes))),
        train=train,
        test=test,
        validation=validation,
        used=f"{images:,} {train.kind}" + others,
        form=f"{form}; {origin}",
        fit=options.fit,
    )


def _part(
    path: Path,
    arrays: dict[str, np.ndarray],
    split: str,
    num_classes: int | None,
    rule: ArrayRule,
) -> tuple[Part, str]:
    """Return one part, and in words how its images are read."""
    for key in (f"x_{split}", f"y_{split}"):
        if key not in arrays:
            raise InputError(
                f"{path} has no array '{key}' (it has {', '.join(sorted(arrays)) or 'none'}); "
                f"save x_{split} and y_{split} with np.savez"
            )
    images, targets = arrays[f"x_{split}"], arrays[f"y_{split}"]
    origin = f"{path} x_{split}"
    view, axes = channels_first(images, origin, rule.layout)
    if targets.ndim == 1 and len(view) != len(targets):
        raise InputError(
            f"{path}: x_{split} has {len(view)} {'series' if rule.series else 'images'} but "
            f"y_{split} has {len(targets)} labels; give one label for each"
        )
    labels = check_labels(targets, f"{path} y_{split}", num_classes)
    rule.check(view.shape, origin)
    read = partial(rule.read, partial(read_array, view))
    return Part(origin, labels, read, series=rule.series), f"{axes}, {rule}"


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file by key; uncompressed ones as read-only memory maps.

    Raises:
        InputError: no such file, not an .npz file, or one that is truncated or damaged.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}; check dataset.path")
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():  # mapped arrays are read past the archive's checksums
                raise ValueError(f"the checksum of '{damaged}' is wrong")
            return {
                info.filename.removesuffix(".npy"): _read_member(path, archive, info)
                for info in archive.infolist()
                if info.filename.endswith(".npy")
            }
    except Exception as error:  # damaged headers raise a dozen types, tokenizer errors included
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"cannot read {path} ({reason}); write it again with np.savez(FILE, x_train=..., "
            "y_train=...)"
        ) from error


def _read_member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    if info.compress_type != zipfile.ZIP_STORED:
        with archive.open(info) as member:
            return npy.read_array(member, allow_pickle=False)
    with path.open("rb") as file:
        # A stored member begins after its local header of 30 bytes, its name and its extra field.
        file.seek(info.header_offset + 26)
        name_and_extra = np.frombuffer(file.read(4), dtype="<u2")
        file.seek(info.header_offset + 30 + int(name_and_extra.sum()))
        version = npy.read_magic(file)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read_header(file)
        if dtype.hasobject:
            raise ValueError(f"array '{info.filename}' holds Python objects")
        if 0 in shape:
            return np.zeros(shape, dtype)
        return np.memmap(
            path, dtype, "r", offset=file.tell(), shape=shape, order="F" if fortran else "C"
        )


DATASETS.add(
    DatasetRecord(
        name="npz",
        options=NpzOptions,
        load=load_npz,
        description="arrays x_train, y_train[, x_test, y_test] of an .npz file: dataset.path=FILE",
        find=find_npz,
    )
)
