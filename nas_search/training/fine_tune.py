"""Start a training from the weights of another one: what fits is taken, the rest is new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.runs import architecture
from nas_search.runs.architecture import Architecture
from nas_search.training.standalone import read_weights


@dataclass(frozen=True)
class Pretrained:
    """A trained network to start from.

    Attributes:
        folder: the finalist's folder.
        architecture: what the network is.
        weights: its weights by name.
    """

    folder: Path
    architecture: Architecture
    weights: Mapping[str, Tensor]


def read_pretrained(folder: Path) -> Pretrained:
    """Return the trained network in a finalist's folder.

    Raises:
        InputError: there is none.
    """
    found = architecture.load(folder / "genotype.json")
    return Pretrained(folder, found, read_weights(folder))


def take_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    """Copy the weights that fit by name and shape into ``network``.

    Returns:
        Names of the network's weights that keep their fresh values, such as the new head's.

    Raises:
        InputError: not even half of the weights fit: it is another network.
    """
    own = network.state_dict()
    fitting = {
        name: value
        for name, value in weights.items()
        if name in own and own[name].shape == value.shape
    }
    if 2 * len(fitting) < len(own):
        raise InputError(
            f"only {len(fitting)} of {len(own)} weights fit the network; keep its sizes "
            "(recipe.network) or name the folder of this architecture"
        )
    network.load_state_dict(fitting, strict=False)
    return [name for name in own if name not in fitting]
