"""The trained finalists in the folders of runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_search.core.errors import InputError
from nas_search.core.text import read_text
from nas_search.runs.architecture import Architecture, load


@dataclass(frozen=True)
class Training:
    """An architecture that was trained to the end of its schedule.

    Attributes:
        architecture: in the sizes in which it was trained.
        protocol: equal for trainings whose accuracies can be compared: of the same recipe, epochs,
            sizes, images and number of seeds.
        accuracy: on validation images, %, mean over seeds.
    """

    architecture: Architecture
    protocol: str
    accuracy: float


def trainings_in(folder: Path) -> list[Training]:
    """Return the finalists that were trained in the directory of a run, or in those of a sweep.

    What was stopped early or failed is left out.

    Raises:
        InputError: a file is broken.
    """
    folders = [
        place.parent
        for pattern in ("metrics.json", "*/metrics.json", "*/*/metrics.json", "*/*/*/metrics.json")
        for place in sorted(folder.glob(pattern))
        if (place.parent / "genotype.json").exists()
    ]
    return [one for place in folders for one in _training(place)]


def _training(folder: Path) -> Iterator[Training]:
    file = folder / "metrics.json"
    try:
        metrics = json.loads(read_text(file))
        status, accuracy = metrics["status"], metrics["validation_accuracy"]
        if status != "trained" or accuracy is None:
            return
        architecture = load(folder)
        yield Training(architecture, _protocol(folder, architecture, metrics), float(accuracy))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{file} is no record of a training ({error})") from None


def _protocol(folder: Path, architecture: Architecture, metrics: dict[str, Any]) -> str:
    """Return recipe and epochs, and a digest of everything else that accuracies depend on."""
    parts = [
        *(architecture.input_shape, architecture.num_classes, sorted(architecture.macro.items())),
        *(metrics["recipe"], metrics["epochs"], len(metrics["seeds"])),
    ]
    text = repr(parts)
    # The recipe's values, and the statistics of the images that the network was trained on.
    for name in ("recipe.yaml", "preprocessing.json"):
        file = folder / name
        text += read_text(file) if file.exists() else ""
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{metrics['recipe']}, {metrics['epochs']} epochs ({digest})"
