"""Fashion-MNIST from Debian's package, from idx files of one's own, or through torchvision."""

from __future__ import annotations

import gzip
import tempfile
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from nas_search.core.errors import InputError
from nas_search.core.files import user_path
from nas_search.data.assemble import AS_STORED, check_labels, image_data, read_array
from nas_search.data.base import DATASETS, DatasetRecord, ImageData, Part, Parts
from nas_search.data.cifar import SILENCE_S, network_timeout

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package ``dataset-fashion-mnist`` puts the files."""

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


@dataclass(frozen=True)
class FashionMnistOptions:
    """Options of ``dataset=fashion_mnist``.

    Attributes:
        root: folder of the four idx files, packed with gzip or not, or of torchvision's; where
            they are neither there nor in Debian's folder, they are downloaded into it.
    """

    root: str = "~/.cache/nas_search"


def load_fashion_mnist(options: FashionMnistOptions) -> ImageData:
    """Return Fashion-MNIST: 60,000 + 10,000 gray images of 28 x 28, 10 classes (Xiao, 2017).

    Raises:
        InputError: the files are found nowhere and cannot be downloaded, or are damaged.
    """
    from torchvision.datasets import FashionMNIST  # imported here: it takes seconds

    folder = _folder(user_path(options.root, "dataset.root"))
    names = tuple(FashionMNIST.classes)
    train, test = (_part(folder, part, len(names)) for part in ("train", "test"))
    return image_data(Parts("fashion_mnist", names, train, test, form=AS_STORED))


def _folder(root: Path) -> Path:
    """Return the folder that has the files; download them if there is none."""
    from torchvision.datasets import FashionMNIST

    downloaded = root / "FashionMNIST" / "raw"
    for folder in (root, downloaded, DEBIAN):
        if all(_file(folder, name) for names in FILES.values() for name in names):
            return folder
    try:
        with network_timeout(SILENCE_S):
            FashionMNIST(str(root), download=True)
    except (OSError, RuntimeError, EOFError) as error:  # URLError and timeouts are OSErrors
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"cannot get fashion_mnist ({reason}); put its four files "
            f"({FILES['train'][0]}.gz, ...) into {root}, or install Debian's package "
            "dataset-fashion-mnist"
        ) from error
    return downloaded


def _file(folder: Path, name: str) -> Path | None:
    """Return the file of this name, packed or not; None if there is none."""
    return next((f for f in (folder / name, folder / f"{name}.gz") if f.is_file()), None)


def _part(folder: Path, part: str, num_classes: int) -> Part:
    images, labels = (_read(folder, name) for name in FILES[part])
    origin = f"fashion_mnist {part} in {folder}"
    if images.ndim != 3 or len(images) != len(labels):
        raise InputError(
            f"{origin}: images have shape {images.shape}, labels {labels.shape}; get the files anew"
        )
    checked = check_labels(labels, origin, num_classes)
    return Part(origin, checked, partial(read_array, images[:, None]))


def _read(folder: Path, name: str) -> np.ndarray:
    """Return the array in an idx file, by torchvision's reader, which takes unpacked files alone.

    Raises:
        InputError: the file is damaged.
    """
    from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor

    file = _file(folder, name)
    assert file is not None
    try:
        with tempfile.TemporaryDirectory() as place:
            unpacked = file
            if file.suffix == ".gz":
                unpacked = Path(place) / name
                unpacked.write_bytes(gzip.decompress(file.read_bytes()))
            array: np.ndarray = read_sn3_pascalvincent_tensor(str(unpacked)).numpy()
            return array
    except (OSError, EOFError, ValueError, RuntimeError, AssertionError, KeyError, zlib.error) as e:
        reason = " ".join(str(e).split()) or type(e).__name__
        raise InputError(f"cannot read {file} ({reason}); get it anew") from e


DATASETS.add(
    DatasetRecord(
        name="fashion_mnist",
        options=FashionMnistOptions,
        load=load_fashion_mnist,
        description="Fashion-MNIST, 70,000 gray images of 10 classes; Debian's package or 30 MB",
    )
)
