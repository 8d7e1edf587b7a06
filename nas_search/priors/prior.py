"""A prior: a forest on features of structure, and scores if asked, for one search space."""

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

from nas_search.core.errors import InputError
from nas_search.core.files import replacing, user_path
from nas_search.features import VERSION, feature_names, graph_features
from nas_search.priors.archive import BrokenArchive, read_archive, write_archive
from nas_search.priors.forest import Array, Forest, from_arrays
from nas_search.priors.reference import Reference
from nas_search.spaces import SearchSpace

FORMAT = 1
"""Of the file."""

COPIES = 10
"""Columns per score: a split that looks at .4 of the columns then nearly always looks at it, while
one column among 70 features goes unseen (measured in docs/prior.md)."""


@dataclass(frozen=True)
class Prior:
    """Ranks architectures of one search space by what trained ones have taught.

    Attributes:
        space: the search space.
        scores: names of the scores that it takes beside the features; often none.
        forest: fitted to normal scores of accuracies within a training protocol.
        center: mean of its predictions over random architectures of the space.
        spread: their standard deviation, above 0.
        references: distributions of scores over random architectures, by the score's name; of
            :func:`nas_search.priors.combine.combined`.
        card: what it was fitted on, held-out figures, where it does not hold; JSON-serializable.
    """

    space: SearchSpace[Any]
    scores: tuple[str, ...]
    forest: Forest
    center: float
    spread: float
    references: Mapping[str, Reference] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)

    def predict(
        self,
        architectures: Sequence[Hashable],
        scores: Mapping[str, Sequence[float] | Array] | None = None,
    ) -> tuple[Array, Array]:
        """Return predictions and their uncertainty, (n,) each; higher is better.

        They are in standard deviations of trained accuracies within a protocol, about; uncertainty
        is the standard deviation over the trees.

        Args:
            architectures: (n) genotypes of the space, or texts.
            scores: (n,) of each of ``self.scores``; others are ignored.

        Raises:
            InputError: a score is missing or not finite, or a text is no architecture.
        """
        return self.forest.predict(design(self.space, architectures, self.scores, scores or {}))

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
            write_archive(file, self._record, self.forest.to_arrays())

    @cached_property
    def digest(self) -> str:
        """16 characters that follow from everything that predictions depend on."""
        record = {name: value for name, value in self._record.items() if name != "card"}
        digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode())
        for _, values in sorted(self.forest.to_arrays().items()):
            digest.update(values.tobytes())
        return digest.hexdigest()[:16]

    @property
    def _record(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
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
        if record["format"] != FORMAT:
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
        )
        if not (np.isfinite(prior.center) and 0 < prior.spread < np.inf):
            raise ValueError("its scale is damaged")
    except (BrokenArchive, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{file} is no readable prior ({reason})") from None
    return prior
