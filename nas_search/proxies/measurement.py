"""The results of the passes over (network, probe batch): everything that a score may use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar, cast

from torch import Tensor

from nas_search.passes.per_sample import Grams

Kind = TypeVar("Kind")


class Measurement:
    """The results that scores are functions of, one of each kind.

    ``measurement[Signs]`` is the result of that kind; the Gram matrices of the per-sample gradients
    are also attributes.

    Args:
        results: one frozen dataclass of each kind, see :mod:`nas_search.passes`.
        failures: exceptions of the requested kinds that could not be measured; accessing such a
            kind raises its exception.
    """

    def __init__(self, *results: object, failures: Mapping[type, Exception] | None = None) -> None:
        self._results = {type(result): result for result in results}
        self._failures = dict(failures or {})

    def __getitem__(self, kind: type[Kind]) -> Kind:
        if kind in self._failures:
            raise self._failures[kind]
        try:
            return cast(Kind, self._results[kind])
        except KeyError:
            raise KeyError(
                f"{kind.__name__} was not measured: list it in the record's needs"
            ) from None

    def has(self, kinds: Iterable[type]) -> bool:
        """Whether there is a result of each of ``kinds``."""
        return all(kind in self._results for kind in kinds)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the L parameters that received gradient, in the order of the network."""
        return self[Grams].layers

    @property
    def grams(self) -> Tensor:
        """(L, n, n) Gram matrices of the per-sample gradients of each parameter, float64."""
        return self[Grams].grams

    @property
    def cosines(self) -> Tensor:
        """(n, n) cosines K between whole per-sample gradients; ones on the diagonal."""
        return self[Grams].cosines

    @property
    def layer_cosines(self) -> Tensor:
        """(L, n, n) cosines K_l between the per-sample gradients of each parameter alone."""
        return self[Grams].layer_cosines

    @property
    def layer_eigenvalues(self) -> Tensor:
        """(L, n) eigenvalues of :attr:`layer_cosines`, ascending; each row sums to n."""
        return self[Grams].layer_eigenvalues
