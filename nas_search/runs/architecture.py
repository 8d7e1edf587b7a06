"""An architecture as one small file from which its network can be built."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from nas_search.core.errors import InputError
from nas_search.core.files import user_path
from nas_search.core.text import quote, read_text
from nas_search.spaces import SPACES, Cost, SearchSpace


@dataclass(frozen=True)
class Architecture:
    """A genotype and all settings needed to build its network.

    Attributes:
        search_space: name of the search space.
        genotype: text form.
        input_shape: (channels, height, width) of one image.
        num_classes: number of classes.
        macro: sizes of the skeleton used for scoring.
        space_options: options of the search space.
    """

    search_space: str
    genotype: str
    input_shape: tuple[int, int, int]
    num_classes: int
    macro: dict[str, Any]
    space_options: dict[str, Any]

    @property
    def space(self) -> SearchSpace[Any]:
        """The search space."""
        return SPACES.get(self.search_space).space(**self.space_options)

    def build(self, **changes: Any) -> nn.Module:
        """Return the network, freshly initialized by torch.

        Args:
            changes: ``input_shape``, ``num_classes`` or sizes of the skeleton that replace those
                used for scoring, e.g. ``cells=20, channels=36`` for the published DARTS size.

        Raises:
            InputError: a size does not exist or is impossible.
        """
        return self.space.build(*self._arguments(changes), **{**self.macro, **changes})

    def call(self) -> tuple[Callable[..., nn.Module], tuple[Any, ...]] | None:
        """Return the function that makes the network and its arguments, if the space has one."""
        return self.space.call(*self._arguments({}), **self.macro)

    def cost(self, **changes: Any) -> Cost:
        """Return the size of the network that :meth:`build` returns; same arguments and errors."""
        return self.space.cost(*self._arguments(changes), **{**self.macro, **changes})

    def _arguments(self, changes: dict[str, Any]) -> tuple[Any, tuple[int, int, int], int]:
        shape = changes.pop("input_shape", self.input_shape)
        if not isinstance(shape, list | tuple) or len(shape) != 3:
            raise InputError(f"input_shape must be (channels, height, width), got {shape!r}")
        channels, height, width = shape
        classes = changes.pop("num_classes", self.num_classes)
        return self.space.parse(self.genotype), (channels, height, width), classes

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-serializable values, the form that :func:`load` reads."""
        return {**self.__dict__, "input_shape": list(self.input_shape)}


def load(path: str | Path) -> Architecture:
    """Return the architecture in a ``best.json`` or ``genotype.json``.

    Args:
        path: the file; or the folder of a run, which has a ``best.json``, or of a trained finalist,
            which has a ``genotype.json``.

    Raises:
        InputError: there is no such file, or it does not describe an architecture.
    """
    file = user_path(path)
    if file.is_dir():
        files = [file / "genotype.json", file / "best.json"]
        file = next((one for one in files if one.exists()), files[-1])
    try:
        fields = json.loads(read_text(file))
        architecture = Architecture(
            search_space=fields["search_space"],
            genotype=fields["genotype"],
            input_shape=tuple(fields["input_shape"]),
            num_classes=fields["num_classes"],
            macro=fields["macro"],
            space_options=fields["space_options"],
        )
        if not (isinstance(architecture.macro, dict) and isinstance(fields["genotype"], str)):
            raise TypeError("the genotype is no text, or macro is no group of sizes")
        architecture.space.parse(architecture.genotype)
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{file} does not describe an architecture ({quote(error)})") from None
    return architecture
