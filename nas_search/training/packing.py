"""What is left of a training: each finalist's folder, checked, and the winner's programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from nas_search.core.errors import InputError, RunError
from nas_search.data import ImageData
from nas_search.export.formats import export
from nas_search.export.model_file import preparation_of
from nas_search.export.standalone import write_folder
from nas_search.export.verify import Written, check_written, written
from nas_search.training.finalist import Finalist, TrainingPlan
from nas_search.training.recipe import Recipe


class Packing:
    """Writes the folders of finalists below ``directory``.

    What cannot be written is said, and the rest is kept.

    Args:
        data: the training data.
        plan: recipe, versions and formats.
        directory: the folder of the finalists' folders.
        say: prints a line.

    Attributes:
        lost: lines about files that the disk refused or that could not be made; not empty means
            that the command has not done all it was asked for.
    """

    def __init__(
        self, data: ImageData, plan: TrainingPlan, directory: Path, say: Callable[[str], None]
    ) -> None:
        self._data, self._plan, self._directory, self._say = data, plan, directory, say
        self._written: dict[Path, Written] = {}
        self.lost: list[str] = []

    def pack(
        self, finalist: Finalist, network: nn.Module, recipe: Recipe, curve: Callable[[Path], None]
    ) -> None:
        """Write the standalone folder of a network trained by ``recipe``, and its curve."""
        folder = self._directory / finalist.key
        version = self._plan.versions["nas_search"]
        self._written.pop(folder, None)  # of another seed
        try:
            write_folder(
                folder, network, finalist.architecture, self._data, asdict(recipe), version
            )
            self._written[folder] = written(folder, network, self._data)
        except InputError as error:
            self._say(f"{finalist.key}: {error}; its weights and genotype.json are kept")
        except (RunError, OSError) as error:
            self._lose(folder, error)
        try:
            curve(folder / "curve.png")
        except OSError as error:
            self._lose(folder / "curve.png", error)

    def export(self, winner: Finalist, network: nn.Module) -> None:
        """Write the winner's network, on the CPU, in the further formats."""
        raw = self._data.train.raw(torch.arange(min(4, len(self._data.train))))
        folder = self._directory / winner.key
        prepared = preparation_of(self._data)
        for name in self._plan.finalists.export:
            try:
                difference = export(network, raw, folder, name, prepared, self._data.class_names)
            except (RunError, OSError) as error:
                self._lose(folder / f"model.{name}", error)
                continue
            kind, size = str(raw.dtype).removeprefix("torch."), ", ".join(map(str, raw.shape[1:]))
            self._say(
                f"{folder / f'model.{name}'}: {kind} (n, {size}) to probabilities (n, "
                f"{self._data.num_classes}), within {difference:.0e} of the network's"
            )

    def check(self) -> None:
        """Load each written folder in a fresh process; delete a ``model.py`` that is wrong."""
        if not self._written:
            return
        for folder, problem in zip(
            self._written, check_written(list(self._written.values())), strict=True
        ):
            if problem:
                (folder / "model.py").unlink(missing_ok=True)
                self._say(
                    f"{folder.name}: cannot write model.py: {problem}; define what the network "
                    "uses at the top level of its modules. Its weights and genotype.json are kept"
                )
        self._written.clear()

    def _lose(self, path: Path, error: Exception) -> None:
        if isinstance(error, OSError):
            problem = f"cannot write {error.filename or path} ({error.strerror})"
        else:
            problem = str(error)
        self.lost.append(problem)
        self._say(f"{path.parent.name if path.suffix else path.name}: {problem}")
