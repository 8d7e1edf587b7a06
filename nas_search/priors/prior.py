"""A prior on features of structure, and scores if asked, for one search space.

It is a forest; after few trainings the line of the scores, a forest on what that leaves, and a
Gaussian process, half of each.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_search.core.errors import InputError
from nas_search.core.files import replacing, user_path
from nas_search.features import VERSION, feature_names, graph_features
from nas_search.priors.archive import BrokenArchive, read_archive, write_archive
from nas_search.priors.forest import Array, Forest, from_arrays
from nas_search.priors.line import Line
from nas_search.priors.process import Process, process_from_arrays
from nas_search.priors.reference import Reference
from nas_search.spaces import SearchSpace

FORMAT = 2
"""Of the file; a forest alone is written in the format 1, which had nothing else."""
READABLE = (1, FORMAT)

COPIES = 10
"""Columns per score: a split that looks at .4 of the columns then nearly always looks at it, while
one column among 70 features goes unseen (measured in docs/prior.md)."""


@dataclass(frozen=True)
class Share:
    """A process that a prior is made of.

    Attributes:
        weight: its share of the prediction, above 0 and below 1.
        process: itself.
    """

    weight: float
    process: Process


@dataclass(frozen=True)
class Prior:
    """Ranks architectures of one search space by what trained ones have taught.

    Attributes:
        space: the search space.
        scores: names of the scores that it takes beside the features; often none.
        forest: fitted to normal scores of accuracies within a training protocol, less the line.
        center: mean of its predictions over random architectures of the space.
        spread: their standard deviation, above 0.
        references: distributions of scores over random architectures, by the score's name; of
            :func:`nas_search.priors.combine.combined`.
        card: what it was fitted on, held-out figures, where it does not hold; JSON-serializable.
        line: of the scores; None where the forest alone learns from them.
        processes: they and their shares of the prediction; line and forest have the rest.
    """

    space: SearchSpace[Any]
    scores: tuple[str, ...]
    forest: Forest
    center: float
    spread: float
    references: Mapping[str, Reference] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)
    line: Line | None = None
    processes: tuple[Share, ...] = ()

    def predict(
        self,
        architectures: Sequence[Hashable],
        scores: Mapping[str, Sequence[float] | Array] | None = None,
    ) -> tuple[Array, Array]:
        """Return predictions and their uncertainty, (n,) each; higher is better.

        They are in standard deviations of trained accuracies within a protocol, about; uncertainty
        is the standard deviation over the trees, and that of the processes, by their shares.

        Args:
            architectures: (n) genotypes of the space, or texts.
            scores: (n,) of each of ``self.scores``; others are ignored.

        Raises:
            InputError: a score is missing or not finite, or a text is no architecture.
        """
        return self.of_design(design(self.space, architectures, self.scores, scores or {}))

    def of_design(self, values: Array) -> tuple[Array, Array]:
        """Return the same for values (n, columns) as :func:`design` gives them."""
        mean, deviation = self.forest.predict(values)
        if self.line is None:
            return mean, deviation
        structure, known = self.split(values)
        mean += self.line.predict(known)
        mean, deviation = self.rest * mean, self.rest * deviation
        for share in self.processes:
            own, spread = share.process.predict(structure, known)
            mean += share.weight * own
            deviation += share.weight * spread
        return mean, deviation

    def split(self, values: Array) -> tuple[Array, Array]:
        """Return features (n, features) and normal scores (n, scores) in the values of a design."""
        assert self.line is not None
        width = values.shape[1] - COPIES * len(self.scores)
        return values[:, :width], self.line.warped(values[:, width::COPIES])

    @property
    def rest(self) -> float:
        """Share of line and forest in the prediction."""
        return 1 - sum(share.weight for share in self.processes)

    @property
    def mean(self) -> float:
        """Where every prediction begins, before anything is known of an architecture."""
        line = self.line.intercept if self.line is not None else 0.0
        trees = self.rest * (self.forest.mean + line)
        return trees + sum(share.weight * share.process.mean for share in self.processes)

    def standardized(self, prediction: Array) -> Array:
        """Return predictions in standard deviations over random architectures of the space."""
        return (prediction - self.center) / self.spread

    def reference(self, score: str) -> Reference:
        """Return how ``score`` is distributed over random architectures of the space.

        Raises:
            InputError: the prior does not say.
        """
        if score not in self.references:
            raise InputError(
                f"this prior of search_space={self.space.name} does not say how {score} is "
                "distributed over random architectures; take proxy=prior, or learn it on top of "
                f"the package's own: python -m nas_search.learn on={self.space.name}"
            )
        return self.references[score]

    def described(
        self, card: Mapping[str, Any], references: Mapping[str, Reference] | None = None
    ) -> Prior:
        """Return the prior with another card, and other references if they are given."""
        kept = self.references if references is None else references
        return dataclasses.replace(self, card=card, references=kept)

    def save(self, path: str | Path) -> None:
        """Write the prior to a file; one that is there is replaced.

        Raises:
            OSError: the disk refuses.
        """
        with replacing(user_path(path)) as file:
            write_archive(file, self._record, self._arrays)

    @cached_property
    def digest(self) -> str:
        """16 characters that follow from everything that predictions depend on."""
        record = {name: value for name, value in self._record.items() if name != "card"}
        digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode())
        for _, values in sorted(self._arrays.items()):
            digest.update(values.tobytes())
        return digest.hexdigest()[:16]

    @property
    def _arrays(self) -> dict[str, NDArray[Any]]:
        arrays = self.forest.to_arrays()
        for number, share in enumerate(self.processes):
            own = share.process.to_arrays().items()
            arrays |= {f"process{number}_{name}": values for name, values in own}
        return arrays

    @property
    def _record(self) -> dict[str, Any]:
        beside: dict[str, Any] = {"format": 1}
        if self.line is not None:
            beside = {
                "format": FORMAT,
                "line": self.line.to_json(),
                "processes": [
                    {"weight": share.weight, "kernel": share.process.kernel.to_json()}
                    for share in self.processes
                ],
            }
        return {
            **beside,
            "search_space": self.space.name,
            "features_version": VERSION,
            "features": list(feature_names(self.space)),
            "scores": list(self.scores),
            "center": self.center,
            "spread": self.spread,
            "references": {name: one.to_json() for name, one in self.references.items()},
            "card": dict(self.card),
        }


def design(
    space: SearchSpace[Any],
    architectures: Sequence[Hashable],
    names: Sequence[str],
    scores: Mapping[str, Sequence[float] | Array],
) -> Array:
    """Return what the forest sees: features, then :data:`COPIES` of each score; (n, columns).

    Raises:
        InputError: a score is missing, of another length or not finite, or a text is no
            architecture.
    """
    columns = [graph_features(space, architectures).values]
    for name in names:
        if name not in scores:
            raise InputError(f"this prior needs the score {name} of every architecture")
        column = np.asarray(scores[name], dtype=np.float64)
        if column.shape != (len(architectures),):
            raise InputError(
                f"{len(architectures)} architectures, and {name} has the shape {column.shape}"
            )
        if not np.isfinite(column).all():
            raise InputError(f"{name} must be a finite number for every architecture")
        columns.append(np.repeat(column[:, None], COPIES, axis=1))
    return np.concatenate(columns, axis=1)


def design_names(space: SearchSpace[Any], scores: Sequence[str]) -> list[str]:
    """Return the name of each column of :func:`design`: the feature's, or the score's."""
    return [*feature_names(space), *(name for name in scores for _ in range(COPIES))]


def load_prior(path: str | Path, space: SearchSpace[Any]) -> Prior:
    """Return the prior in a file.

    Args:
        path: of a file that :meth:`Prior.save` wrote.
        space: the search space that it shall rank architectures of.

    Raises:
        InputError: there is no such file, it is no prior or damaged, or it is of another search
            space, other features or another version.
    """
    file = user_path(path)
    if not file.is_file():
        raise InputError(f"there is no prior {file}")
    try:
        record, arrays = read_archive(file)
        if record["format"] not in READABLE:
            raise InputError(
                f"{file} is a prior of format {record['format']}, this version reads {FORMAT}; "
                "make it anew: python -m nas_search.learn"
            )
        if record["search_space"] != space.name:
            raise InputError(
                f"{file} is a prior of search_space={record['search_space']}, "
                f"not of search_space={space.name}"
            )
        names = feature_names(space)
        if record["features_version"] != VERSION or tuple(record["features"]) != names:
            raise InputError(
                f"{file} was fitted on other features than this version computes of "
                f"search_space={space.name}; make it anew: python -m nas_search.learn"
            )
        scores = tuple(map(str, record["scores"]))
        prior = Prior(
            space=space,
            scores=scores,
            forest=from_arrays(arrays, len(names) + COPIES * len(scores)),
            center=float(record["center"]),
            spread=float(record["spread"]),
            references={
                str(name): Reference.from_json(value)
                for name, value in record["references"].items()
            },
            card=dict(record["card"]),
            **_beside(record, arrays, len(names), len(scores)),
        )
        if not (np.isfinite(prior.center) and 0 < prior.spread < np.inf):
            raise ValueError("its scale is damaged")
    except (BrokenArchive, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{file} is no readable prior ({reason})") from None
    return prior


def _beside(
    record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], features: int, scores: int
) -> dict[str, Any]:
    """Return line and processes of a file; nothing where there is a forest alone.

    Raises:
        ValueError, TypeError, KeyError: they are damaged.
    """
    if record["format"] == 1:
        return {}
    shares = []
    for number, told in enumerate(record["processes"]):
        prefix = f"process{number}_"
        own = {n.removeprefix(prefix): v for n, v in arrays.items() if n.startswith(prefix)}
        process = process_from_arrays(own, told["kernel"], features, scores)
        shares.append(Share(float(told["weight"]), process))
    weights = [share.weight for share in shares]
    if not all(0 < weight < 1 for weight in weights) or not sum(weights) < 1:
        raise ValueError("the shares of its processes are damaged")
    return {"line": Line.from_json(record["line"], scores), "processes": tuple(shares)}
