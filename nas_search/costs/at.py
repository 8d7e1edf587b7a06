"""The network whose costs are counted: sizes, images, classes, and the type of its numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nas_search.core.errors import InputError
from nas_search.core.guess import did_you_mean
from nas_search.spaces import SPACES, SearchSpace, check_int

NumberType = Literal["float32", "int8"]
"""Type of weights and activations in the deployed network."""


@dataclass(frozen=True)
class At:
    """Where costs are counted; picklable.

    Attributes:
        input_shape: (channels, height, width) of one image.
        num_classes: number of classes, 2 or more.
        macro: sizes of the skeleton.
        dtype: type of weights and activations of the deployed network; ``flash`` and
            ``peak_memory`` depend on it.
        latency: what tells the latency of a genotype; None where nothing was measured.
    """

    input_shape: tuple[int, int, int]
    num_classes: int
    macro: Mapping[str, Any] = field(default_factory=dict)
    dtype: NumberType = "float32"
    latency: Any = None

    def as_dict(self) -> dict[str, Any]:
        """Return the sizes as JSON-serializable values."""
        shape = list(self.input_shape)
        sizes = {"input_shape": shape, "num_classes": self.num_classes, **self.macro}
        return {**sizes, "dtype": self.dtype}


def deployed_sizes(space: SearchSpace[Any], macro: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sizes of a trained network as it is deployed, without what only training needs.

    Fields of the skeleton with ``metadata={"training": True}`` take their defaults: DARTS's
    auxiliary head does not leave the training.
    """
    fields = {f.name: f for f in dataclasses.fields(SPACES.get(space.name).macro)}
    return {
        name: fields[name].default if fields[name].metadata.get("training") else value
        for name, value in macro.items()
        if name in fields
    }


def read_at(space: SearchSpace[Any], basis: At, values: Mapping[str, Any], key: str) -> At:
    """Return ``basis`` with the sizes that a user gave.

    Args:
        space: whose skeleton it is.
        basis: sizes of what is not given.
        values: ``input_size`` (pixels of a side, steps of a series), ``num_classes``,
            ``dtype``, skeleton sizes.
        key: the key that holds them, for messages.

    Raises:
        InputError: there is no such size, or no network of it.
    """
    sizes = [f.name for f in dataclasses.fields(SPACES.get(space.name).macro)]
    possible = sorted([*sizes, "input_size", "num_classes", "dtype"])
    for name in values:
        if name not in possible:
            guess = did_you_mean(name, possible)
            raise InputError(f"unknown {key}.{name}{guess}; possible: {', '.join(possible)}")
    shape = basis.input_shape
    if "input_size" in values:
        side = values["input_size"]
        check_int(f"{key}.input_size", side, 1)
        shape = (shape[0], 1 if shape[1] == 1 else side, side)  # a series is one row
    dtype = values.get("dtype", basis.dtype)
    if dtype not in ("float32", "int8"):
        raise InputError(f"unknown {key}.dtype '{dtype}'; possible: float32, int8")
    macro = {**basis.macro, **{name: values[name] for name in sizes if name in values}}
    return At(shape, values.get("num_classes", basis.num_classes), macro, dtype, basis.latency)
