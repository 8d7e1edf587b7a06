"""Start a training from trained weights: those that fit are copied, the rest are fresh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.export.model_file import WEIGHTS
from nas_search.export.standalone import read_weights
from nas_search.runs import architecture
from nas_search.runs.architecture import Architecture
from nas_search.runs.run import read_finalists


@dataclass(frozen=True)
class Pretrained:
    """A trained network to start from.

    Attributes:
        folder: folder of the finalist.
        architecture: architecture of the network.
        weights: weights by name.
    """

    folder: Path
    architecture: Architecture
    weights: Mapping[str, Tensor]


def read_pretrained(folder: Path) -> Pretrained:
    """Return a trained network.

    Args:
        folder: the folder of a finalist; or of a run or its ``finalists``, which stand for the best
            finalist there; or a file in a finalist's folder.

    Raises:
        InputError: there is none.
    """
    folder = _finalist_folder(folder)
    return Pretrained(folder, architecture.load(folder / "genotype.json"), read_weights(folder))


def _finalist_folder(given: Path) -> Path:
    folder = given.parent if given.is_file() else given
    if (folder / WEIGHTS).exists():
        return folder
    for table in (folder / "finalists" / "finalists.csv", folder / "finalists.csv"):
        for row in read_finalists(table):
            best = table.parent / row.get("key", "")
            if row.get("status") == "trained" and (best / WEIGHTS).exists():
                return best
    if (folder / "best.json").exists():
        raise InputError(
            f"{folder} holds a search and no trained network; train its best with python -m "
            f"nas_search.train run={folder}, then give that training's folder"
        )
    raise InputError(
        f"there are no trained weights in {folder}; give the folder of a finalist, "
        "weights=outputs/.../finalists/1a2b3c4d, or of the run that holds it"
    )


def take_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    """Copy the weights that fit by name and shape into ``network``.

    Returns:
        Names of the weights that keep their fresh values, e.g. those of a new head.

    Raises:
        InputError: fewer than half of the weights fit, so it is another network.
    """
    fresh = network.state_dict()
    fitting = {
        name: value
        for name, value in weights.items()
        if name in fresh and fresh[name].shape == value.shape
    }
    if 2 * len(fitting) < len(fresh):
        raise InputError(
            f"only {len(fitting)} of {len(fresh)} weights fit the network; keep its sizes "
            "(recipe.network) or name the folder of this architecture"
        )
    network.load_state_dict(fitting, strict=False)
    return [name for name in fresh if name not in fitting]
