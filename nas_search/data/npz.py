"""Arrays on disk: x_train, y_train and optionally x_test, y_test in one .npz file."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from nas_search.core.errors import InputError
from nas_search.data.assemble import (
    Part,
    channel_statistics,
    check_labels,
    holdout_parts,
    image_data,
    read_array,
)
from nas_search.data.base import DATASETS, DatasetRecord, ImageData


@dataclass(frozen=True)
class NpzOptions:
    """Options of ``dataset=npz``.

    Attributes:
        path: the .npz file.
        holdout: fraction of every class held out for testing if the file has no x_test, in (0, 1).
        holdout_seed: seed of the choice of these images, 0 or more.
    """

    path: str = ""
    holdout: float = 0.2
    holdout_seed: int = 0


def load_npz(options: NpzOptions) -> ImageData:
    """Return the images of an .npz file.

    x_* are uint8 (0..255) or float (not scaled), of shape (n, H, W), (n, H, W, C) or
    (n, C, H, W); the channels are the shorter of the first and last image axis. y_* are integers
    0..C-1 of shape (n,). Arrays written by ``np.savez`` are mapped, not loaded: only the
    requested images are read. Those of ``np.savez_compressed`` are kept in memory.

    Raises:
        InputError: the file or a key is missing, broken, or of the wrong shape or type.
    """
    if not options.path:
        raise InputError("dataset=npz needs a file; add dataset.path=FILE.npz")
    path = Path(options.path).expanduser()
    arrays = read_npz(path)
    train = _part(path, arrays, "train", None)
    if "x_test" in arrays or "y_test" in arrays:
        num_classes = int(train[1].max()) + 1
        test = _part(path, arrays, "test", num_classes)
        if test[2](test[1][:0]).shape[1:] != train[2](train[1][:0]).shape[1:]:
            raise InputError(
                f"{path}: x_train {arrays['x_train'].shape} and x_test {arrays['x_test'].shape} "
                "hold images of different shapes; save both with the same"
            )
    else:
        train, test = holdout_parts(train, options.holdout, options.holdout_seed)
    names = [str(label) for label in range(int(train[1].max()) + 1)]
    return image_data("npz", names, train, test, channel_statistics(train))


def _part(path: Path, arrays: dict[str, np.ndarray], split: str, num_classes: int | None) -> Part:
    for key in (f"x_{split}", f"y_{split}"):
        if key not in arrays:
            raise InputError(
                f"{path} has no array '{key}' (it has {', '.join(sorted(arrays)) or 'none'}); "
                f"save x_{split} and y_{split} with np.savez"
            )
    images, targets = arrays[f"x_{split}"], arrays[f"y_{split}"]
    view = channels_first(images, f"{path} x_{split}")
    if targets.ndim == 1 and len(view) != len(targets):
        raise InputError(
            f"{path}: x_{split} has {len(view)} images but y_{split} has {len(targets)} labels; "
            "give one label per image"
        )
    labels = check_labels(targets, f"{path} y_{split}", num_classes)
    return f"{path} x_{split}", labels, partial(read_array, view)


def channels_first(images: np.ndarray, origin: str) -> np.ndarray:
    """Return a (n, C, H, W) view of (n, H, W), (n, H, W, C) or (n, C, H, W) images.

    Raises:
        InputError: another number of axes, an empty axis, a type that is neither uint8 nor float,
            or an ambiguous channel axis.
    """
    shape = images.shape
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise InputError(
            f"{origin}: pixels are {images.dtype}; save them as uint8 (0..255) or as floats"
        )
    if len(shape) not in (3, 4) or 0 in shape[1:]:
        raise InputError(
            f"{origin} has shape {shape}; expected (n, H, W), (n, H, W, C) or (n, C, H, W)"
        )
    if len(shape) == 3:
        return images[:, None]
    if shape[1] == shape[3]:
        raise InputError(
            f"{origin} has shape {shape}, whose channel axis is ambiguous; "
            "save it as (n, H, W, C) with fewer channels than rows"
        )
    return images if shape[1] < shape[3] else images.transpose(0, 3, 1, 2)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file by key; uncompressed ones as read-only memory maps.

    Raises:
        InputError: no such file, not an .npz file, or one that is truncated or damaged.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}; check dataset.path")
    try:
        with zipfile.ZipFile(path) as archive:
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
    )
)
