"""The pass of one image: how collinear its channels are, and how the network bends a circle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.gradients import PerCandidate, normalized_network
from nas_search.passes.base import PASSES, DeadNetwork, Outcome, Pass, Subject
from nas_search.passes.hooks import hooked
from nas_search.stacked.candidates import candidates_of


@dataclass(frozen=True)
class SingleImage:
    """What Dextr looks at.

    Attributes:
        conditions: smallest over largest singular value of the first image's (C, values) output of
            each call of a module without children; 0 where all values are zero.
        curvature: extrinsic curvature of the logits along a circle through the space of images, at
            one point: sqrt(vv aa - va^2) / vv^(3/2), of the inner products of the first and the
            second derivative v, a of the logits by the angle; None where v is zero but for
            rounding, as for one image whose features are all normalized before they are averaged.
    """

    conditions: tuple[float, ...]
    curvature: float | None


def look_at_one_image(subject: Subject, wanted: frozenset[type]) -> Sequence[Outcome]:
    """Forward the first image of the batch, and differentiate twice at a point of a random circle.

    A candidate is dead if its logits are not finite.

    Raises:
        InputError: the network takes tokens.
    """
    if not subject.images.is_floating_point():
        raise InputError("this score looks at a circle of images, and the network takes tokens")
    candidates = len(candidates_of(subject.network))
    conditions, logits = _conditions(subject, candidates)
    curvatures = _curvatures(subject, candidates)
    finite = logits.isfinite().flatten(1).all(1).tolist()
    return [
        [SingleImage(own, curvature)]
        if is_finite
        else DeadNetwork("logits or gradients are not finite")
        for own, curvature, is_finite in zip(conditions, curvatures, finite, strict=True)
    ]


def _conditions(subject: Subject, count: int) -> tuple[list[tuple[float, ...]], Tensor]:
    """Return the conditions of each candidate's modules, and the logits (K, 1, classes)."""
    candidates = candidates_of(subject.network)
    found = PerCandidate()

    def look(module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
        if not isinstance(output, Tensor) or not output.is_floating_point() or output.dim() < 2:
            return
        own = output.unflatten(0, (len(candidates.active), -1))[:, 0].double()
        own = own.nan_to_num().flatten(2) if own.dim() > 2 else own.nan_to_num()[..., None]
        values = torch.linalg.svdvals(own)
        shares = (values[:, -1] / values[:, 0]).nan_to_num(0.0)
        found.add("condition", candidates.active, shares)

    leaves = [m for m in subject.network.modules() if next(m.children(), None) is None]
    hooks = hooked(leaf.register_forward_hook(look) for leaf in leaves)
    with hooks, normalized_network(subject.network, subject.normalization), torch.no_grad():
        logits: Tensor = subject.network(subject.images[:1])
    return found.sequences(count), logits.unflatten(0, (count, -1))


def _curvatures(subject: Subject, count: int) -> list[float | None]:
    """Return the curvature of each candidate's logits, by two backward passes for each logit."""
    shape = subject.images.shape[1:]
    generator = torch.Generator().manual_seed(subject.seed)
    drawn = torch.randn(shape.numel(), 2, generator=generator, dtype=torch.float64)
    plane = torch.linalg.qr(drawn).Q.to(subject.images)
    angle = torch.zeros((), device=plane.device, dtype=plane.dtype, requires_grad=True)
    with normalized_network(subject.network, subject.normalization), torch.enable_grad():
        image = (plane @ torch.stack([angle.cos(), angle.sin()])).view(1, *shape)
        logits: Tensor = subject.network(image)
        rows = [_twice(value, angle) for value in logits.flatten()]
    v, a = torch.tensor(rows, dtype=torch.float64).view(count, -1, 2).unbind(2)
    vv, aa, va = (v * v).sum(1), (a * a).sum(1), (v * a).sum(1)
    curvatures: list[float] = ((vv * aa - va**2).clamp_min(0).sqrt() / vv**1.5).tolist()
    # Of what cancels, some thousand roundings are left: far below this, and what moves far above.
    least = torch.finfo(logits.dtype).eps ** (1 / 3) * logits.detach().double().view(count, -1)
    moves = (vv.sqrt() > least.norm(dim=1).cpu()).tolist()
    return [value if moved else None for value, moved in zip(curvatures, moves, strict=True)]


def _twice(value: Tensor, angle: Tensor) -> tuple[float, float]:
    """Return the first and the second derivative of one logit by the angle."""
    (first,) = torch.autograd.grad(value, angle, create_graph=True, allow_unused=True)
    if first is None:
        return 0.0, 0.0
    if not first.requires_grad:
        return float(first), 0.0
    (second,) = torch.autograd.grad(first, angle, retain_graph=True, allow_unused=True)
    return float(first.detach()), 0.0 if second is None else float(second)


PASSES.add(
    Pass(
        name="single_image",
        run=look_at_one_image,
        provides=(SingleImage,),
        network="complete",
    )
)
