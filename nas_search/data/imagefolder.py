"""The user's own pictures, one folder per class."""

from __future__ import annotations

from dataclasses import dataclass

from nas_search.core.errors import InputError
from nas_search.core.files import user_path
from nas_search.data.assemble import assign, image_data
from nas_search.data.base import DATASETS, DatasetRecord, ImageData, Parts
from nas_search.data.fit import Fit, FitName
from nas_search.data.folders import find_images
from nas_search.data.pictures import STATISTICS_IMAGES, picture_part, picture_suffixes, size_notes
from nas_search.data.pixels import read_color


@dataclass(frozen=True)
class ImageFolderOptions:
    """Options of ``dataset=imagefolder``.

    Attributes:
        path: folder with one folder per class, or with such folders in ``train``, ``test`` and
            ``val`` or what these are usually called.
        size: height and width in pixels of the images, 8 or more.
        fit: how pictures that are not square become square.
        background: color behind transparent pixels and around padded pictures.
        class_level: 1 if the folders are the classes, 2 if those inside them are; None for 1
            where that is clear.
        holdout: fraction of every class held out for testing without a test folder, in (0, 1).
        holdout_seed: seed of the choice of these images, 0 or more.
    """

    path: str = ""
    size: int = 32
    fit: FitName = "crop"
    background: str = "white"
    class_level: int | None = None
    holdout: float = 0.2
    holdout_seed: int = 0


def load_imagefolder(options: ImageFolderOptions) -> ImageData:
    """Return the pictures below ``path`` as RGB; classes are named after the folders, sorted.

    Pictures are decoded on demand.

    Raises:
        InputError: a missing or empty folder, fewer than two classes, folders that do not say
            which file is of which class, or a picture that cannot be decoded.
    """
    return image_data(find_imagefolder(options), STATISTICS_IMAGES)


def find_imagefolder(options: ImageFolderOptions) -> Parts:
    """Return the parts of the data set; decodes nothing.

    Raises:
        InputError: as :func:`load_imagefolder`.
    """
    if not options.path:
        raise InputError("dataset=imagefolder needs a folder; add dataset.path=FOLDER")
    rule = Fit(options.size, options.fit, read_color(options.background))
    root = user_path(options.path, "dataset.path")
    found = find_images(root, picture_suffixes(), options.class_level)
    parts = {
        role: picture_part(str(p.folder), p.paths, p.labels, len(found.classes), rule)
        for role, p in found.parts.items()
    }
    names = {role: f"folder {part.folder.name}" for role, part in found.parts.items()}
    train, validation, test, origin = assign(parts, names, options.holdout, options.holdout_seed)
    return Parts(
        name="imagefolder",
        class_names=found.classes,
        train=train,
        test=test,
        validation=validation,
        used=found.used,
        form=f"{rule}; {origin}",
        fit=rule.name,
        background=rule.background,
        notes=size_notes(parts["train"].files, rule),
    )


DATASETS.add(
    DatasetRecord(
        name="imagefolder",
        options=ImageFolderOptions,
        load=load_imagefolder,
        description="your own pictures, one folder per class: dataset.path=FOLDER",
        find=find_imagefolder,
    )
)
