"""The exact canonical form of a cell: equal texts exactly for cells which are the same network.

A cell is read as a set of *instances*: one applied operation each, whose input is a formal sum (a
multiset) of cell inputs and other instances. That reading already forgets how the nodes were
numbered, and three things vanish while it is made:

- an identity: the sum that it carries is added to the node that it leads into, term by term;
- a ``none`` edge, and any operation on a node that nothing flows into: the image does not pass;
- an instance from which no output can be reached.

So what remains lies on a path from the image to the output, the same pruning that NAS-Bench-101
defines for its graphs (Ying et al. 2019, arXiv 1902.09635). Two cells are the same network when the
remaining labeled multigraphs are isomorphic, and :meth:`Expression.certificate` is a complete
invariant of that: no hash, no collision.

What is *not* merged, and why:

- Two instances of one operation on one input. An expression computed once and used twice has one
  set of weights, computed twice it has two: other networks. (NAS-Bench-201's published string rule
  writes both alike.)
- Two poolings of one input, and pooling of a sum against the sum of poolings. These are equal
  functions by an identity of arithmetic, but other graphs; keeping them apart can only cost a
  second evaluation, never a wrong answer from a cache.

What is merged although it is not the same function for *every* weight: convolution and batch-norm
of an all-zero node give that batch-norm's shift, one number a channel, the same for every image. It
is exactly zero at initialization, and the convolution never receives a gradient, so the part that
carries the image computes the same and learns by the same gradients; after training, the two
networks may differ by a trained constant. NAS-Bench-201's own rule counts such an edge as zero too.

Classes of NAS-Bench-201's 15,625 cells by rule, the 341 cells that never see the image in one:

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
    """Return the sum of ``values``, multiplicities kept."""
    return tuple(term for value in values for term in value)


class Expression:
    """A cell while it is read: instances are appended, then the certificate is taken."""

    def __init__(self) -> None:
        self._labels: list[str] = []
        self._inputs: list[Sum] = []

    @staticmethod
    def cell_input(index: int) -> Sum:
        """Return the sum that holds cell input ``index`` once."""
        return (-1 - index,)

    def apply(self, label: str, value: Sum) -> Sum:
        """Return ``value`` sent through a new instance of operation ``label``; zero stays zero."""
        if not value:
            return ZERO
        self._labels.append(label)
        self._inputs.append(value)
        return (len(self._labels) - 1,)

    def certificate(self, outputs: Sequence[Sum]) -> str:
        """Return the canonical text of the cell whose outputs are ``outputs`` (in any order).

        The text lists the live instances in canonical order, ``label(terms)`` each, then the output
        sums; a term is an instance's place in that list, or a letter (``a``, ``b``, ...) for a cell
        input. Isomorphic cells give equal texts, all others different ones.
        """
        live = self._live(outputs)
        place = {old: new for new, old in enumerate(live)}
        inputs = [tuple(place.get(t, t) for t in self._inputs[old]) for old in live]
        sums = [tuple(place.get(t, t) for t in value) for value in outputs]
        return _Labeling([self._labels[old] for old in live], inputs, sums).certificate()

    def used_inputs(self, outputs: Sequence[Sum]) -> frozenset[int]:
        """Return which cell inputs reach ``outputs``."""
        terms = [term for value in outputs for term in value]
        terms += [term for i in self._live(outputs) for term in self._inputs[i]]
        return frozenset(-1 - term for term in terms if term < 0)

    def _live(self, outputs: Sequence[Sum]) -> list[int]:
        seen: set[int] = set()
        stack = [term for value in outputs for term in value if term >= 0]
        while stack:
            term = stack.pop()
            if term not in seen:
                seen.add(term)
                stack.extend(t for t in self._inputs[term] if t >= 0)
        return sorted(seen)  # instances are appended after their inputs: a topological order


class _Labeling:
    """Canonical labeling by color refinement and individualization.

    A coloring gives every instance a rank that never depends on how instances are numbered. Where
    refinement leaves a class of several instances, one of them is singled out, each in turn, and
    the least certificate wins. Twins (same operation, same input, same users) are interchangeable
    by an automorphism, so one stands for all: eight equal operations on one input cost one leaf.
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
        """Rank the instances by the nested expression that each computes."""
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
        for chosen in twins.values():
            # Doubling leaves room for the chosen instance just before its class.
            yield from self._leaves([2 * c - (i == chosen) for i, c in enumerate(colors)])

    def _refine(self, colors: list[int]) -> list[int]:
        """Split classes by the colors of inputs and users until none splits any more."""
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
        place = {instance: str(i) for i, instance in enumerate(order)}

        def text(value: Sum) -> str:
            return "+".join(sorted(_letter(t) if t < 0 else place[t] for t in value))

        instances = [f"{self._labels[i]}({text(self._inputs[i])})" for i in order]
        outputs = sorted(text(value) for value in self._outputs)
        return f"{' '.join(instances)} -> {' | '.join(outputs)}"


def _letter(term: int) -> str:
    return chr(ord("a") - 1 - term)
