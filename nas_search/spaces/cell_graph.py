"""The exact canonical form of a cell: equal texts exactly for cells that are the same network.

A cell is represented as a set of *instances*: applied operations, each with a formal sum (a
multiset) of cell inputs and other instances as its input. This representation does not depend on
the numbering of the nodes, and it omits:

- identities: the sum is added to the target node, term by term;
- ``none`` edges, and operations on a node without inputs: the image does not pass;
- instances from which no output can be reached.

All remaining instances are on a path from the image to the output, the same pruning that
NAS-Bench-101 defines for its graphs (Ying et al. 2019, arXiv 1902.09635). Two cells are the same
network if the remaining labeled multigraphs are isomorphic, and :meth:`Expression.certificate` is a
complete invariant of that: no hash, no collision.

What is *not* merged, and why:

- Two instances of one operation on one input. An expression computed once and used twice has one
  set of weights, computed twice it has two: these are different networks. (The published string
  rule of NAS-Bench-201 does not distinguish them.)
- Two poolings of one input, and pooling of a sum against the sum of poolings. These are equal
  functions by arithmetic, but different graphs; treating them as different can only cost a second
  evaluation, never give a wrong answer from a cache.

One case is merged although it is not the same function for *every* weight: convolution and
batch-norm of an all-zero node give the shift of the batch-norm, one number per channel, the same
for every image. It is exactly zero at initialization, and the convolution never receives a
gradient, so the part that depends on the image computes the same and has the same gradients; after
training, the two networks may differ by a trained constant. The rule of NAS-Bench-201 counts such
an edge as zero too.

Number of classes of NAS-Bench-201's 15,625 cells by rule, with the 341 dead cells in one class:

=====================================================================  =====
published string rule, zeros propagated (341 dead cells in several)    6,466
this module                                                            5,425
... with poolings of one input merged                                  5,260
... and average pooling distributed over sums                          5,044
this module, but convolutions of zero kept as instances                6,017
... with poolings of one input merged                                  5,852
... and average pooling distributed over sums                          5,630
=====================================================================  =====
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Sum = tuple[int, ...]
"""A multiset of terms: term ``-1 - k`` is cell input k, term ``i >= 0`` is instance i."""

ZERO: Sum = ()


def add(*values: Sum) -> Sum:
    """Return the sum of ``values`` with multiplicities."""
    return tuple(term for value in values for term in value)


class Expression:
    """A cell under construction: append instances, then take the certificate."""

    def __init__(self) -> None:
        self._labels: list[str] = []
        self._inputs: list[Sum] = []

    @staticmethod
    def cell_input(index: int) -> Sum:
        """Return the sum of cell input ``index`` alone."""
        return (-1 - index,)

    def apply(self, label: str, value: Sum) -> Sum:
        """Apply a new instance of operation ``label`` to ``value``; zero stays zero."""
        if not value:
            return ZERO
        self._labels.append(label)
        self._inputs.append(value)
        return (len(self._labels) - 1,)

    def certificate(self, outputs: Sequence[Sum]) -> str:
        """Return the canonical text of the cell whose outputs are ``outputs`` (in any order).

        The text lists the live instances in canonical order, ``label(terms)`` each, then the output
        sums; a term is an instance's index in that list, or a letter (``a``, ``b``, ...) for a cell
        input. Isomorphic cells give equal texts, all others different ones.
        """
        live = self.live(outputs)
        index = {old: new for new, old in enumerate(live)}
        inputs = [tuple(index.get(t, t) for t in self._inputs[old]) for old in live]
        sums = [tuple(index.get(t, t) for t in value) for value in outputs]
        return _Labeling([self._labels[old] for old in live], inputs, sums).certificate()

    def used_inputs(self, outputs: Sequence[Sum]) -> frozenset[int]:
        """Return the cell inputs that reach ``outputs``."""
        terms = [term for value in outputs for term in value]
        terms += [term for i in self.live(outputs) for term in self._inputs[i]]
        return frozenset(-1 - term for term in terms if term < 0)

    def label_of(self, instance: int) -> str:
        """Return the operation of an instance."""
        return self._labels[instance]

    def inputs_of(self, instance: int) -> Sum:
        """Return the sum that an instance reads."""
        return self._inputs[instance]

    def live(self, outputs: Sequence[Sum]) -> list[int]:
        """Return the instances from which a path leads to ``outputs``, in topological order."""
        live: set[int] = set()
        stack = [term for value in outputs for term in value if term >= 0]
        while stack:
            term = stack.pop()
            if term not in live:
                live.add(term)
                stack.extend(t for t in self._inputs[term] if t >= 0)
        return sorted(live)  # instances are appended after their inputs: a topological order


class _Labeling:
    """Canonical labeling by color refinement and individualization.

    A coloring gives every instance a rank that does not depend on the numbering of instances. If
    refinement leaves a class of several instances, each of them is individualized in turn, and the
    least certificate is taken. Twins (same operation, same input, same users) are interchangeable
    by an automorphism, so one represents all: eight equal operations on one input give one leaf.
    """

    def __init__(self, labels: list[str], inputs: list[Sum], outputs: list[Sum]) -> None:
        self._labels = labels
        self._inputs = inputs
        self._outputs = outputs
        users: list[list[int]] = [[] for _ in labels]
        for user, value in enumerate([*inputs, *outputs]):
            for term in value:
                if term >= 0:
                    users[term].append(user)
        self._users = users

    def certificate(self) -> str:
        if not self._labels:
            return self._write([])
        return min(self._leaves(self._first_colors()))

    def _first_colors(self) -> list[int]:
        """Rank the instances by their nested expressions."""
        texts: list[str] = []
        for label, value in zip(self._labels, self._inputs, strict=True):
            terms = sorted(_letter(t) if t < 0 else texts[t] for t in value)
            texts.append(f"{label}({'+'.join(terms)})")
        rank = {text: i for i, text in enumerate(sorted(set(texts)))}
        return [rank[text] for text in texts]

    def _leaves(self, colors: list[int]) -> Iterator[str]:
        colors = self._refine(colors)
        classes: dict[int, list[int]] = {}
        for instance, color in enumerate(colors):
            classes.setdefault(color, []).append(instance)
        if len(classes) == len(colors):
            yield self._write(sorted(range(len(colors)), key=colors.__getitem__))
            return
        target = min(color for color, members in classes.items() if len(members) > 1)
        twins = {
            (tuple(sorted(self._inputs[i])), tuple(self._users[i])): i for i in classes[target]
        }
        for instance in twins.values():
            # Doubling makes room for the instance just before its class.
            yield from self._leaves([2 * c - (i == instance) for i, c in enumerate(colors)])

    def _refine(self, colors: list[int]) -> list[int]:
        """Split classes by the colors of inputs and users until none can be split."""
        count = len(set(colors))
        while count < len(colors):
            vertices = [
                tuple(sorted(t if t < 0 else colors[t] for t in value))
                for value in [*self._inputs, *self._outputs]
            ]
            heads = [*colors, *[-1] * len(self._outputs)]
            keys = [
                (
                    color,
                    vertices[i],
                    tuple(sorted((heads[u], vertices[u]) for u in self._users[i])),
                )
                for i, color in enumerate(colors)
            ]
            rank = {key: r for r, key in enumerate(sorted(set(keys)))}
            colors = [rank[key] for key in keys]
            if len(rank) == count:
                break
            count = len(rank)
        return colors

    def _write(self, order: list[int]) -> str:
        index = {instance: str(i) for i, instance in enumerate(order)}

        def text(value: Sum) -> str:
            return "+".join(sorted(_letter(t) if t < 0 else index[t] for t in value))

        instances = [f"{self._labels[i]}({text(self._inputs[i])})" for i in order]
        outputs = sorted(text(value) for value in self._outputs)
        return f"{' '.join(instances)} -> {' | '.join(outputs)}"


def _letter(term: int) -> str:
    return chr(ord("a") - 1 - term)
