"""The space of a user's own function: ``build(choices, input_shape, num_classes) -> nn.Module``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError, RunError
from nas_search.core.importing import import_own
from nas_search.core.text import quote
from nas_search.spaces.arguments import check_problem, read_macro
from nas_search.spaces.base import SPACES, NoOptions, SpaceRecord
from nas_search.spaces.module.schema import read_choices
from nas_search.spaces.named import NamedChoices, NamedSpace
from nas_search.spaces.parts import Part
from nas_search.spaces.segments import Segment, alone

TRIED = 8
"""Random genotypes of which one at least must be a network, before a search begins."""

Shape = tuple[int, int, int]


class NoNetwork(RunError):
    """The user's function gives no network for some choices: the failure of that candidate."""


@dataclass(frozen=True)
class ModuleOptions:
    """Options of the space.

    Attributes:
        function: ``package.module:name`` of a function or class at the top level of a module.
        choices: what it can be asked for, see :mod:`.schema`.
    """

    function: str = ""
    choices: dict[str, Any] | None = None


class ModuleSpace(NamedSpace):
    """All networks that a function makes of its choices.

    The function is called with a dictionary of the choices that count, the shape (C, H, W) of an
    image and the number of classes; its network maps (n, C, H, W) to (n, num_classes). Choices for
    which it does not are candidates that fail, with the reason; their size counts as 0.

    Args:
        function: see :class:`ModuleOptions`.
        choices: likewise.

    Raises:
        InputError: the function cannot be imported, or the choices are not well written.
    """

    name = "module"

    def __init__(self, function: str = "", choices: Mapping[str, Any] | None = None) -> None:
        self._written = function, choices
        self._function = _imported(function)
        self._problems: dict[tuple[Any, ...], str] = {}
        super().__init__(read_choices(choices, "search_space.choices"))

    def __reduce__(self) -> Any:
        return ModuleSpace, self._written  # another process imports the function anew

    def build(
        self, genotype: NamedChoices, input_shape: Shape, num_classes: int, **macro: Any
    ) -> nn.Module:
        """Return what the function makes.

        Raises:
            NoNetwork: it raises, returns no module, or one without a logit per class.
            InputError: the shape or the number of classes is impossible.
        """
        _check(input_shape, num_classes, macro)
        problem = self._problem(genotype, input_shape, num_classes)
        if problem:
            raise NoNetwork(problem)
        return self._made(genotype, input_shape, num_classes)

    def call(
        self, genotype: NamedChoices, input_shape: Shape, num_classes: int, **macro: Any
    ) -> tuple[Callable[..., nn.Module], tuple[Any, ...]]:
        """Return the function and what it is called with."""
        return self._function, self._arguments(genotype, input_shape, num_classes)

    def check(self, input_shape: Shape, num_classes: int, **macro: Any) -> None:
        """Refuse a function that gives no network for any of some random choices."""
        _check(input_shape, num_classes, macro)
        rng = np.random.default_rng(0)
        problem = ""
        for _ in range(TRIED):
            problem = self._problem(self.sample(rng), input_shape, num_classes)
            if not problem:
                return
        raise InputError(problem)

    def parts(
        self, genotype: NamedChoices, input_shape: Shape, num_classes: int, **macro: Any
    ) -> Mapping[Part, int]:
        """Return the network as one part; one without parameters where there is no network."""
        _check(input_shape, num_classes, macro)
        if self._problem(genotype, input_shape, num_classes):
            return {_nothing(input_shape, num_classes): 1}
        return super().parts(genotype, input_shape, num_classes, **macro)

    def segments(
        self, genotype: NamedChoices, input_shape: Shape, num_classes: int, **macro: Any
    ) -> Sequence[Segment] | None:
        """Return None: networks are built to see their memory, where there is one."""
        if self._problem(genotype, input_shape, num_classes):
            return [alone(_nothing(input_shape, num_classes))]
        return None

    def _made(self, genotype: NamedChoices, input_shape: Shape, num_classes: int) -> nn.Module:
        called = f"{self._written[0]} of {genotype}"
        try:
            made = self._function(*self._arguments(genotype, input_shape, num_classes))
        except Exception as error:  # the user's code
            raise NoNetwork(f"{called} raises {_said(error)}") from error
        if not isinstance(made, nn.Module):
            raise NoNetwork(f"{called} returns a {type(made).__name__}, not an nn.Module")
        return made

    def _arguments(
        self, genotype: NamedChoices, input_shape: Shape, num_classes: int
    ) -> tuple[dict[str, Any], Shape, int]:
        channels, height, width = input_shape
        return dict(self.values(genotype)), (channels, height, width), num_classes

    def _problem(self, genotype: NamedChoices, input_shape: Shape, num_classes: int) -> str:
        """Return why there is no network; empty where there is one. Runs it on no memory."""
        key = self.canonical(genotype), *input_shape, num_classes
        if key not in self._problems:
            try:
                self._try(genotype, input_shape, num_classes)
                self._problems[key] = ""
            except NoNetwork as error:
                self._problems[key] = str(error)
        return self._problems[key]

    def _try(self, genotype: NamedChoices, input_shape: Shape, num_classes: int) -> None:
        named = f"the network of {self._written[0]} of {genotype}"
        with torch.device("meta"):
            network = self._made(genotype, input_shape, num_classes).eval()
            images = torch.empty(2, *input_shape)
        try:
            with torch.no_grad():
                logits = network(images)
        except Exception as error:
            shape = "x".join(map(str, input_shape))
            raise NoNetwork(f"{named} fails on images of {shape}: {_said(error)}") from error
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        if found != (2, num_classes):
            raise NoNetwork(
                f"{named} maps 2 images to {found}; logits are (2, {num_classes}), one per class"
            )


class NothingBuilt(nn.Module):
    """Stands for a network that there is not, where sizes are counted."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self._num_classes = num_classes

    def forward(self, images: Tensor) -> Tensor:
        """Return zeros (n, num_classes)."""
        return images.new_zeros(len(images), self._num_classes)


def _nothing(input_shape: Shape, num_classes: int) -> Part:
    channels, height, width = input_shape
    return Part(NothingBuilt, (num_classes,), (channels, height, width))


def _check(input_shape: Shape, num_classes: int, macro: Mapping[str, Any]) -> None:
    read_macro(NoOptions, macro)
    check_problem(input_shape, num_classes, 2, "batch-norm")


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"


def _imported(function: str) -> Callable[..., Any]:
    """Return the function called ``package.module:name``."""
    key = "search_space.function"
    module, _, name = str(function or "").partition(":")
    if not module or not name:
        problem = f"{quote(function)} is none" if function else "is missing"
        raise InputError(
            f"{key} {problem}: name a function of yours as MODULE:NAME, e.g. {key}=my_models:build"
        )
    made = getattr(import_own(module, key), name, None)
    if not inspect.isfunction(made) and not inspect.isclass(made):
        what = "has no such name" if made is None else f"has a {type(made).__name__} there"
        raise InputError(f"{key}={function}: {module} {what}; name a function at its top level")
    callable_: Callable[..., Any] = made
    return callable_


SPACES.add(
    SpaceRecord(
        name="module",
        space=ModuleSpace,
        macro=NoOptions,
        source="the user's own function",
        options=ModuleOptions,
    )
)
