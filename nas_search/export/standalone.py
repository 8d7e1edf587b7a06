"""A trained network as a standalone folder: source, weights, recipe and preprocessing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.core.files import write_json, write_whole
from nas_search.data import ImageData
from nas_search.export.model_file import WEIGHTS, model_source, preparation_of
from nas_search.runs.architecture import Architecture


def write_folder(
    folder: Path,
    network: nn.Module,
    architecture: Architecture,
    data: ImageData,
    recipe: Mapping[str, Any],
    version: str,
) -> None:
    """Write ``model.py``, weights, genotype, preprocessing and recipe of a trained network.

    Args:
        folder: an existing folder.
        network: the trained network of ``architecture``.
        architecture: its architecture.
        data: its training data.
        recipe: the keys and values of its recipe.
        version: version of this package.

    Raises:
        InputError: the source cannot be written as one file; everything else is written.
        RunError: the disk refuses.
        OSError: the disk refuses.
    """
    state = {
        name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    write_whole(folder / WEIGHTS, lambda file: file.write(to_safetensors(state)))
    write_json(folder / "genotype.json", architecture.as_dict())
    preparation = preparation_of(data)
    write_json(
        folder / "preprocessing.json",
        {
            "input_shape": list(data.input_shape),
            "classes": list(data.class_names),
            "mean": list(data.mean),
            "std": list(data.std),
            "pixels": "0 to 255, divided by 255" if preparation.eight_bit else "as they are",
            "other_sizes": str(preparation.fit) if preparation.fit else "refused",
            # Only where they are: equal files are of equal protocols, see runs.trainings.
            **({"series": True} if preparation.series else {}),
        },
    )
    recipe_text = OmegaConf.to_yaml(OmegaConf.create(dict(recipe))).encode()
    write_whole(folder / "recipe.yaml", lambda file: file.write(recipe_text))
    (folder / "model.py").unlink(missing_ok=True)  # that of other weights, if there is one
    source = model_source(architecture, data, version).encode()
    write_whole(folder / "model.py", lambda file: file.write(source))


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Return the weights in a finalist's folder, on the CPU.

    Raises:
        InputError: there are none, or the file is damaged.
    """
    try:
        return load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"cannot read {folder / WEIGHTS} ({error}); give the folder of a trained finalist"
        ) from None
